//! A whole session: upgrade, hello, and whatever frames follow, against a node in this process over a real socket.
//!
//! Input: `[who, hello?, ...]`, then messages as `[opcode and flags, length, bytes...]`. The node must take the connection and the upgrade, and the
//! connection must end by itself within seconds, for a catalogued reason other than `internal`; a panic in any task of the node ends the run. Rooms, shards
//! and the store are real.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use config::{Profile, Sources};
use hub::auth::TokenRequest;
use hub::{Node, seed};
use libfuzzer_sys::fuzz_target;
use protocol::frame::{Hello, JoinRoom, MachineKind, Role};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{ClientFrame, GatewayId, GymId, MachineId, MemberId, RoomName, TeamId, TenantId};
use storage::{GatewayRecord, GymRecord, MachineRecord, MemberRecord, TeamRecord, Units};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(10);
/// Ids as in the golden files, whose frames are the seeds.
const GOLDEN: u128 = 0x0199_0000_0000_7000_8000_0000_0000_0000;
const TENANT: TenantId = TenantId(Uuid::from_u128(0xA));
const INTERNAL: &str = "spotter_closes_total{reason=\"internal\"} ";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static NODE: LazyLock<Node> = LazyLock::new(|| RUNTIME.block_on(node()));

fn golden(last: u128) -> Uuid {
    Uuid::from_u128(GOLDEN + last)
}

/// A node with one gym, in which every golden id means something.
async fn node() -> Node {
    // Lives as long as the process.
    let folder = tempfile::tempdir().expect("a folder").keep();
    let mut sources = Sources::of(Profile::Dev);
    for (key, value) in [
        ("listen.address", "127.0.0.1:0".to_owned()),
        ("store.url", format!("sqlite:{}", folder.join("fuzz.db").display())),
        ("shards.count", "2".to_owned()),
        ("limits.connections_per_user", "4096".to_owned()),
        ("limits.connections_per_device", "4096".to_owned()),
        ("limits.unauthenticated_per_address", "4096".to_owned()),
    ] {
        sources = sources.flag(key, value, "fuzz");
    }
    let node = hub::start(config::load(&sources).expect("a good configuration")).await.expect("the node starts");
    let hub = &node.hub;
    let (gym, gateway) = (GymId(golden(0xa)), GatewayId(golden(0xb)));
    let name = || Text::cut("Fuzz");
    let record = GymRecord { gym, name: Text::cut("Fuzz"), time_zone: Text::cut("Europe/Rome"), units: Units::Metric, addresses: vec![] };
    hub.store.put_gyms(TENANT, &[record]).await.expect("a gym");
    hub.store.put_gateways(TENANT, &[GatewayRecord { gateway, gym, name: Text::cut("Gateway") }]).await.expect("a gateway");
    hub.add_gym(gym, TENANT, Text::cut("Fuzz"));
    for (last, kind) in [(0xa, MachineKind::Bike), (0xc, MachineKind::Treadmill)] {
        let machine = MachineId(golden(last));
        let powered = kind == MachineKind::Treadmill;
        let record = MachineRecord { machine, gym, name: name(), kind, location: name(), gateway: Some(gateway), powered };
        hub.store.put_machines(TENANT, &[record]).await.expect("a machine");
        let stored = hub.store.machine(TENANT, machine).await.expect("read").expect("just put");
        hub.add_machine(gym, seed::machine_record(stored));
    }
    hub.store.put_members(TENANT, &[MemberRecord::new(MemberId(golden(0xa)))]).await.expect("a member");
    let team =
        TeamRecord { team: TeamId(golden(0xa)), name: Text::cut("Team"), sport: None, staff: vec![], members: vec![MemberId(golden(0xa))] };
    hub.store.put_teams(TENANT, &[team]).await.expect("a team");
    node
}

fn token(role: Role) -> String {
    let subject = if role == Role::Gateway { golden(0xb) } else { golden(0xa) };
    let request = TokenRequest {
        tenant: TENANT,
        role,
        subject,
        gyms: vec![GymId(golden(0xa))],
        teams: if role == Role::Coach { vec![TeamId(golden(0xa))] } else { vec![] },
        at_ms: hub::clock::at_ms(),
        ttl_ms: 3_600_000,
    };
    NODE.issuer.as_ref().expect("dev has an issuer").token(&request).expect("signed")
}

static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| ROLES.map(token).to_vec());
const ROLES: [Role; 6] = [Role::Member, Role::Coach, Role::Operator, Role::Machine, Role::Gateway, Role::Display];

fuzz_target!(|bytes: &[u8]| {
    let [who, hello, rest @ ..] = bytes else { return };
    let encoding = Encoding::ALL[usize::from(who >> 7)];
    let mut wire = Vec::new();
    if hello & 1 == 0 {
        let token = Text::cut(&TOKENS[usize::from(*who) % TOKENS.len()]);
        let join = JoinRoom { room: RoomName::Floor(GymId(golden(0xa))), epoch: None, offset: 0, every_ms: 0, fields: 0 };
        let rooms = if hello & 2 == 0 { vec![join] } else { vec![] };
        let frame = ClientFrame::from(Hello { token, rooms, ticket: None, client: None, device: None, enrolled: None });
        message(0x81 + u8::from(encoding == Encoding::MessagePack), &frame.to_bytes(encoding), &mut wire);
    }
    messages(rest, encoding, &mut wire);
    message(0x88, &1000_u16.to_be_bytes(), &mut wire);
    let ended = RUNTIME.block_on(async { tokio::time::timeout(SOON, converse(encoding, &wire)).await });
    // A node that is gone, or refuses everybody, would make every input a good one.
    ended.expect("the connection does not end").expect("the node takes a connection and upgrades it");
    let metrics = NODE.hub.metrics.scrape();
    let internal = metrics.lines().find_map(|line| line.strip_prefix(INTERNAL));
    assert!(internal.is_none_or(|count| count == "0"), "a session ended as internal");
});

/// Messages of the input: data frames as they are, now and then other opcodes, pieces and lying lengths.
fn messages(mut rest: &[u8], encoding: Encoding, wire: &mut Vec<u8>) {
    let data = 0x81 + u8::from(encoding == Encoding::MessagePack);
    while let [first, length, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        match first {
            0..0xe0 => message(data, payload, wire),
            0xe0..0xf0 => message(0x80 | (first & 0x0f), payload, wire),
            0xf0..0xf8 => message(first & 0x0f, payload, wire),
            _ => wire.extend_from_slice(payload),
        }
    }
}

/// A client frame with a mask key of zeros.
fn message(first: u8, payload: &[u8], wire: &mut Vec<u8>) {
    wire.push(first);
    match payload.len() {
        short @ 0..=125 => wire.push(0x80 | short as u8),
        long => {
            wire.push(0x80 | 126);
            wire.extend_from_slice(&(long as u16).to_be_bytes());
        }
    }
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(payload);
}

/// Upgrades, says all of it, then listens until the hub closes. An error where there is no hub to say it to.
async fn converse(encoding: Encoding, wire: &[u8]) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(NODE.address).await?;
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: fuzz\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: bGlnaHR3ZWlnaHQgcGVlcg==\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        encoding.subprotocol()
    );
    socket.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    socket.read_exact(&mut status).await?;
    if status != *b"HTTP/1.1 101" {
        return Err(std::io::Error::other(String::from_utf8_lossy(&status).into_owned()));
    }
    let (mut read, mut write) = socket.split();
    let say = async {
        write.write_all(wire).await?;
        write.shutdown().await
    };
    let mut sink = Vec::new();
    // A hub that closed first lets neither finish in peace.
    let (_said, _heard) = tokio::join!(say, read.read_to_end(&mut sink));
    Ok(())
}
