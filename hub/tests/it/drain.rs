//! The end of a node: in which order and how fast it lets go, and that nobody who was let in is refused.

use std::time::Duration;

use loadtest::Peer;
use protocol::frame::{Bind, MachineHello, MachineKind, Role, Sample};
use protocol::text::Text;
use protocol::{CloseReason, MachineId, SeqRanges, ServerFrame};
use storage::MachineRecord;
use tokio::time::Instant;
use uuid::Uuid;

use crate::house::{ANNA, BORIS, GATEWAY, GYM, TENANT, TestHub, bike_hello, claim, sample};

/// A second bike on the gateway of the first.
const OTHER_BIKE: MachineId = MachineId(Uuid::from_u128(0x67));

/// The second bike is known, said and bound as slot 2; answers its code.
async fn other_bike(hub: &TestHub, gateway: &mut Peer) -> String {
    let house = &hub.node().hub;
    let record = MachineRecord {
        machine: OTHER_BIKE,
        gym: GYM,
        name: Text::cut("Bike 2"),
        kind: MachineKind::Bike,
        location: Text::cut("Hall"),
        gateway: Some(GATEWAY),
        powered: false,
    };
    house.store.put_machines(TENANT, &[record]).await.expect("a machine");
    let stored = house.store.machine(TENANT, OTHER_BIKE).await.expect("a machine").expect("it was put");
    house.add_machine(GYM, hub::seed::machine_record(stored));
    gateway.send(MachineHello { machine: OTHER_BIKE, ..bike_hello() }).await.expect("sent");
    let code = gateway.expect("show_code", |frame| match frame {
        ServerFrame::ShowCode(show) if show.machine == OTHER_BIKE => Some(show.code.to_string()),
        _ => None,
    });
    let code = code.await.expect("a code");
    let (sensor, held) = (Text::cut("ftms"), SeqRanges::new());
    let bind = Bind { slot: 2, machine: Some(OTHER_BIKE), sensor, boot: 1, nonce: 8, clock: 0, held, quirk: None, claim_from_seq: None };
    gateway.send(bind).await.expect("sent");
    gateway.expect("bound", |frame| matches!(frame, ServerFrame::Bound(bound) if bound.slot == 2).then_some(())).await.expect("bound");
    code
}

/// Waits to be told to move, goes, and answers when it was told.
async fn told(mut peer: Peer) -> Instant {
    peer.expect("move", |frame| matches!(frame, ServerFrame::Move(_)).then_some(())).await.expect("told to move");
    let at = Instant::now();
    peer.close().await.expect("goes");
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_idle_goes_first_then_who_rests_and_a_set_in_progress_last() {
    let hub = TestHub::with(&[("drain.sessions_per_s", "100")]).await;
    let (mut gateway, code) = hub.bike(1).await;
    let (mut resting, mut trains) = (hub.phone().await, hub.peer(Role::Member, BORIS.0).await);
    claim(&mut resting, &mut gateway, &code).await;
    let code = other_bike(&hub, &mut gateway).await;
    let req = trains.req();
    let by = protocol::frame::ClaimBy::Code(Text::cut(&code));
    trains.send(protocol::frame::Claim { req, gym: GYM, by, hand_over: None }).await.expect("sent");
    trains.expect("claimed", |frame| matches!(frame, ServerFrame::Claimed(_)).then_some(())).await.expect("granted");
    gateway.send(Sample { slot: 2, ..sample(1, 200) }).await.expect("sent");
    gateway.expect("ack", |frame| matches!(frame, ServerFrame::Ack(_)).then_some(())).await.expect("accepted");
    let mut idle = tokio::task::JoinSet::new();
    for n in 0..20 {
        idle.spawn(told(hub.peer(Role::Operator, Uuid::from_u128(0x900 + n)).await));
    }
    let others = async { tokio::join!(idle.join_all(), told(resting), told(gateway), told(trains)) };
    let (left, (idle, resting, gateway, trains)) = tokio::join!(hub.end(), others);
    assert_eq!((left.sessions_closed, left.rows, left.facts, left.tasks.len()), (0, 0, 0, 0), "{left:?}");
    let (first, last) = (idle.iter().min().expect("some"), idle.iter().max().expect("some"));
    assert!(*last - *first >= Duration::from_millis(150), "twenty at a hundred a second: {:?}", *last - *first);
    // Machine and member of a set may be told in one batch, and then hear of it in any order.
    assert!(
        *last <= resting && resting <= gateway && resting <= trains && gateway <= trains + Duration::from_millis(20),
        "idle {:?}, resting {:?}, its machine {:?}, set {:?}",
        last,
        resting,
        gateway,
        trains
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_accepted_before_the_drain_is_let_in_and_told_to_move() {
    let hub = TestHub::start().await;
    // The connection stands, nothing was said yet: the drain begins, then it says who it is.
    let late = Peer::dial(&hub.url(), hub.options(Role::Member, ANNA.0)).await.expect("upgraded");
    let hello = hub.options(Role::Member, ANNA.0).hello();
    let house = hub.node().hub.clone();
    let comes = async move {
        let mut late = late;
        while !house.is_draining() {
            tokio::task::yield_now().await;
        }
        late.send(hello).await.expect("sent");
        late.expect("welcome", |frame| matches!(frame, ServerFrame::Welcome(_)).then_some(())).await.expect("let in");
        told(late).await
    };
    // Somebody who stays until the end keeps the drain going.
    let mut stays = hub.peer(Role::Operator, Uuid::from_u128(0x900)).await;
    let stays = async move { stays.expect_close(CloseReason::Drain).await.expect("closed at the end") };
    let (left, _, ()) = tokio::join!(hub.end(), comes, stays);
    assert_eq!((left.sessions_closed, left.tasks.len()), (1, 0), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_said_nothing_does_not_hold_up_the_end() {
    let hub = TestHub::start().await;
    let silent = tokio::net::TcpStream::connect(hub.node().address).await.expect("connected");
    while hub.node().hub.tasks.running("connection") == 0 {
        tokio::task::yield_now().await;
    }
    let left = hub.end().await;
    assert!(left.tasks.is_empty(), "{left:?}");
    drop(silent);
}
