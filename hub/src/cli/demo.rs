//! `spotter demo`: the hub on its embedded defaults, with a gym of forty machines that trains by itself.
//!
//! In: nothing. Out: a running hub in the `dev` profile, its data in a temporary folder unless a store is named, links on standard output. The gym sees the hub
//! as machines and phones do, over its socket. Ctrl-C drains.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use config::{Config, Profile};
use hub::Node;
use hub::auth::{TokenRequest, personas};
use loadtest::gym::floor;
use loadtest::{GymPlan, SimulatedGym, SimulatedMember};
use protocol::frame::{BoardMetric, Role};
use protocol::text::Text;
use protocol::{BoardId, GatewayId, MachineId, MemberId};
use storage::{BoardRecord, Consents, GatewayRecord, GymRecord, MachineRecord, MemberRecord, TeamRecord, Units};
use uuid::Uuid;

use super::serve;
use crate::Settings;

/// People who come and go besides the personas.
const MEMBERS: u128 = 24;
/// Tokens of the demo are good for this long.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// 1 January 2020, UTC, in seconds: boots count from here, so that each start of the demo is a newer boot.
const BOOTS_FROM_S: i64 = 1_577_836_800;

/// Runs the demo until Ctrl-C.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let config = configuration(settings, folder.path())?;
    super::log::start(&config.log, None);
    let runtime = serve::runtime(&config)?;
    let code = runtime.block_on(demo(config))?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

/// The `dev` defaults, with a store and a port that are free, unless the operator said others.
fn configuration(settings: &Settings, folder: &std::path::Path) -> anyhow::Result<Config> {
    let sources = settings.sources(Profile::Dev)?;
    let config = config::load(&sources)?;
    let said = |key: &str| {
        config::show(&sources).is_ok_and(|shown| shown.iter().any(|one| one.key == key && one.origin != config::Origin::Default))
    };
    let mut sources = sources.clone();
    if !said("store.url") {
        sources = sources.flag("store.url", format!("sqlite:{}", folder.join("demo.db").display()), "the demo");
    }
    if !said("listen.address") && TcpListener::bind(config.listen.address).is_err() {
        sources = sources.flag("listen.address", SocketAddr::new(config.listen.address.ip(), 0).to_string(), "the demo");
    }
    Ok(config::load(&sources)?)
}

async fn demo(config: Config) -> anyhow::Result<ExitCode> {
    let node = hub::start(config).await?;
    provision(&node).await.context("the demo's gym could not be provisioned")?;
    let gym = SimulatedGym::start(&plan(&node)?);
    links(&node)?;
    serve::until_the_end(&node).await?;
    // The gym closes first: nobody trains for real, so that Ctrl-C need not wait for a set to end.
    drop(gym);
    Ok(serve::drain(node).await)
}

fn machine(index: usize) -> MachineId {
    MachineId(Uuid::from_u128(personas::GYM.0.as_u128() + 0x1_0000 + index as u128))
}

fn gateway(index: usize) -> GatewayId {
    GatewayId(Uuid::from_u128(personas::GYM.0.as_u128() + 0x2_0000 + index as u128))
}

fn member(index: u128) -> MemberId {
    MemberId(Uuid::from_u128(personas::GYM.0.as_u128() + 0x3_0000 + index))
}

/// The gym, its machines and people, in the store and in the running hub.
async fn provision(node: &Node) -> anyhow::Result<()> {
    let (hub, tenant, gym) = (&node.hub, personas::TENANT, personas::GYM);
    let name = Text::cut("Spotter Demo Gym");
    let zone = Text::cut("Europe/Rome");
    hub.store.put_gyms(tenant, &[GymRecord { gym, name: name.clone(), time_zone: zone, units: Units::Metric, addresses: vec![] }]).await?;
    let gateways = [0, 1].map(|index| GatewayRecord { gateway: gateway(index), gym, name: Text::cut(&format!("Gateway {}", index + 1)) });
    hub.store.put_gateways(tenant, &gateways).await?;
    let machines: Vec<MachineRecord> = floor()
        .into_iter()
        .enumerate()
        .map(|(index, place)| MachineRecord {
            machine: machine(index),
            gym,
            name: Text::cut(&place.name),
            kind: place.kind,
            location: Text::cut(place.location),
            gateway: Some(gateway(place.gateway)),
            powered: place.powered,
        })
        .collect();
    hub.store.put_machines(tenant, &machines).await?;
    let people = people();
    hub.store.put_members(tenant, &people).await?;
    let members = people.iter().map(|person| person.member).collect();
    let team = TeamRecord { team: personas::TEAM, name: Text::cut("Demo team"), sport: None, staff: vec![], members };
    hub.store.put_teams(tenant, &[team]).await?;
    hub.add_gym(gym, tenant, name);
    let board = board();
    hub.store.put_boards(tenant, std::slice::from_ref(&board)).await?;
    for stored in hub.store.machines(tenant, gym).await? {
        hub.add_machine(gym, hub::seed::machine_record(stored));
    }
    if let Some(seed) = hub.store.board(tenant, board.board).await? {
        hub.add_board(gym, hub::seed::board_record(seed));
    }
    Ok(())
}

/// Who rode, ran and rowed farthest since the demo began.
fn board() -> BoardRecord {
    let board = BoardId(Uuid::from_u128(personas::GYM.0.as_u128() + 0x4_0000));
    let starts_at_ms = hub::clock::at_ms();
    let ends_at_ms = starts_at_ms + i64::try_from(TOKEN_LIFE.as_millis()).unwrap_or(i64::MAX);
    let (name, metric) = (Text::cut("Farthest so far"), BoardMetric::Distance);
    BoardRecord { board, gym: personas::GYM, name, metric, machines: vec![], starts_at_ms, ends_at_ms, every_ms: 500 }
}

/// The personas who train, and two dozen others; every second one shows a handle on the wall.
fn people() -> Vec<MemberRecord> {
    const HANDLES: [&str; 12] = ["Comet", "Iris", "Juno", "Atlas", "Nova", "Otter", "Pixel", "Quill", "Raven", "Sable", "Tango", "Vesper"];
    let own =
        personas::ALL.iter().filter(|persona| persona.role == Role::Member).map(|persona| MemberRecord::new(MemberId(persona.subject)));
    let others = (0..MEMBERS).map(|index| {
        let mut record = MemberRecord::new(member(index));
        if index % 2 == 0 {
            record.handle = Some(Text::cut(HANDLES[(index / 2) as usize % HANDLES.len()]));
            record.consents = Consents { wall: true, ..Consents::default() };
            record.max_heart_rate_bpm = Some(195);
        }
        record
    });
    own.chain(others).collect()
}

fn plan(node: &Node) -> anyhow::Result<GymPlan> {
    let members = (0..MEMBERS)
        .map(|index| Ok(SimulatedMember { member: member(index), token: token(node, Role::Member, member(index).0)? }))
        .collect::<anyhow::Result<_>>()?;
    Ok(GymPlan {
        url: format!("ws://{}/v1/ws", node.address),
        gym: personas::GYM,
        gateway_tokens: [token(node, Role::Gateway, gateway(0).0)?, token(node, Role::Gateway, gateway(1).0)?],
        machines: (0..floor().len()).map(machine).collect(),
        members,
        speed: 1.0,
        seed: rand::random(),
        boot: u32::try_from(hub::clock::at_ms() / 1000 - BOOTS_FROM_S).context("the clock is before 2020")?,
    })
}

fn token(node: &Node, role: Role, subject: Uuid) -> anyhow::Result<String> {
    let issuer = node.issuer.as_ref().context("the demo needs dev.built_in_issuer")?;
    let request = TokenRequest {
        tenant: personas::TENANT,
        role,
        subject,
        gyms: vec![personas::GYM],
        teams: vec![],
        at_ms: hub::clock::at_ms(),
        ttl_ms: i64::try_from(TOKEN_LIFE.as_millis())?,
    };
    Ok(issuer.token(&request)?)
}

/// Where to look.
fn links(node: &Node) -> anyhow::Result<()> {
    let base = format!("http://{}", node.address);
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nSpotter's demo gym is open: forty machines on real workouts, members coming and going.\n")?;
    let links = [
        ("start here", "/"),
        ("the floor wall", "/floor#as=display"),
        ("the board", "/board#as=display"),
        ("for operators", "/floor#as=operator"),
        ("a phone", "/phone#as=member"),
        ("numbers", "/metrics"),
    ];
    for (what, path) in links {
        writeln!(out, "  {what:<15} {base}{path}")?;
    }
    writeln!(out, "\nCtrl-C drains. Nothing is kept afterwards unless you named a store.\n")?;
    Ok(())
}
