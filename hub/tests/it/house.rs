//! A hub to test against, with one gym in it.

use std::time::Duration;

use hub::auth::TokenRequest;
use hub::{Node, seed};
use loadtest::{Options, Peer};
use protocol::frame::{
    Bind, Claim, ClaimBy, ClaimHeld, ClaimState, ControlRanges, MachineHello, MachineKind, MachineModel, MachineStatus, Role, Sample,
};
use protocol::text::Text;
use protocol::{Field, GatewayId, GymId, MachineId, MemberId, Reading, SeqRanges, ServerFrame, TeamId, TenantId, WorkoutId};
use storage::{GymRecord, MachineRecord, MemberRecord, TeamRecord, Units};
use uuid::Uuid;

/// The tenant of every test.
pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(0xA));
/// Another tenant, to whom nothing of this belongs.
pub(crate) const OTHER_TENANT: TenantId = TenantId(Uuid::from_u128(0xB));
/// Its gym.
pub(crate) const GYM: GymId = GymId(Uuid::from_u128(0x61));
/// The gateway of the gym.
pub(crate) const GATEWAY: GatewayId = GatewayId(Uuid::from_u128(0x62));
/// A bike with a screen.
pub(crate) const BIKE: MachineId = MachineId(Uuid::from_u128(0x63));
/// A member in the team.
pub(crate) const ANNA: MemberId = MemberId(Uuid::from_u128(0x64));
/// A member in no team.
pub(crate) const BORIS: MemberId = MemberId(Uuid::from_u128(0x65));
/// The team.
pub(crate) const TEAM: TeamId = TeamId(Uuid::from_u128(0x66));

/// A running hub in a folder of its own.
pub(crate) struct TestHub {
    node: Option<Node>,
    folder: Option<tempfile::TempDir>,
}

impl TestHub {
    /// A hub with the defaults of `dev`.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A hub with other values for some keys.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = hub::start(configuration(folder.path(), settings)).await.expect("the hub starts");
        let hub = Self { node: Some(node), folder: Some(folder) };
        hub.provision().await;
        hub
    }

    /// A hub on a listener and a store that somebody else keeps; the first one provisions.
    pub(crate) async fn beside(folder: &std::path::Path, listener: &std::net::TcpListener, first: bool) -> Self {
        let listener = listener.try_clone().expect("another handle");
        let node = hub::start_on(configuration(folder, &[]), Some(listener)).await.expect("the hub starts");
        let hub = Self { node: Some(node), folder: None };
        if first {
            hub.provision().await;
        }
        hub
    }

    async fn provision(&self) {
        let hub = &self.node().hub;
        let gym =
            GymRecord { gym: GYM, name: Text::cut("Test"), time_zone: Text::cut("Europe/Rome"), units: Units::Metric, addresses: vec![] };
        hub.store.put_gyms(TENANT, &[gym]).await.expect("a gym");
        let gateway = storage::GatewayRecord { gateway: GATEWAY, gym: GYM, name: Text::cut("Gateway") };
        hub.store.put_gateways(TENANT, &[gateway]).await.expect("a gateway");
        let bike = MachineRecord {
            machine: BIKE,
            gym: GYM,
            name: Text::cut("Bike 1"),
            kind: MachineKind::Bike,
            location: Text::cut("Hall"),
            gateway: Some(GATEWAY),
            powered: false,
        };
        hub.store.put_machines(TENANT, &[bike]).await.expect("a machine");
        let members = [ANNA, BORIS].map(MemberRecord::new);
        hub.store.put_members(TENANT, &members).await.expect("members");
        let team = TeamRecord { team: TEAM, name: Text::cut("Team"), sport: None, staff: vec![], members: vec![ANNA] };
        hub.store.put_teams(TENANT, &[team]).await.expect("a team");
        hub.add_gym(GYM, TENANT, Text::cut("Test"));
        let stored = hub.store.machine(TENANT, BIKE).await.expect("a machine").expect("it was put");
        hub.add_machine(GYM, seed::machine_record(stored));
    }

    /// The node.
    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("not ended")
    }

    /// The file of the store.
    pub(crate) fn store_path(&self) -> std::path::PathBuf {
        self.folder.as_ref().expect("a folder of its own").path().join("spotter.db")
    }

    /// Where sockets go.
    pub(crate) fn url(&self) -> String {
        self.url_of("/v1/ws")
    }

    /// Where a socket on another path goes.
    pub(crate) fn url_of(&self, path: &str) -> String {
        format!("ws://{}{path}", self.node().address)
    }

    /// A token of the built-in issuer.
    pub(crate) fn token(&self, tenant: TenantId, role: Role, subject: Uuid, life: Duration) -> String {
        let request = TokenRequest {
            tenant,
            role,
            subject,
            gyms: vec![GYM],
            teams: if role == Role::Coach { vec![TEAM] } else { vec![] },
            at_ms: hub::clock::at_ms(),
            ttl_ms: i64::try_from(life.as_millis()).expect("short"),
        };
        self.node().issuer.as_ref().expect("dev has an issuer").token(&request).expect("signed")
    }

    /// How a subject connects.
    pub(crate) fn options(&self, role: Role, subject: Uuid) -> Options {
        Options::new(self.token(TENANT, role, subject, Duration::from_secs(600)))
    }

    /// A connected subject.
    pub(crate) async fn peer(&self, role: Role, subject: Uuid) -> Peer {
        Peer::connect(&self.url(), self.options(role, subject)).await.expect("welcome")
    }

    /// Anna's phone.
    pub(crate) async fn phone(&self) -> Peer {
        self.peer(Role::Member, ANNA.0).await
    }

    /// The gateway with the bike on it, bound as slot 1 under this boot, and the code that the bike shows.
    pub(crate) async fn bike(&self, boot: u32) -> (Peer, String) {
        let mut gateway = self.peer(Role::Gateway, GATEWAY.0).await;
        gateway.send(bike_hello()).await.expect("sent");
        let ready = gateway.expect("machine_ready", |frame| matches!(frame, ServerFrame::MachineReady(_)).then_some(())).await;
        ready.expect("the bike is known");
        let code = gateway
            .expect("show_code", |frame| if let ServerFrame::ShowCode(show) = frame { Some(show.code.to_string()) } else { None })
            .await
            .expect("a code");
        let bind = Bind {
            slot: 1,
            machine: Some(BIKE),
            sensor: Text::cut("ftms"),
            boot,
            nonce: 7,
            clock: 0,
            held: SeqRanges::new(),
            quirk: None,
            claim_from_seq: None,
        };
        gateway.send(bind).await.expect("sent");
        gateway.expect("bound", |frame| matches!(frame, ServerFrame::Bound(_)).then_some(())).await.expect("bound");
        (gateway, code)
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&hub::Hub) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !holds(&self.node().hub) {
            assert!(tokio::time::Instant::now() < deadline, "waited 10 s until {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the hub and answers what was left.
    pub(crate) async fn end(mut self) -> hub::node::Leftover {
        self.node.take().expect("not ended").drain().await
    }
}

/// The defaults of `dev`, quick deadlines, a store in the folder.
pub(crate) fn configuration(folder: &std::path::Path, settings: &[(&str, &str)]) -> config::Config {
    let store = format!("sqlite:{}", folder.join("spotter.db").display());
    let mut sources = config::Sources::of(config::Profile::Dev)
        .flag("listen.address", "127.0.0.1:0", "test")
        .flag("shards.count", "2", "test")
        .flag("drain.grace", "4s", "test")
        .flag("session.write_timeout", "2s", "test")
        .flag("store.statement_timeout", "2s", "test")
        .flag("store.url", store, "test");
    for (key, value) in settings {
        sources = sources.flag(key, *value, "test");
    }
    config::load(&sources).expect("a good configuration")
}

impl Drop for TestHub {
    fn drop(&mut self) {
        let Some(node) = self.node.take() else { return };
        if std::thread::panicking() {
            return;
        }
        let left = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(node.drain()));
        assert!(left.tasks.is_empty(), "tasks are left: {:?}", left.tasks);
        assert_eq!((left.rows, left.facts), (0, 0), "rows and facts that were not flushed");
    }
}

/// What the bike says of itself.
pub(crate) fn bike_hello() -> MachineHello {
    MachineHello {
        machine: BIKE,
        model: MachineModel {
            vendor: Text::cut("Test"),
            model: Text::cut("Bike"),
            firmware: None,
            serial: None,
            kind: MachineKind::Bike,
            powered: false,
        },
        state: MachineStatus::Idle,
        user_present: None,
        claim: None,
        clock: 0,
        ranges: Some(ControlRanges { power_w: Some((25, 400)), ..ControlRanges::default() }),
        screen: true,
        claim_since_dev_ms: None,
    }
}

/// One reading of the bike.
pub(crate) fn sample(seq: u32, power_w: i32) -> Sample {
    let mut reading = Reading::default();
    reading.set(Field::Power, power_w);
    Sample { slot: 1, seq, dev_ms: i64::from(seq) * 1000, reading }
}

/// The phone claims the bike by its code; the gateway keeps the claim. Answers workout and fence.
pub(crate) async fn claim(phone: &mut Peer, gateway: &mut Peer, code: &str) -> (WorkoutId, u64) {
    let req = phone.req();
    phone.send(Claim { req, gym: GYM, by: ClaimBy::Code(Text::cut(code)), hand_over: None }).await.expect("sent");
    let claim = gateway
        .expect("claim_set", |frame| if let ServerFrame::ClaimSet(set) = frame { Some(set.claim) } else { None })
        .await
        .expect("the machine is told");
    gateway.send(ClaimHeld { machine: BIKE, fence: claim.fence }).await.expect("sent");
    let workout = phone
        .expect("claimed", |frame| match frame {
            ServerFrame::Claimed(claimed) if claimed.state == ClaimState::Granted => claimed.workout,
            _ => None,
        })
        .await
        .expect("granted");
    (workout, claim.fence)
}
