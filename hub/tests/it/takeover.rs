//! One hub takes over from another on the same listener and the same store: nobody is refused, nothing is lost, no claim is forgotten or comes back.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use loadtest::Peer;
use protocol::frame::{Bind, HeldClaim, MachineHello, Release, Role};
use protocol::text::Text;
use protocol::{RoomName, SeqRanges, ServerFrame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::house::{ANNA, BIKE, BORIS, GATEWAY, TENANT, TestHub, bike_hello, claim, sample};

/// Connects again and again, asks one question each, and answers how many times it was refused and how many times it was served.
async fn knock(address: SocketAddr, stop: CancellationToken) -> (usize, usize) {
    let (mut refused, mut served) = (0, 0);
    while !stop.is_cancelled() {
        match ask(address).await {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => served += 1,
            Ok(_) | Err(_) => refused += 1,
        }
    }
    (refused, served)
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(b"GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The bike on a new connection, with what it kept.
async fn bike_again(hub: &TestHub, held: SeqRanges, kept: Option<HeldClaim>) -> Peer {
    let mut gateway = hub.peer(Role::Gateway, GATEWAY.0).await;
    gateway.send(MachineHello { claim: kept, ..bike_hello() }).await.expect("sent");
    let bind = Bind {
        slot: 1,
        machine: Some(BIKE),
        sensor: Text::cut("ftms"),
        boot: 1,
        nonce: 7,
        clock: 0,
        held,
        quirk: None,
        claim_from_seq: None,
    };
    gateway.send(bind).await.expect("sent");
    gateway.expect("bound", |frame| matches!(frame, ServerFrame::Bound(_)).then_some(())).await.expect("bound");
    gateway
}

/// Waits to be told to move, and goes.
async fn moves(mut peer: Peer) -> Peer {
    peer.expect("move", |frame| matches!(frame, ServerFrame::Move(_)).then_some(())).await.expect("told to move");
    peer
}

/// Waits until the gateway hears that everything up to `through` is stored.
async fn stored(gateway: &mut Peer, through: u32) {
    let all = |frame: &ServerFrame| match frame {
        ServerFrame::Ack(ack) => ack.acks.iter().any(|one| one.stored.contains(through)).then_some(()),
        _ => None,
    };
    gateway.expect("stored", all).await.expect("stored");
}

/// Readings that are stored of the tenant.
async fn rows(hub: &TestHub) -> u64 {
    hub.node().hub.store.checksums(TENANT).await.expect("read").iter().map(|source| source.checksum.rows).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_hub_takes_over_without_a_refused_connect_or_a_lost_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let old = TestHub::beside(folder.path(), &listener, true).await;
    let stop = CancellationToken::new();
    let mut knocking = tokio::task::JoinSet::new();
    knocking.spawn(knock(address, stop.clone()));
    let (mut gateway, code) = old.bike(1).await;
    let mut anna = old.phone().await;
    let (workout, fence) = claim(&mut anna, &mut gateway, &code).await;
    gateway.send_all(&(1..=20).map(|seq| sample(seq, 100).into()).collect::<Vec<_>>()).await.expect("sent");
    stored(&mut gateway, 20).await;

    let new = TestHub::beside(folder.path(), &listener, false).await;
    // What is said to the old one until the last moment counts too.
    gateway.send_all(&(21..=40).map(|seq| sample(seq, 100).into()).collect::<Vec<_>>()).await.expect("sent");
    let kept = HeldClaim { member: ANNA, fence, workout };
    let moved = async {
        let (gateway, anna) = tokio::join!(moves(gateway), moves(anna));
        let resume = anna.resume();
        drop((gateway, anna));
        let gateway = bike_again(&new, SeqRanges::from_iter([(21, 40)]), Some(kept)).await;
        (gateway, Peer::connect(&new.url(), resume).await.expect("welcome"))
    };
    let (left, (mut gateway, mut anna)) = tokio::join!(old.end(), moved);
    assert_eq!((left.rows, left.facts, left.tasks.len(), left.sessions_closed), (0, 0, 0, 0), "{left:?}");
    gateway.send_all(&(41..=60).map(|seq| sample(seq, 100).into()).collect::<Vec<_>>()).await.expect("sent");
    stored(&mut gateway, 60).await;

    let joined = anna.join(RoomName::Member(ANNA)).await.expect("watched");
    let Some(protocol::frame::Snapshot::Member(snapshot)) = joined.snapshot else { panic!("the member's room") };
    let held = snapshot.claim.expect("the claim went on");
    assert_eq!((held.machine, held.claim), (BIKE, kept));
    assert_eq!(rows(&new).await, 60, "each reading once");
    stop.cancel();
    let (refused, served) = knocking.join_next().await.expect("one knocks").expect("ended");
    assert_eq!(refused, 0, "of {served}");
    assert!(served > 20, "{served}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_old_hub_changed_after_the_new_one_began_is_known_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let old = TestHub::beside(folder.path(), &listener, true).await;
    let (mut gateway, code) = old.bike(1).await;
    let mut anna = old.phone().await;
    let (_, fence) = claim(&mut anna, &mut gateway, &code).await;
    let persisted = async {
        while old.node().hub.store.machine(TENANT, BIKE).await.expect("read").is_none_or(|seed| seed.claim.is_none()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), persisted).await.expect("the claim is stored");

    // The new one reads that Anna holds the bike; then she gives it back at the old one, and Boris's tokens are revoked there.
    let new = TestHub::beside(folder.path(), &listener, false).await;
    new.until("it knows the claim", |hub| hub.registry.machine(BIKE).is_some_and(|place| place.holder.is_some())).await;
    let req = anna.req();
    anna.request(Release { req, machine: BIKE, fence }, req, |frame| matches!(frame, ServerFrame::Done(_)).then_some(()))
        .await
        .expect("given back");
    let now = hub::clock::at_ms();
    let revoked = storage::Revoked::Subject(BORIS.0, now + 1_000);
    let revocation = storage::Revocation { tenant: TENANT, revoked, until_at_ms: now + 3_600_000 };
    old.node().hub.store.revoke(&revocation).await.expect("revoked in the store");
    let moved = async {
        let (gateway, anna) = tokio::join!(moves(gateway), moves(anna));
        drop((gateway, anna));
    };
    tokio::join!(old.end(), moved);
    new.until("the claim is over there too", |hub| hub.registry.machine(BIKE).is_some_and(|place| place.holder.is_none())).await;
    let mut gateway = bike_again(&new, SeqRanges::new(), None).await;
    let shown =
        gateway.expect("show_code", |frame| if let ServerFrame::ShowCode(show) = frame { Some(show.code.to_string()) } else { None });
    let code = shown.await.expect("the bike may be claimed again");
    let mut anna = new.phone().await;
    let (_, next) = claim(&mut anna, &mut gateway, &code).await;
    assert!(next > fence, "fences only grow: {next} after {fence}");
    new.until("the revocation is known", |hub| hub.verifier.revocations().len() == 1).await;
}
