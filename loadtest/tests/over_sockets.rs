//! The simulated gateway over a real socket, in both encodings, towards the house's own examiner.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;
use std::time::Duration;

use loadtest::examine::{Examiner, serve};
use loadtest::gateway::{MachineSpec, Mischief, SimGateway, Tongue};
use loadtest::{Options, Workout};
use protocol::MachineId;
use protocol::frame::MachineKind;
use protocol::ftms::Layout;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(20);

async fn hears_what_is_stored_and_comes_back(options: Options) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
    let mut hub = JoinSet::new();
    hub.spawn(serve(Examiner::new(), listener, PATIENCE));
    let machine = MachineId(uuid::Uuid::from_u128(9));
    let mut spec = MachineSpec::new(machine, MachineKind::Rower);
    spec.tongue = Tongue::Raw { layout: Layout::Xml2017, bytes_max: 20 };
    let gateway = SimGateway::start(&url, options, vec![spec], 20.0, Mischief::default(), 1);
    let workout = Arc::new(Workout::shipped().swap_remove(0));
    gateway.with(|core, now_ms| core.at(machine, |machine, out| machine.play(workout, 20.0, now_ms, out)));
    let stored = |core: &loadtest::Gateway| core.machines()[0].sources()[0].stored().count();
    gateway.wait_for("readings that are stored", PATIENCE, |core| stored(core) > 0).await.unwrap();
    gateway.set_online(false);
    gateway.wait_for("a cut line", PATIENCE, |core| !core.is_connected()).await.unwrap();
    let before = gateway.with(|core, _| stored(core));
    gateway.set_online(true);
    gateway.wait_for("more that is stored", PATIENCE, |core| core.counts().connects == 2 && stored(core) > before).await.unwrap();
    assert!(gateway.numbered_at(machine, gateway.with(|core, _| core.machines()[0].sources()[0].last_seq())).is_some());
}

#[tokio::test]
async fn in_messagepack() {
    hears_what_is_stored_and_comes_back(Options::new("any")).await;
}

#[tokio::test]
async fn in_json() {
    hears_what_is_stored_and_comes_back(Options::new("any").json()).await;
}
