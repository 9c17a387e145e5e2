//! At the door: requests that never end, that are too large, that come from elsewhere, and that are too many.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use protocol::frame::Role;
use protocol::wire::Encoding;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::case::{Case, End, KIB_PER_ATTACKER, KIB_PER_STRANGER, Kib, at_once};
use super::rude::{Rude, upgrade_request};
use super::stage::Stage;

const FAMILY: &str = "door";
/// Growth for one socket whose request is with the router, half a minute long: somebody who said who they are, but has hyper's read buffer of 16 KiB, its
/// other one, and what the router keeps of the request.
const KIB_PER_REQUEST: u64 = 32;
/// Growth for one that asks over HTTP and reads no answer: what it asked, up to the 16 KiB of a head, and what stands before the socket. More than a socket may that
/// is to become a session; as many as the cap of strangers, and for `session.write_timeout`.
const KIB_PER_ASKER: u64 = 32;
/// Growth for one that was just welcomed and does nothing. An idle session settles at less (`loadtest idle`); what its handshake took is still in the allocator.
const KIB_PER_GUEST: u64 = 8;
/// Addresses of a slow attack, and sockets of each: fewer than the cap.
const SLOW_ADDRESSES: usize = 20;
const SLOW: usize = 50;
/// Sockets from one address.
const CROWD: usize = 1_000;
/// Requests that are asked at once and whose answers nobody reads: many times what the kernel takes.
const UNREAD: usize = 400;
/// Sockets being opened at once.
const DIALS: usize = 32;

pub(super) fn cases() -> Vec<Case> {
    let slow =
        |name, attack| Case { family: FAMILY, name, ends: &["cut", "408"], within: header_time, kib: Kib::Each(KIB_PER_STRANGER), attack };
    let fast = |name, ends, attack| Case { family: FAMILY, name, ends, within: at_once, kib: Kib::OneByOne(KIB_PER_STRANGER), attack };
    vec![
        slow("connects and says nothing", |stage| Box::pin(slowly(stage, b"", Duration::ZERO))),
        slow("half a request, then silence", |stage| Box::pin(slowly(stage, b"GET /v1/ws HTTP/1.1\r\nHost: hub\r\nConn", Duration::ZERO))),
        slow("a header byte now and then", |stage| {
            Box::pin(slowly(stage, b"GET /v1/ws HTTP/1.1\r\nHost: hub\r\n", Duration::from_millis(300)))
        }),
        fast("1 MB of headers", &["431", "cut"], |stage| Box::pin(headers(stage, 1, 1024 * 1024))),
        fast("3,000 headers", &["431", "cut"], |stage| Box::pin(headers(stage, 3_000, 8))),
        fast("a foreign Origin", &["403"], |stage| Box::pin(asks(stage, "Origin: https://evil.example\r\n"))),
        fast("no HTTP at all", &["400", "cut"], |stage| Box::pin(raw(stage, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"))),
        fast("a subprotocol header of 12 KB of commas", &["400", "101"], |stage| Box::pin(commas(stage))),
        Case { kib: Kib::OneByOne(KIB_PER_ATTACKER), ..fast("a body over the limit", &["413"], |stage| Box::pin(body(stage))) },
        Case {
            family: FAMILY,
            name: "a body that never comes",
            ends: &["503"],
            // Not of the settings: a request has 30 s.
            within: |_| Duration::from_secs(32),
            kib: Kib::Each(KIB_PER_REQUEST),
            attack: |stage| Box::pin(no_body(stage)),
        },
        Case {
            family: FAMILY,
            name: "400 requests at once, and no answer is read",
            ends: &["cut"],
            within: |stage| stage.times.write + Duration::from_secs(2),
            kib: Kib::Each(KIB_PER_ASKER),
            attack: |stage| Box::pin(unread(stage)),
        },
        Case {
            family: FAMILY,
            name: "a thousand sockets from one address",
            ends: &["429", "408", "cut"],
            within: header_time,
            kib: Kib::Each(KIB_PER_STRANGER),
            attack: |stage| Box::pin(crowd(stage)),
        },
        Case {
            family: FAMILY,
            name: "a thousand devices behind one address, each with its own token",
            ends: &["welcome"],
            within: |_| Duration::from_secs(10),
            kib: Kib::Each(KIB_PER_GUEST),
            attack: |stage| Box::pin(gym(stage)),
        },
    ]
}

fn header_time(stage: &Stage) -> Duration {
    stage.times.header + Duration::from_secs(1)
}

/// Many sockets that say the beginning and then a byte every pause, or nothing.
async fn slowly(stage: &Stage, begin: &'static [u8], pause: Duration) -> anyhow::Result<Vec<End>> {
    let within = header_time(stage);
    let one = async |from: Ipv4Addr| {
        let rude = Rude::dial(stage, from).await?;
        let next = |number| match number {
            0 => Some(begin.to_vec()),
            _ if pause.is_zero() => None,
            _ => Some(b"x".to_vec()),
        };
        anyhow::Ok(rude.says_on(within, pause, next).await)
    };
    let froms = (0..SLOW_ADDRESSES).flat_map(|_| std::iter::repeat_n(stage.fresh_address(), SLOW));
    try_join_all(froms.map(one)).await
}

async fn headers(stage: &Stage, count: usize, bytes: usize) -> anyhow::Result<Vec<End>> {
    let more: String = (0..count).map(|number| format!("X-H{number}: {}\r\n", "a".repeat(bytes))).collect();
    asks(stage, &more).await
}

/// An upgrade with these headers more.
async fn asks(stage: &Stage, more: &str) -> anyhow::Result<Vec<End>> {
    raw(stage, upgrade_request(stage, Encoding::MessagePack, more).as_bytes()).await
}

async fn raw(stage: &Stage, bytes: &[u8]) -> anyhow::Result<Vec<End>> {
    let rude = Rude::dial(stage, stage.fresh_address()).await?;
    Ok(vec![rude.says(bytes, at_once(stage)).await])
}

/// What a careless pattern would match for ever (CVE-2021-32640 of ws).
async fn commas(stage: &Stage) -> anyhow::Result<Vec<End>> {
    asks(stage, &format!("Sec-WebSocket-Protocol: a{}\r\n", " ,".repeat(6 * 1024))).await
}

async fn body(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let token = stage.token(Role::Service, uuid::Uuid::now_v7());
    let head = format!(
        "PUT /v1/gyms HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 67108864\r\n\r\n[",
        stage.address
    );
    let rude = Rude::dial(stage, stage.fresh_address()).await?;
    let begun = head.into_bytes();
    let next = |number| match number {
        0 => Some(begun.clone()),
        1..=1024 => Some(vec![b' '; 64 * 1024]),
        _ => None,
    };
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, next).await])
}

/// A request that announces a body within the limit and sends a byte of it.
async fn no_body(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let (from, token) = (stage.fresh_address(), stage.token(Role::Service, uuid::Uuid::now_v7()));
    let request = format!(
        "PUT /v1/gyms HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[",
        stage.address
    );
    let one = async || {
        let rude = Rude::dial(stage, from).await?;
        anyhow::Ok(rude.says(request.as_bytes(), Duration::from_secs(32)).await)
    };
    try_join_all((0..SLOW).map(|_| one())).await
}

/// A reader would be shown the page four hundred times; this one goes on asking, byte by byte, and so hears of its end without reading.
async fn unread(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", stage.address);
    let within = stage.times.write + Duration::from_secs(2);
    let one = async |from: Ipv4Addr| {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        socket.bind((from, 0).into())?;
        let mut rude = Rude::over(stage, socket).await?;
        timeout(within, rude.stream.write_all(request.repeat(UNREAD).as_bytes())).await??;
        while rude.began.elapsed() < within {
            match rude.stream.try_write(b"G") {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Ok(End::new("cut", rude.began)),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        anyhow::Ok(End::new("open", rude.began))
    };
    // The address is known by its requests: each has its own, or all but a thousand are refused in few bytes.
    try_join_all((0..SLOW).map(|_| one(stage.fresh_address()))).await
}

/// As many as the cap are let in, until their time for a request is over; the others are turned away at once.
async fn crowd(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let (from, began) = (stage.fresh_address(), Instant::now());
    let one = async || anyhow::Ok(Rude::dial(stage, from).await?.says(b"", header_time(stage)).await);
    let ends = try_join_all((0..CROWD).map(|_| one())).await?;
    // Whoever came after the first were put out took one of their places: on a machine that is busy with more than this.
    let late = began.elapsed().saturating_sub(stage.times.header).div_duration_f64(stage.times.header) as usize;
    let (least, most) = (stage.strangers_per_address, stage.strangers_per_address * (1 + late));
    let (turned_away, let_in): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.how == "429");
    ensure!((least..=most).contains(&let_in.len()), "{} of {CROWD} were let in, {least} to {most} may be", let_in.len());
    let slowest = turned_away.iter().map(|end| end.after).max().unwrap_or_default();
    ensure!(slowest <= at_once(stage), "one was turned away after {slowest:?} only");
    Ok(ends)
}

/// One Wi-Fi, a thousand phones: whoever says who they are does not count by address.
async fn gym(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let from: Ipv4Addr = stage.fresh_address();
    let (mut ends, mut inside) = (Vec::new(), Vec::new());
    for _ in 0..CROWD.div_ceil(DIALS) {
        let comers = (0..DIALS).map(async |_| {
            let began = Instant::now();
            let mut rude = Rude::stranger(stage, from, Encoding::MessagePack).await?;
            rude.hello(stage, Role::Member, Encoding::MessagePack).await?;
            anyhow::Ok((End::new("welcome", began), rude))
        });
        for (end, rude) in try_join_all(comers).await? {
            ends.push(end);
            inside.push(rude);
        }
    }
    Ok(ends)
}
