//! What took other servers down, tried here: one named case for each published fault of a parser of this kind.
//!
//! Socket.IO, Engine.IO, ws and tungstenite are named with their CVE. Content goes in whole messages; frames and requests go byte by byte over a
//! socket of our own, because no client library would send them. The measured side is `loadtest abuse`.

use std::time::Duration;

use loadtest::Peer;
use protocol::frame::Role;
use protocol::{CloseReason, ServerFrame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::house::{ANNA, BORIS, TestHub};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_took_others_down_close_one_session() {
    let hub = TestHub::start().await;
    let placeholders = format!("{{\"t\":\"batch\",\"slot\":{}}}", "[{\"_placeholder\":true,\"num\":0},".repeat(1500));
    let cases: [(&str, &str); 6] = [
        (
            "CVE-2020-36049 socket.io-parser: a count of attachments that is a long number",
            &format!("{{\"t\":\"ping\",\"n\":{}}}", "9".repeat(60_000)),
        ),
        ("CVE-2022-2421 socket.io-parser: an index that is no number", r#"{"t":"unbind","slot":{"_placeholder":true,"num":"splice"}}"#),
        ("CVE-2023-32695 socket.io-parser: an event name that is an object", r#"{"t":{"toString":"ping"},"n":1}"#),
        ("CVE-2026-33151 and 2026-69185 socket.io-parser: attachments announced without number", &placeholders),
        ("CVE-2024-38355 socket.io: a client sends what only the server says", r#"{"t":"error","code":100,"name":"x","text":"y"}"#),
        ("nesting as deep as the message is long", &"[".repeat(60_000)),
    ];
    for (case, json) in cases {
        let mut rude = Peer::connect(&hub.url(), hub.options(Role::Member, ANNA.0).json()).await.expect("welcome");
        rude.send_bytes(json.as_bytes().to_vec()).await.expect("sent");
        if case.contains("2024-38355") {
            let answer = rude.expect("an error", |frame| matches!(frame, ServerFrame::Error(_)).then_some(())).await;
            answer.unwrap_or_else(|error| panic!("{case}: {error}"));
        } else {
            rude.expect_close(CloseReason::Malformed).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    }
    let metrics = hub.node().hub.metrics.scrape();
    let internal = metrics.lines().find_map(|line| line.strip_prefix("spotter_closes_total{reason=\"internal\"} "));
    assert!(internal.is_none_or(|count| count == "0"), "a session ended as internal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_took_others_down_close_one_session() {
    let hub = TestHub::start().await;
    let cases: [(&str, Vec<u8>, CloseReason); 7] = [
        ("CVE-2022-21676 engine.io: reserved bits without an extension", client_frame(0xb2, b"x"), CloseReason::Malformed),
        ("CVE-2026-45736 ws: a close frame with half a code", client_frame(0x88, b"x"), CloseReason::Malformed),
        (
            "CVE-2026-48779 ws: fragments of one byte",
            [client_frame(0x02, b"x"), client_frame(0, b"x").repeat(70_000)].concat(),
            CloseReason::TooBig,
        ),
        (
            "issue 2331 of ws: fragments without a byte",
            [client_frame(0x02, b"x"), client_frame(0, b"").repeat(70_000)].concat(),
            CloseReason::TooBig,
        ),
        ("CVE-2026-25627 NanoMQ: a length that is believed", [&[0x82, 0xff, 0x40][..], &[0; 11]].concat(), CloseReason::TooBig),
        ("a frame without a mask", vec![0x82, 1, 0xc0], CloseReason::Malformed),
        ("compression that was not agreed", client_frame(0xc2, b"\x03\x00"), CloseReason::Malformed),
    ];
    for (case, bytes, reason) in cases {
        let mut socket = welcomed(&hub).await;
        // The hub may close before all of it is written.
        drop(socket.write_all(&bytes).await);
        assert_eq!(closed_with(&mut socket).await, Some(reason.code()), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_pings_thirty_two_times_and_not_without_end() {
    let hub = TestHub::start().await;
    let mut socket = upgraded(&hub, "").await;
    drop(socket.write_all(&client_frame(0x89, b"").repeat(33)).await);
    assert_eq!(closed_with(&mut socket).await, Some(CloseReason::TooFast.code()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_took_others_down_are_answered() {
    let hub = TestHub::start().await;
    let many: String = (0..3000).map(|n| format!("X-{n}: a\r\n")).collect();
    let cases: [(&str, String, &[&str]); 5] = [
        (
            "CVE-2021-32640 ws: a subprotocol header of commas",
            upgrade(&hub, &format!("Sec-WebSocket-Protocol: a{}\r\n", " ,".repeat(6000))),
            &["400"],
        ),
        ("CVE-2024-37890 ws: three thousand headers", upgrade(&hub, &many), &["431"]),
        ("CVE-2023-43669 tungstenite: a header without end", upgrade(&hub, &format!("X: {}\r\n", "a".repeat(64 * 1024))), &["431"]),
        (
            "CVE-2020-36048 engine.io: a body without end",
            "POST /v1/dev/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n".to_owned()
                + &" ".repeat(2 << 20),
            &["413"],
        ),
        (
            "CVE-2023-31125 engine.io: a query that names what every object has",
            "GET /v1/ws?EIO=4&transport=constructor&sid=__proto__ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            &["426"],
        ),
    ];
    for (case, request, statuses) in cases {
        let mut socket = TcpStream::connect(hub.node().address).await.expect("connected");
        // The hub may answer and close before all of it is written.
        let (mut read, mut write) = socket.split();
        let asked = async { tokio::join!(write.write_all(request.as_bytes()), head(&mut read)).1 };
        let answer = tokio::time::timeout(SOON, asked).await.unwrap_or_else(|_| panic!("{case}: no answer"));
        assert!(statuses.iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status}"))), "{case}: {answer:?}");
    }
    // CVE-2022-41940 engine.io: a reset in the middle of an upgrade.
    for cut in [3, 40, 120] {
        let mut socket = TcpStream::connect(hub.node().address).await.expect("connected");
        drop(socket.write_all(&upgrade(&hub, "").as_bytes()[..cut]).await);
        socket.set_zero_linger().expect("linger");
    }
    hub.until("nothing is left of them", |hub| hub.caps.count().0 == 0).await;
    hub.phone().await.close().await.expect("the hub goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_another_subject_resumes_nothing_and_replaces_nobody() {
    let hub = TestHub::start().await;
    let mut anna = hub.phone().await;
    let mut options = hub.options(Role::Member, BORIS.0);
    options.ticket = anna.resume().ticket;
    let boris = Peer::connect(&hub.url(), options).await.expect("let in as who he is");
    assert!(!boris.welcome().expect("welcome").resumed);
    anna.send(protocol::frame::Ping { n: 1 }).await.expect("sent");
    anna.expect("pong", |frame| matches!(frame, ServerFrame::Pong(_)).then_some(())).await.expect("not replaced");
}

fn upgrade(hub: &TestHub, more: &str) -> String {
    let protocol = if more.contains("Sec-WebSocket-Protocol") { "" } else { "Sec-WebSocket-Protocol: spotter.v1.msgpack\r\n" };
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: bGlnaHR3ZWlnaHQgcGVlcg==\r\n{protocol}{more}\r\n",
        hub.node().address
    )
}

/// A client frame with a mask key of zeros.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    loadtest::peer::masked_frame(2, payload, &mut frame);
    frame[0] = first;
    frame
}

/// Reads the head of an HTTP answer; what is there where the connection ends first.
async fn head(socket: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn upgraded(hub: &TestHub, more: &str) -> TcpStream {
    let mut socket = TcpStream::connect(hub.node().address).await.expect("connected");
    socket.write_all(upgrade(hub, more).as_bytes()).await.expect("sent");
    let answer = tokio::time::timeout(SOON, head(&mut socket)).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    socket
}

async fn welcomed(hub: &TestHub) -> TcpStream {
    let mut socket = upgraded(hub, "").await;
    let hello = hub.options(Role::Operator, Uuid::now_v7()).hello();
    let hello = protocol::ClientFrame::from(hello).to_bytes(protocol::wire::Encoding::MessagePack);
    socket.write_all(&client_frame(0x82, &hello)).await.expect("sent");
    socket
}

/// The code of the close frame, whatever comes before it.
async fn closed_with(socket: &mut TcpStream) -> Option<u16> {
    let read = async {
        loop {
            let (first, second) = (socket.read_u8().await.ok()?, socket.read_u8().await.ok()?);
            let length = match second {
                126 => usize::from(socket.read_u16().await.ok()?),
                127 => usize::try_from(socket.read_u64().await.ok()?).ok()?,
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            socket.read_exact(&mut payload).await.ok()?;
            if first == 0x88 {
                return payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
            }
        }
    };
    tokio::time::timeout(SOON, read).await.expect("an end in time")
}
