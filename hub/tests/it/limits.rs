//! Limits, each at its number and one above.

use loadtest::{Peer, PeerError};
use protocol::frame::{Ping, Role};
use protocol::limits::ROOMS_PER_SESSION_MAX;
use protocol::{CloseReason, ErrorCode, GymId, MachineId, RoomName, ServerFrame};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use uuid::Uuid;

use crate::house::{ANNA, GYM, TestHub};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_as_many_connections_as_allowed_and_not_one_more() {
    let hub = TestHub::with(&[("limits.connections_per_user", "3"), ("limits.connections_per_device", "2")]).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(hub.phone().await);
    }
    let one_more = Peer::connect(&hub.url(), hub.options(Role::Member, ANNA.0)).await.err().and_then(|error| error.close_reason());
    assert_eq!(one_more, Some(CloseReason::TooManyConnections));
    peers.pop().expect("three").close().await.expect("goodbye");
    hub.until("one has left", |hub| hub.directory.len() == 2).await;
    peers.push(hub.phone().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_has_as_many_connections_as_allowed_and_not_one_more() {
    let hub = TestHub::with(&[("limits.connections_per_device", "1")]).await;
    let (url, phone, watch) =
        (hub.url(), hub.options(Role::Member, ANNA.0).device("phone"), hub.options(Role::Member, ANNA.0).device("watch"));
    let _phone = Peer::connect(&url, phone.clone()).await.expect("the first");
    let second = Peer::connect(&url, phone).await.err().and_then(|error| error.close_reason());
    assert_eq!(second, Some(CloseReason::TooManyConnections));
    Peer::connect(&url, watch).await.expect("another device");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_as_many_strangers_as_allowed_and_not_one_more() {
    let hub = TestHub::with(&[("limits.unauthenticated_per_address", "2")]).await;
    let _a = Peer::dial(&hub.url(), loadtest::Options::new("")).await.expect("upgraded");
    let b = Peer::dial(&hub.url(), loadtest::Options::new("")).await.expect("upgraded");
    let third = Peer::dial(&hub.url(), loadtest::Options::new("")).await;
    assert!(matches!(third, Err(PeerError::Upgrade(_) | PeerError::Dial { .. })));
    b.cut();
    hub.until("one has left", |hub| hub.caps.count().1 == 1).await;
    // Whoever said hello is no stranger: three members come through a door that holds two strangers.
    let mut phones = Vec::new();
    for _ in 0..3 {
        phones.push(hub.phone().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_asks_and_never_reads_gives_the_place_back() {
    let hub = TestHub::with(&[("session.write_timeout", "1s"), ("listen.header_timeout", "60s")]).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("small");
    let mut stranger = socket.connect(hub.node().address).await.expect("connected");
    hub.until("its place is taken", |hub| hub.caps.count() == (1, 1)).await;
    let asked = b"GET / HTTP/1.1\r\nhost: hub\r\n\r\n".repeat(400);
    stranger.write_all(&asked).await.expect("what is asked is short, and what is answered is not");
    hub.until("the place is free again", |hub| hub.caps.count() == (0, 0)).await;
    drop(stranger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_may_come_as_fast_as_allowed_and_not_faster() {
    let hub = TestHub::with(&[("limits.frames_per_s", "1"), ("limits.frames_burst", "20")]).await;
    let mut phone = hub.phone().await;
    for n in 0..20 {
        phone.send(Ping { n }).await.expect("sent");
    }
    phone
        .expect("the last pong", |frame| matches!(frame, ServerFrame::Pong(pong) if pong.n == 19).then_some(()))
        .await
        .expect("within the burst");
    for n in 20..25 {
        drop(phone.send(Ping { n }).await);
    }
    phone.expect_close(CloseReason::TooFast).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_watches_as_many_rooms_as_allowed_and_not_one_more() {
    let hub = TestHub::with(&[("limits.frames_burst", "1000"), ("limits.bytes_burst", "1MiB")]).await;
    let mut operator = hub.peer(Role::Operator, Uuid::from_u128(0x0E)).await;
    operator.join(RoomName::Floor(GYM)).await.expect("the floor");
    for n in 1..ROOMS_PER_SESSION_MAX as u128 {
        // Rooms that are not there do not count.
        let refused = operator.join(RoomName::Machine(MachineId(Uuid::from_u128(n << 64)))).await;
        assert!(matches!(refused, Err(PeerError::Refused(301, ..))), "{refused:?}");
    }
    let other = operator.join(RoomName::Floor(GymId(Uuid::from_u128(1)))).await;
    assert!(matches!(other, Err(PeerError::Refused(code, ..)) if code == ErrorCode::NoSuchRoom.code()), "{other:?}");
}
