//! Broken WebSocket (RFC 6455) from a session that was let in: lengths that lie, fragments without end, bits that were not agreed.

use std::time::Duration;

use protocol::frame::Role;
use protocol::limits::MESSAGE_BYTES_MAX;
use protocol::wire::Encoding;

use super::case::{Case, End, KIB_PER_SENDER, Kib, at_once};
use super::rude::{BINARY, Rude, TEXT, frame};
use super::stage::Stage;

const FAMILY: &str = "frames";
const MALFORMED: &[&str] = &["4200 malformed"];
const TOO_BIG: &[&str] = &["4201 too_big"];
/// Fragments of one byte in one case: more than a message may have bytes.
const FRAGMENTS: u64 = 120_000;
/// Of them in one write.
const AT_ONCE: u64 = 1_000;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, ends, attack| Case { family: FAMILY, name, ends, within: at_once, kib: Kib::OneByOne(KIB_PER_SENDER), attack };
    vec![
        case("a frame one byte over the limit", TOO_BIG, |stage| {
            Box::pin(each(stage, vec![frame(BINARY, MESSAGE_BYTES_MAX as u64 + 1, &[0; MESSAGE_BYTES_MAX + 1])]))
        }),
        case("a frame of 64 MiB, sent whole", TOO_BIG, |stage| Box::pin(giant(stage))),
        case("lengths of 2^31, 2^32, 2^62, 2^63 and 2^64 - 1", &["4201 too_big", "4200 malformed"], |stage| {
            Box::pin(each(stage, [1 << 31, 1 << 32, 1 << 62, 1 << 63, u64::MAX].map(|length| frame(BINARY, length, b"xyz")).to_vec()))
        }),
        case("a control frame that claims 2^62 bytes", &["4201 too_big", "4200 malformed"], |stage| {
            Box::pin(each(stage, [0x88, 0x89, 0x8a].map(|first| frame(first, 1 << 62, b"")).to_vec()))
        }),
        case("120,000 fragments of one byte", TOO_BIG, |stage| Box::pin(fragments(stage, 1, Some(FRAGMENTS)))),
        case("fragments of one byte without end", TOO_BIG, |stage| Box::pin(fragments(stage, 1, None))),
        case("empty fragments without end", TOO_BIG, |stage| Box::pin(fragments(stage, 0, None))),
        case("fragments of 8 KiB without end", TOO_BIG, |stage| Box::pin(fragments(stage, 8 * 1024, None))),
        case("compression offered", &["declined, 4200 malformed"], |stage| Box::pin(compression(stage))),
        case("reserved bits and unknown opcodes", MALFORMED, |stage| {
            Box::pin(each(stage, [0xc2, 0xa2, 0x92, 0xf2, 0x83, 0x87, 0x8b, 0x8f].map(|first| frame(first, 1, b"x")).to_vec()))
        }),
        case("frames without a mask", MALFORMED, |stage| Box::pin(each(stage, vec![vec![BINARY, 1, 0xc0], vec![0x89, 0]]))),
        case("control frames that are long or in pieces", MALFORMED, |stage| {
            Box::pin(each(stage, vec![frame(0x89, 126, &[0; 126]), frame(0x09, 1, b"x"), frame(0x08, 0, b"")]))
        }),
        case("a continuation of nothing, a message inside a message", MALFORMED, |stage| {
            Box::pin(each(stage, vec![frame(0x80, 1, b"x"), [frame(0x02, 1, b"x"), frame(BINARY, 1, b"x")].concat()]))
        }),
        case("text on a binary subprotocol", MALFORMED, |stage| Box::pin(each(stage, vec![frame(TEXT, 2, b"{}")]))),
        case("a close frame with a broken body", &["4200 malformed", "1002", "cut"], |stage| {
            Box::pin(each(stage, vec![frame(0x88, 1, b"x"), frame(0x88, 4, b"\x03\xe8\xff\xfe")]))
        }),
        Case {
            family: FAMILY,
            name: "half a frame, then silence",
            ends: &["4002 silent"],
            // The wheel looks once a second; the grace begins at the look after the heartbeat.
            within: |stage| stage.times.silent + Duration::from_secs(3),
            kib: Kib::OneByOne(KIB_PER_SENDER),
            attack: |stage| Box::pin(half(stage)),
        },
    ]
}

/// Each of these on a socket of its own.
pub(super) async fn each(stage: &Stage, all: Vec<Vec<u8>>) -> anyhow::Result<Vec<End>> {
    each_in(stage, Encoding::MessagePack, all).await
}

/// The same in an encoding.
pub(super) async fn each_in(stage: &Stage, encoding: Encoding, all: Vec<Vec<u8>>) -> anyhow::Result<Vec<End>> {
    let mut ends = Vec::new();
    for bytes in all {
        let rude = Rude::session(stage, Role::Operator, encoding).await?;
        ends.push(rude.says(&bytes, at_once(stage)).await);
    }
    Ok(ends)
}

async fn giant(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let rude = Rude::session(stage, Role::Operator, Encoding::MessagePack).await?;
    let next = |number| match number {
        0 => Some(frame(BINARY, 64 << 20, b"")),
        1..=1024 => Some(vec![0; 64 * 1024]),
        _ => None,
    };
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, next).await])
}

/// A message begun and continued; never final.
async fn fragments(stage: &Stage, bytes: usize, count: Option<u64>) -> anyhow::Result<Vec<End>> {
    let rude = Rude::session(stage, Role::Operator, Encoding::MessagePack).await?;
    let many = frame(0x00, bytes as u64, &vec![b'x'; bytes]).repeat(if bytes > 1 { 1 } else { AT_ONCE as usize });
    let next = |number| match number {
        0 => Some(frame(0x02, 1, b"x")),
        number if count.is_some_and(|count| number > count / AT_ONCE) => None,
        _ => Some(many.clone()),
    };
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, next).await])
}

/// The offer is not taken, so a compressed frame is a broken one.
async fn compression(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let mut rude = Rude::dial(stage, stage.fresh_address()).await?;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let answer = rude.upgrade(stage, Encoding::MessagePack, offer).await?;
    let declined = !answer.to_ascii_lowercase().contains("sec-websocket-extensions");
    rude.hello(stage, Role::Operator, Encoding::MessagePack).await?;
    // An empty block, as deflate writes it.
    let mut end = rude.says(&frame(0xc2, 2, b"\x03\x00"), at_once(stage)).await;
    end.how = format!("{}, {}", if declined { "declined" } else { "accepted" }, end.how);
    Ok(vec![end])
}

async fn half(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let rude = Rude::session(stage, Role::Operator, Encoding::MessagePack).await?;
    Ok(vec![rude.says(&frame(BINARY, 1000, b"x"), stage.times.silent + Duration::from_secs(3)).await])
}
