//! How sessions begin and end: every end has a name.

use std::time::Duration;

use hub::auth::Revoked;
use loadtest::{Options, Peer};
use protocol::frame::{Join, JoinRoom, Leave, Ping, Refresh, Role};
use protocol::text::Text;
use protocol::{CloseReason, RoomName, ServerFrame};
use tokio::time::Instant;

use crate::house::{ANNA, GYM, TENANT, TestHub};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_closed_by_the_hello_deadline() {
    let hub = TestHub::with(&[("session.hello_timeout", "300ms"), ("auth.unknown_key_wait", "100ms")]).await;
    let mut silent = Peer::dial(&hub.url(), Options::new("")).await.expect("upgraded");
    let started = Instant::now();
    silent.expect_close(CloseReason::HelloTimeout).await.expect("closed");
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_frame_is_hello_or_the_last() {
    let hub = TestHub::start().await;
    let mut rude = Peer::dial(&hub.url(), Options::new("")).await.expect("upgraded");
    rude.send(Ping { n: 1 }).await.expect("sent");
    rude.expect_close(CloseReason::HelloExpected).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_token_is_told_why_and_closed() {
    let hub = TestHub::start().await;
    let mut peer = Peer::dial(&hub.url(), Options::new("not.a.token")).await.expect("upgraded");
    let hello = Options::new("not.a.token").hello();
    peer.send(hello).await.expect("sent");
    let code = peer.expect("an error", |frame| if let ServerFrame::Error(error) = frame { Some(error.code) } else { None }).await;
    assert_eq!(code.expect("told"), protocol::ErrorCode::Unauthenticated.code());
    peer.expect_close(CloseReason::TokenInvalid).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_ends_the_session_and_a_refreshed_one_does_not() {
    let hub = TestHub::start().await;
    let life = Duration::from_secs(2);
    let mut old = Peer::connect(&hub.url(), Options::new(hub.token(TENANT, Role::Member, ANNA.0, life))).await.expect("welcome");
    let mut fresh = Peer::connect(&hub.url(), Options::new(hub.token(TENANT, Role::Member, ANNA.0, life))).await.expect("welcome");
    let token = Text::cut(&hub.token(TENANT, Role::Member, ANNA.0, Duration::from_secs(600)));
    let req = fresh.req();
    let refreshed = fresh.request(Refresh { req, token }, req, |frame| matches!(frame, ServerFrame::Refreshed(_)).then_some(())).await;
    refreshed.expect("refreshed");
    old.expect_close(CloseReason::TokenExpired).await.expect("closed");
    fresh.send(Ping { n: 9 }).await.expect("sent");
    fresh.expect("pong", |frame| matches!(frame, ServerFrame::Pong(pong) if pong.n == 9).then_some(())).await.expect("still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_names_the_same_subject_or_is_refused() {
    let hub = TestHub::start().await;
    let mut phone = hub.phone().await;
    let token = Text::cut(&hub.token(TENANT, Role::Member, crate::house::BORIS.0, Duration::from_secs(600)));
    let req = phone.req();
    let refused = phone.request(Refresh { req, token }, req, |frame| matches!(frame, ServerFrame::Refreshed(_)).then_some(())).await;
    assert!(matches!(refused, Err(loadtest::PeerError::Refused(204, ..))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_closes_live_sessions_and_bars_the_door() {
    let hub = TestHub::start().await;
    let options = hub.options(Role::Member, ANNA.0);
    let mut phone = Peer::connect(&hub.url(), options.clone()).await.expect("welcome");
    let mut other = hub.peer(Role::Member, crate::house::BORIS.0).await;
    let now = hub::clock::at_ms();
    let closed = hub.node().hub.revoke(TENANT, &Revoked::Subject(ANNA.0, now + 1000), now + 3_600_000).expect("revoked");
    assert_eq!(closed, 1);
    phone.expect_close(CloseReason::TokenRevoked).await.expect("closed");
    let again = Peer::connect(&hub.url(), options).await.err().and_then(|error| error.close_reason());
    assert_eq!(again, Some(CloseReason::TokenRevoked));
    other.send(Ping { n: 1 }).await.expect("sent");
    other.expect("pong", |frame| matches!(frame, ServerFrame::Pong(_)).then_some(())).await.expect("not concerned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_slow_and_others_do_not_notice() {
    let hub = TestHub::with(&[
        ("session.outbox_bytes", "128KiB"),
        ("session.send_buffer_bytes", "8KiB"),
        ("limits.frames_per_s", "100000"),
        ("limits.frames_burst", "100000"),
        ("limits.bytes_per_s", "8MiB"),
        ("limits.bytes_burst", "8MiB"),
    ])
    .await;
    let mut options = hub.options(Role::Member, ANNA.0);
    options.receive_buffer_bytes = Some(4096);
    let phone = Peer::connect(&hub.url(), options).await.expect("welcome");
    let mut stalled = phone.stall();
    // Each is answered with an error of some hundred bytes, which may not be dropped.
    for req in 0..20_000 {
        if stalled.send(Leave { req, room: RoomName::Floor(GYM) }).await.is_err() {
            break;
        }
    }
    hub.until("the slow peer is gone", |hub| hub.directory.is_empty()).await;
    let mut phone = stalled.wake();
    let end = phone.expect_close(CloseReason::Slow).await;
    // The close frame waits behind what the kernel holds; a peer that wakes too late finds the connection lost.
    assert!(end.is_ok() || end.as_ref().is_err_and(|error| error.close_reason().is_none()), "{end:?}");
    assert!(hub.node().hub.metrics.scrape().contains("spotter_closes_total{reason=\"slow\"} 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_client_coming_back_replaces_its_old_connection() {
    let hub = TestHub::start().await;
    let mut before = hub.phone().await;
    let after = Peer::connect(&hub.url(), before.resume()).await.expect("welcome");
    assert!(after.welcome().expect("welcome").resumed);
    before.expect_close(CloseReason::Replaced).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_everybody_to_move_and_leaves_nothing() {
    let hub = TestHub::start().await;
    let mut phone = hub.phone().await;
    phone.join(RoomName::Member(ANNA)).await.expect("watched");
    let (mut gateway, _) = hub.bike(1).await;
    gateway.send(crate::house::sample(1, 100)).await.expect("sent");
    gateway.expect("ack", |frame| matches!(frame, ServerFrame::Ack(_)).then_some(())).await.expect("accepted");
    let peers = async move {
        phone.expect("move", |frame| matches!(frame, ServerFrame::Move(_)).then_some(())).await.expect("told to move");
        phone.close().await.expect("goes");
        gateway.expect_close(CloseReason::Drain).await.expect("closed at the end");
    };
    let (left, ()) = tokio::join!(hub.end(), peers);
    assert_eq!((left.rows, left.facts, left.tasks.len(), left.sessions_closed), (0, 0, 0, 1), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_can_be_left_and_what_is_not_watched_cannot() {
    let hub = TestHub::start().await;
    let mut phone = hub.phone().await;
    let room = RoomName::Floor(GYM);
    let req = phone.req();
    let join = JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 };
    let joined = phone.request(Join { req, join }, req, |frame| matches!(frame, ServerFrame::Joined(_)).then_some(())).await;
    joined.expect("watched");
    for wanted in [true, false] {
        let req = phone.req();
        let left = phone.request(Leave { req, room }, req, |frame| matches!(frame, ServerFrame::Left(_)).then_some(())).await;
        assert_eq!(left.is_ok(), wanted, "{left:?}");
    }
}
