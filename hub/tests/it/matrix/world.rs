//! Two gym chains with the same furniture, and everybody who may ask something of the first.
//!
//! A side has two gyms, a gateway in each and a second one, three machines, two teams of one member each. In the first
//! side's first gym both members train: Anna holds the bike, Boris the spare one, and the gateway answers as a good one does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub::auth::TokenRequest;
use hub::seed;
use loadtest::{Options, Peer};
use protocol::frame::{Bind, BoardMetric, Claim, ClaimBy, ClaimState, MachineFault, MachineHello, MachineKind, Role, Severity};
use protocol::text::Text;
use protocol::{
    BoardId, ClientFrame, DeviceId, GatewayId, GymId, MachineId, MemberId, RoomName, SeqRanges, ServerFrame, TeamId, TenantId, TicketId,
    WorkoutId,
};
use storage::{BoardRecord, BoardSeed, Fact, GatewayRecord, GymRecord, MachineRecord, MemberRecord, StaffRecord, TeamRecord, Units};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::expect::Stance;
use super::gateway::{GatewayMemory, attend};
use crate::house::{self, TestHub};

/// One gym chain, by its number; all of its ids follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Side(pub(super) u128);

/// The chain that is asked for.
pub(super) const A: Side = Side(0xA);
/// Another chain.
pub(super) const B: Side = Side(0xB);

impl Side {
    pub(super) const fn id(self, n: u128) -> Uuid {
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (self.0 << 32) + n)
    }
    pub(super) const fn tenant(self) -> TenantId {
        TenantId(self.id(1))
    }
    pub(super) const fn home(self) -> GymId {
        GymId(self.id(2))
    }
    pub(super) const fn away(self) -> GymId {
        GymId(self.id(3))
    }
    pub(super) const fn gateway(self) -> GatewayId {
        GatewayId(self.id(4))
    }
    pub(super) const fn gateway_2(self) -> GatewayId {
        GatewayId(self.id(5))
    }
    /// A bike; on the first side held by Anna.
    pub(super) const fn bike(self) -> MachineId {
        MachineId(self.id(6))
    }
    /// A bike; on the first side held by Boris.
    pub(super) const fn spare(self) -> MachineId {
        MachineId(self.id(7))
    }
    /// A rower whose gateway is silent: whoever may publish it announces it.
    pub(super) const fn rower(self) -> MachineId {
        MachineId(self.id(8))
    }
    /// In the team.
    pub(super) const fn anna(self) -> MemberId {
        MemberId(self.id(9))
    }
    /// In the other team.
    pub(super) const fn boris(self) -> MemberId {
        MemberId(self.id(10))
    }
    pub(super) const fn team(self) -> TeamId {
        TeamId(self.id(11))
    }
    pub(super) const fn team_2(self) -> TeamId {
        TeamId(self.id(12))
    }
    pub(super) const fn board(self) -> BoardId {
        BoardId(self.id(17))
    }
    pub(super) const fn staff(self) -> Uuid {
        self.id(13)
    }
    /// Of the gateway.
    pub(super) const fn device(self) -> DeviceId {
        DeviceId(self.id(17))
    }
    pub(super) const fn ticket(self) -> TicketId {
        TicketId(self.id(14))
    }
}

/// Who a role is in a stance.
pub(super) fn request(role: Role, stance: Stance) -> TokenRequest {
    let side = if stance == Stance::OtherTenant { B } else { A };
    let tenant = if matches!(stance, Stance::OtherTenant | Stance::StolenIds) { B } else { A }.tenant();
    let own = stance != Stance::OtherPerson;
    let subject = match role {
        Role::Member => if own { side.anna() } else { side.boris() }.0,
        Role::Machine => if own { side.rower() } else { side.spare() }.0,
        Role::Gateway => if own { side.gateway() } else { side.gateway_2() }.0,
        Role::Coach | Role::TeamManager | Role::Operator | Role::Display | Role::Service => {
            side.id(0x100 + role as u128 * 16 + stance as u128)
        }
    };
    let gyms = vec![if stance == Stance::OtherGym { side.away() } else { side.home() }];
    let teams = match role {
        Role::Coach | Role::TeamManager => vec![if own { side.team() } else { side.team_2() }],
        _ => vec![],
    };
    TokenRequest { tenant, role, subject, gyms, teams, at_ms: hub::clock::at_ms(), ttl_ms: 600_000 }
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) gym: GymId,
    pub(super) machine: MachineId,
    pub(super) link: MachineId,
    pub(super) workout: WorkoutId,
    pub(super) fence: u64,
    pub(super) member: MemberId,
    pub(super) team: TeamId,
    pub(super) ticket: TicketId,
    pub(super) gateway: GatewayId,
    pub(super) board: BoardId,
    pub(super) device: DeviceId,
}

impl Target {
    /// Things that nobody has.
    pub(super) fn nowhere(fence: u64) -> Self {
        let id = Uuid::now_v7;
        Self {
            gym: GymId(id()),
            machine: MachineId(id()),
            link: MachineId(id()),
            workout: WorkoutId(id()),
            fence,
            member: MemberId(id()),
            team: TeamId(id()),
            ticket: TicketId(id()),
            gateway: GatewayId(id()),
            board: BoardId(id()),
            device: DeviceId(id()),
        }
    }
}

/// The house with both chains in it.
pub(super) struct World {
    pub(super) http: reqwest::Client,
    pub(super) witness: Peer,
    pub(super) to_gateway: mpsc::Sender<ClientFrame>,
    gateway: Arc<Mutex<GatewayMemory>>,
    phone: Peer,
    _tasks: JoinSet<()>,
    claim: (WorkoutId, u64),
    /// Last, so that it drains when everybody has left.
    pub(super) house: TestHub,
}

impl World {
    /// Everything stands, and Anna and Boris train.
    pub(super) async fn open() -> Self {
        let house = TestHub::with(&[
            ("limits.frames_per_s", "100000"),
            ("limits.frames_burst", "1000000"),
            ("limits.bytes_per_s", "64MiB"),
            ("limits.bytes_burst", "64MiB"),
            ("limits.requests_per_subject_per_minute", "100000"),
            ("limits.requests_per_address_per_hour", "100000"),
            ("limits.logins_per_address_per_10m", "10000"),
            ("limits.connections_per_user", "200"),
        ])
        .await;
        for side in [A, B] {
            provision(&house, side).await;
        }
        let witness = connect(&house, &request(Role::Operator, Stance::OtherPerson)).await;
        let gateway = Arc::new(Mutex::new(GatewayMemory::default()));
        let link = connect(&house, &request(Role::Gateway, Stance::Own)).await;
        let (to_gateway, orders) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(attend(link, orders, gateway.clone()));
        for machine in [A.bike(), A.spare()] {
            to_gateway.send(hello_of(machine).into()).await.expect("the gateway lives");
        }
        to_gateway.send(bind_of(1, Some(A.bike())).into()).await.expect("the gateway lives");
        let phone = connect(&house, &request(Role::Member, Stance::Own)).await;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        let mut world = Self { house, http, witness, to_gateway, gateway, phone, _tasks: tasks, claim: (WorkoutId(Uuid::nil()), 0) };
        let mut boris = connect(&world.house, &request(Role::Member, Stance::OtherPerson)).await;
        world.take(&mut boris, A.spare()).await;
        world.hold().await;
        world.break_something().await;
        world
    }

    /// Anna holds the bike, again where something ended it.
    pub(super) async fn hold(&mut self) {
        let holder = self.house.node().hub.registry.machine(A.bike()).and_then(|place| place.holder);
        if holder == Some((A.anna(), self.claim.1)) && self.house.node().hub.registry.workout(self.claim.0).is_some() && !self.is_over() {
            return;
        }
        let mut phone = std::mem::replace(&mut self.phone, connect(&self.house, &request(Role::Member, Stance::Own)).await);
        self.claim = self.take(&mut phone, A.bike()).await;
        self.phone = phone;
    }

    /// Whether the workout was ended; its room stays until it is sealed.
    fn is_over(&self) -> bool {
        self.house.node().hub.registry.machine(A.bike()).is_none_or(|place| place.holder.is_none())
    }

    async fn take(&self, phone: &mut Peer, machine: MachineId) -> (WorkoutId, u64) {
        self.house.until("the machine is free", |hub| hub.registry.machine(machine).is_some_and(|place| place.holder.is_none())).await;
        let memory = self.gateway.clone();
        let shown = move || memory.lock().expect("not poisoned").codes.remove(&machine);
        let mut code = None;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while code.is_none() {
            assert!(tokio::time::Instant::now() < deadline, "waited 10 s for a code on {machine}");
            code = shown();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let req = phone.req();
        let by = ClaimBy::Code(Text::cut(&code.expect("shown")));
        let claimed = phone
            .request(Claim { req, gym: A.home(), by, hand_over: None }, req, |frame| match frame {
                ServerFrame::Claimed(claimed) if claimed.state == ClaimState::Granted => Some((claimed.workout, claimed.fence)),
                _ => None,
            })
            .await
            .expect("claimed");
        (claimed.0.expect("a workout"), claimed.1)
    }

    async fn break_something(&self) {
        let fault = MachineFault { machine: A.rower(), code: Text::cut("E7"), severity: Severity::Warning, subsystem: None, text: None };
        let (gym, machine, ticket, at_ms) = (A.home(), A.rower(), A.ticket(), hub::clock::at_ms());
        let node = self.house.node();
        let fact = Fact::Ticket { gym, machine, ticket, severity: Severity::Warning, fault: Box::new(fault), at_ms };
        node.hub.recorder.persist(fact).expect("taken");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while node.hub.store.tickets(A.tenant(), gym).await.expect("the store answers").is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "the ticket was not stored");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stored = node.hub.store.machine(A.tenant(), machine).await.expect("the store answers").expect("it was put");
        node.hub.add_machine(gym, seed::machine_record(stored));
    }

    /// What the first side has.
    pub(super) fn target(&self) -> Target {
        let (workout, fence) = self.claim;
        Target {
            gym: A.home(),
            machine: A.bike(),
            link: A.rower(),
            workout,
            fence,
            member: A.anna(),
            team: A.team(),
            ticket: A.ticket(),
            gateway: A.gateway(),
            board: A.board(),
            device: A.device(),
        }
    }

    /// A socket of somebody.
    pub(super) async fn peer(&self, role: Role, stance: Stance) -> Peer {
        connect(&self.house, &request(role, stance)).await
    }

    /// A token of somebody.
    pub(super) fn token(&self, request: &TokenRequest) -> String {
        self.house.node().issuer.as_ref().expect("dev has an issuer").token(request).expect("signed")
    }

    /// Waits until the shard of the first gym stepped everything that was sent to it before.
    pub(super) async fn settle(&mut self) {
        self.witness.join(RoomName::Floor(A.home())).await.expect("staff of the gym");
    }

    /// What the gateway was told to do with members and machines, and forgets it.
    pub(super) fn orders(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.gateway.lock().expect("not poisoned").orders)
    }

    /// Everything that nobody may change who may not.
    pub(super) async fn state(&mut self) -> String {
        let registry = &self.house.node().hub.registry;
        let places = [A.bike(), A.spare(), A.rower()].map(|machine| registry.machine(machine));
        let workout = registry.workout(self.claim.0);
        let store = &self.house.node().hub.store;
        let tenant = A.tenant();
        let member = store.member(tenant, A.anna()).await.expect("the store answers");
        let (gyms, teams) = (store.gyms(tenant).await.expect("gyms"), store.teams(tenant).await.expect("teams"));
        let members = store.members(tenant, None, 1000).await.expect("members").len();
        let machines = store.machines(tenant, A.home()).await.expect("machines").len();
        let tickets = store.tickets(tenant, A.home()).await.expect("tickets");
        let log = store.maintenance_log(tenant, A.rower()).await.expect("a log");
        let detail = store.workout(tenant, self.claim.0).await.expect("the store answers");
        let boards = store.boards_of(tenant, A.home()).await.expect("boards");
        let logged = detail.map(|detail| (detail.record.ended_at_ms, detail.logged.len()));
        format!(
            "{places:?}\n{workout:?}\n{member:?}\n{gyms:?}\n{teams:?}\n{members} {machines}\n{tickets:?}\n{log:?}\n{logged:?}\n{boards:?}"
        )
    }
}

/// A socket for a token request.
pub(super) async fn connect(house: &TestHub, request: &TokenRequest) -> Peer {
    let token = house.node().issuer.as_ref().expect("dev has an issuer").token(request).expect("signed");
    Peer::connect(&house.url(), Options::new(token)).await.expect("welcome")
}

/// What a machine says of itself.
pub(super) fn hello_of(machine: MachineId) -> MachineHello {
    MachineHello { machine, ..house::bike_hello() }
}

/// A source of a machine, or of the subject's own device, named by its slot.
pub(super) fn bind_of(slot: u16, machine: Option<MachineId>) -> Bind {
    let sensor = Text::cut(&format!("sensor {slot}"));
    Bind { slot, machine, sensor, boot: 1, nonce: 7, clock: slot, held: SeqRanges::new(), quirk: None, claim_from_seq: None }
}

pub(super) async fn provision(house: &TestHub, side: Side) {
    let (hub, tenant) = (&house.node().hub, side.tenant());
    let gym = |gym| GymRecord { gym, name: Text::cut("Gym"), time_zone: Text::cut("Europe/Rome"), units: Units::Metric, addresses: vec![] };
    hub.store.put_gyms(tenant, &[gym(side.home()), gym(side.away())]).await.expect("gyms");
    let gateway = |gateway, gym| GatewayRecord { gateway, gym, name: Text::cut("Gateway") };
    let away = GatewayId(side.id(15));
    let gateways = [gateway(side.gateway(), side.home()), gateway(side.gateway_2(), side.home()), gateway(away, side.away())];
    hub.store.put_gateways(tenant, &gateways).await.expect("gateways");
    let machine = |machine, gym, gateway| MachineRecord {
        machine,
        gym,
        name: Text::cut("Machine"),
        kind: MachineKind::Bike,
        location: Text::cut("Hall"),
        gateway: Some(gateway),
        powered: false,
    };
    let machines = [
        machine(side.bike(), side.home(), side.gateway()),
        machine(side.spare(), side.home(), side.gateway()),
        machine(side.rower(), side.home(), side.gateway()),
        machine(MachineId(side.id(16)), side.away(), away),
    ];
    hub.store.put_machines(tenant, &machines).await.expect("machines");
    let code_hash = *side.device().0.as_bytes();
    let code_hash = [code_hash, code_hash].concat().try_into().expect("32 bytes");
    let at_ms = hub::clock::at_ms();
    let by = storage::Actor { role: Role::Service, id: side.staff() };
    let offer = storage::Enrolment {
        code_hash,
        gym: side.home(),
        role: Role::Gateway,
        subject: side.gateway().0,
        name: Text::cut("left wall"),
        until_at_ms: at_ms + 60_000,
    };
    hub.store.offer_enrolment(tenant, &offer, by, at_ms).await.expect("a code");
    let redeemed = hub.store.redeem(code_hash, code_hash, side.device(), at_ms).await.expect("a device");
    hub.devices.put(redeemed.device);
    let member = |member, handle: &str| MemberRecord { handle: Some(Text::cut(handle)), ..MemberRecord::new(member) };
    hub.store.put_members(tenant, &[member(side.anna(), "Anna"), member(side.boris(), "Boris")]).await.expect("members");
    let staff = StaffRecord { staff: protocol::StaffId(side.staff()), role: Role::Coach, name: Text::cut("Kim"), gyms: vec![] };
    hub.store.put_staff(tenant, &[staff]).await.expect("staff");
    let team = |team, member| TeamRecord { team, name: Text::cut("Team"), sport: None, staff: vec![], members: vec![member] };
    hub.store.put_teams(tenant, &[team(side.team(), side.anna()), team(side.team_2(), side.boris())]).await.expect("teams");
    hub.store.put_boards(tenant, &[board_of(side, side.board())]).await.expect("boards");
    for gym in [side.home(), side.away()] {
        hub.add_gym(gym, tenant, Text::cut("Gym"));
        for stored in hub.store.machines(tenant, gym).await.expect("machines") {
            hub.add_machine(gym, seed::machine_record(stored));
        }
    }
    hub.add_board(side.home(), seed::board_record(BoardSeed { record: board_of(side, side.board()), scores: vec![] }));
}

/// A board of the first gym of a chain that counts now.
pub(super) fn board_of(side: Side, board: BoardId) -> BoardRecord {
    let (gym, name, starts_at_ms) = (side.home(), Text::cut("Today"), hub::clock::at_ms() / 86_400_000 * 86_400_000);
    let (metric, ends_at_ms) = (BoardMetric::Energy, starts_at_ms + 2 * 86_400_000);
    BoardRecord { board, gym, name, metric, machines: vec![], starts_at_ms, ends_at_ms, every_ms: 1_000 }
}
