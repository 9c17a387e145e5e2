//! Too much of what is allowed: messages, pings, log-ins, connections; and a peer that asks and never reads.

use std::time::{Duration, Instant};

use protocol::frame::{Leave, Ping, Role};
use protocol::wire::Encoding;
use protocol::{ClientFrame, RoomName};
use tokio::net::TcpSocket;

use super::case::{Case, End, KIB_PER_SENDER, KIB_PER_SLOW, KIB_PER_STRANGER, Kib, at_once};
use super::rude::{Rude, frame, message};
use super::stage::Stage;

const FAMILY: &str = "flood";
const TOO_FAST: &[&str] = &["4202 too_fast"];
/// Messages that one client wants to send.
const MESSAGES: u64 = 300_000;
/// Of them in one write.
const AT_ONCE: u64 = 500;
/// Connections made and reset.
const RESETS: usize = 2_000;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, ends, attack| Case { family: FAMILY, name, ends, within: at_once, kib: Kib::OneByOne(KIB_PER_SENDER), attack };
    vec![
        case("300,000 messages from one client", TOO_FAST, |stage| Box::pin(messages(stage))),
        case("300,000 pings from one client", TOO_FAST, |stage| Box::pin(flood(stage, Role::Operator, frame(0x89, 0, b"")))),
        case("bytes over the rate, few messages", TOO_FAST, |stage| Box::pin(heavy(stage))),
        Case {
            family: FAMILY,
            name: "2,000 connections made and reset",
            ends: &["reset"],
            within: |_| Duration::from_secs(10),
            kib: Kib::OneByOne(KIB_PER_STRANGER),
            attack: |stage| Box::pin(resets(stage)),
        },
        Case {
            family: FAMILY,
            name: "asks and never reads",
            // The close frame may stand behind what the kernel holds.
            ends: &["4001 slow", "4003 write_timeout", "cut"],
            within: |_| Duration::from_secs(13),
            kib: Kib::Each(KIB_PER_SLOW),
            attack: |stage| Box::pin(never_reads(stage)),
        },
    ]
}

async fn messages(stage: &Stage) -> anyhow::Result<Vec<End>> {
    flood(stage, Role::Operator, message(&ClientFrame::from(Ping { n: 1 }).to_bytes(Encoding::MessagePack))).await
}

async fn flood(stage: &Stage, role: Role, one: Vec<u8>) -> anyhow::Result<Vec<End>> {
    let rude = Rude::session(stage, role, Encoding::MessagePack).await?;
    let many = one.repeat(AT_ONCE as usize);
    let next = |number| (number < MESSAGES / AT_ONCE).then(|| many.clone());
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, next).await])
}

/// Each message is within its limit, and of a kind that is answered; together they are too many bytes.
async fn heavy(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let rude = Rude::session(stage, Role::Operator, Encoding::MessagePack).await?;
    // A kind of a later version with one long binary.
    let mut payload = vec![0x92, 59, 0xc5, 0xea, 0x60];
    payload.resize(payload.len() + 60_000, 0);
    let one = message(&payload);
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, |number| (number < 100).then(|| one.clone())).await])
}

async fn resets(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let began = Instant::now();
    let from = stage.fresh_address();
    let mut ends = Vec::new();
    for number in 0..RESETS {
        let mut rude = Rude::dial(stage, from).await?;
        match number % 4 {
            0 => (),
            1 => drop(tokio::io::AsyncWriteExt::write_all(&mut rude.stream, b"GET /v1/ws HTTP/1.1\r\nHo").await),
            // A cap by address may answer instead: then it is the hub that ended it.
            _ => drop(rude.upgrade(stage, Encoding::MessagePack, "").await),
        }
        // Linger of zero makes the close a reset (engine.io died of one, CVE-2022-41940).
        rude.stream.set_zero_linger()?;
        ends.push(End::new("reset", began));
    }
    Ok(ends)
}

/// Each question is answered with some hundred bytes, which may not be dropped; nobody takes them.
async fn never_reads(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind((stage.fresh_address(), 0).into())?;
    let mut rude = Rude::over(stage, socket).await?;
    rude.upgrade(stage, Encoding::MessagePack, "").await?;
    // A gateway may ask four thousand times a second.
    rude.hello(stage, Role::Gateway, Encoding::MessagePack).await?;
    let ask = |req| message(&ClientFrame::from(Leave { req, room: RoomName::Floor(stage.world.gym) }).to_bytes(Encoding::MessagePack));
    let (began, deadline) = (rude.began, Duration::from_secs(13));
    let (mut req, before) = (0, stage.closed_slow().await?);
    while began.elapsed() < deadline {
        let many: Vec<u8> = (0..AT_ONCE)
            .flat_map(|_| {
                req += 1;
                ask(req)
            })
            .collect();
        let write = tokio::io::AsyncWriteExt::write_all(&mut rude.stream, &many);
        // The hub reads no more, or is gone.
        if !matches!(tokio::time::timeout(Duration::from_secs(5), write).await, Ok(Ok(()))) {
            break;
        }
        // Within the rate: one attacker, not one after the other.
        tokio::time::sleep(Duration::from_millis(150)).await;
        if stage.closed_slow().await? > before {
            break;
        }
    }
    let after = began.elapsed();
    let mut end = rude.says(b"", Duration::from_secs(2)).await;
    end.after = after;
    // A cut says nothing: the hub's own count says that it was for not reading.
    if stage.closed_slow().await? == before {
        end.how = format!("{}, and not for reading slowly", end.how);
    }
    Ok(vec![end])
}
