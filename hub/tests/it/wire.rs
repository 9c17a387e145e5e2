//! What is not a frame, and who may not speak.

use std::time::Duration;

use loadtest::{Options, Peer, PeerError};
use protocol::frame::Role;
use protocol::{CloseReason, ErrorCode, ServerFrame};

use crate::house::{ANNA, TestHub};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_a_later_version_is_answered_and_the_session_goes_on() {
    let hub = TestHub::start().await;
    let mut phone = hub.phone().await;
    phone.send_bytes(vec![0x91, 59]).await.expect("sent");
    let code = phone.expect("an error", |frame| if let ServerFrame::Error(error) = frame { Some(error.code) } else { None }).await;
    assert_eq!(code.expect("told"), ErrorCode::UnknownFrame.code());
    phone.join(protocol::RoomName::Member(ANNA)).await.expect("goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_closes_and_names_the_place() {
    let hub = TestHub::start().await;
    let bad: [&[u8]; 6] = [&[0xc1], &[0x92, 3], &[0x80], &[0x91, 3, 3], &[0xdd, 0xff, 0xff, 0xff, 0xff], &[0xa1, b'x']];
    for bytes in bad {
        let mut phone = hub.phone().await;
        phone.send_bytes(bytes.to_vec()).await.expect("sent");
        phone.expect_close(CloseReason::Malformed).await.unwrap_or_else(|error| panic!("{bytes:x?}: {error}"));
    }
    let mut phone = Peer::connect(&hub.url(), hub.options(Role::Member, ANNA.0).json()).await.expect("welcome");
    phone.send_bytes(b"{\"t\":\"ping\"}".to_vec()).await.expect("sent");
    phone.expect_close(CloseReason::Malformed).await.expect("n is missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_as_large_as_allowed_and_not_larger() {
    let hub = TestHub::start().await;
    // A frame of an unknown kind with one long binary: read whole, answered.
    let filler = |len: usize| {
        let mut bytes = vec![0x92, 59, 0xc6];
        bytes.extend_from_slice(&((len - 7) as u32).to_be_bytes());
        bytes.resize(len, 0);
        bytes
    };
    let max = protocol::limits::MESSAGE_BYTES_MAX;
    let mut phone = hub.phone().await;
    phone.send_bytes(filler(max)).await.expect("sent");
    phone.expect("an error", |frame| matches!(frame, ServerFrame::Error(_)).then_some(())).await.expect("read whole");
    drop(phone.send_bytes(filler(max + 1)).await);
    phone.expect_close(CloseReason::TooBig).await.expect("closed");
    // A stranger has less.
    let mut stranger = Peer::dial(&hub.url(), Options::new("")).await.expect("upgraded");
    drop(stranger.send_bytes(filler(protocol::limits::HELLO_BYTES_MAX + 1)).await);
    stranger.expect_close(CloseReason::TooBig).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_does_not_get_in() {
    let hub = TestHub::with(&[("listen.origins", "[\"https://app.gym.example\"]")]).await;
    let with = |origin: &str| {
        let mut options = hub.options(Role::Member, ANNA.0);
        options.origin = Some(origin.to_owned());
        options
    };
    let own = format!("http://{}", hub.node().address);
    for good in ["https://app.gym.example", own.as_str()] {
        Peer::connect(&hub.url(), with(good)).await.expect("allowed");
    }
    for evil in ["https://evil.example", "null", "http://localhost"] {
        let refused = Peer::connect(&hub.url(), with(evil)).await;
        assert!(matches!(refused, Err(PeerError::Upgrade(_))), "{evil}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_the_url_is_read_with_the_switch_only() {
    for (switch, wanted) in [("true", true), ("false", false)] {
        let hub = TestHub::with(&[("dev.token_in_url", switch)]).await;
        let token = hub.token(crate::house::TENANT, Role::Member, ANNA.0, Duration::from_secs(60));
        let connected = Peer::connect(&hub.url_of(&format!("/v1/ws?token={token}")), Options::new("")).await;
        assert_eq!(connected.is_ok(), wanted, "{:?}", connected.err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_one_piece_is_read_to_its_end() {
    let hub = TestHub::with(&[("limits.frames_burst", "5000"), ("limits.bytes_burst", "1MiB")]).await;
    let mut phone = hub.phone().await;
    for round in 1..=10 {
        // More than is read in one go, and nothing after it.
        let pings: Vec<protocol::ClientFrame> = (1..=300).map(|n| protocol::frame::Ping { n: round * 1000 + n }.into()).collect();
        phone.send_all(&pings).await.expect("sent");
        let last =
            phone.expect("the last pong", |frame| matches!(frame, ServerFrame::Pong(pong) if pong.n == round * 1000 + 300).then_some(()));
        tokio::time::timeout(Duration::from_secs(5), last).await.expect("in time").expect("a pong");
    }
}
