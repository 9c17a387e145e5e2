//! Between the upgrade and `hello`: sockets that nobody vouches for.

use std::time::Duration;

use futures_util::future::try_join_all;
use protocol::frame::{Hello, Ping, Role};
use protocol::limits::HELLO_BYTES_MAX;
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{ClientFrame, ServerFrame};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::case::{Case, End, KIB_PER_SENDER, KIB_PER_STRANGER, Kib, at_once};
use super::rude::{BINARY, Rude, frame, message};
use super::stage::Stage;
use crate::peer::{Options, Peer};

const FAMILY: &str = "hello";
/// Addresses of a silent crowd, and sockets of each: fewer than the cap, so that all of them get in. So many upgrade at a time.
const ADDRESSES: usize = 20;
const EACH: usize = 50;

pub(super) fn cases() -> Vec<Case> {
    let slow = |name, attack| Case {
        family: FAMILY,
        name,
        ends: &["4103 hello_timeout"],
        within: |stage| stage.times.hello + Duration::from_secs(2),
        kib: Kib::Each(KIB_PER_STRANGER),
        attack,
    };
    let fast = |name, ends, attack| Case { family: FAMILY, name, ends, within: at_once, kib: Kib::OneByOne(KIB_PER_STRANGER), attack };
    vec![
        slow("a thousand that upgrade and say nothing", |stage| Box::pin(strangers(stage, Vec::new))),
        slow("a thousand that announce a large hello and send a byte", |stage| {
            Box::pin(strangers(stage, || frame(BINARY, HELLO_BYTES_MAX as u64, b"x")))
        }),
        slow("a hello of which one byte comes now and then", |stage| Box::pin(dribble(stage))),
        fast("another frame before hello", &["4204 hello_expected"], |stage| {
            Box::pin(says(stage, message(&ClientFrame::from(Ping { n: 1 }).to_bytes(Encoding::MessagePack))))
        }),
        fast("a hello over its limit", &["4201 too_big"], |stage| {
            Box::pin(says(stage, frame(BINARY, HELLO_BYTES_MAX as u64 + 1, &[0; HELLO_BYTES_MAX + 1])))
        }),
        fast("pings without end before hello", &["4202 too_fast"], |stage| Box::pin(endless(stage, frame(0x89, 4, b"ping")))),
        fast("empty fragments without end before hello", &["4201 too_big"], |stage| Box::pin(fragments(stage))),
        fast("a token that is none", &["4102 token_invalid"], |stage| Box::pin(forged(stage))),
        // Its token is good: it is let in, as somebody else.
        Case {
            kib: Kib::OneByOne(KIB_PER_SENDER),
            ..fast("a resume ticket of another subject", &["not resumed"], |stage| Box::pin(stolen_ticket(stage)))
        },
    ]
}

/// A thousand strangers that say this, from twenty addresses. Each is heard from its first moment, however long the others take to come.
async fn strangers(stage: &Stage, says: impl Fn() -> Vec<u8>) -> anyhow::Result<Vec<End>> {
    let within = stage.times.hello + Duration::from_secs(2);
    let upgrades = Semaphore::new(EACH);
    let one = async |from| {
        let upgrading = upgrades.acquire().await?;
        let rude = Rude::stranger(stage, from, Encoding::MessagePack).await?;
        drop(upgrading);
        anyhow::Ok(rude.says(&says(), within).await)
    };
    let froms = (0..ADDRESSES).flat_map(|_| std::iter::repeat_n(stage.fresh_address(), EACH));
    try_join_all(froms.map(one)).await
}

async fn dribble(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let rude = Rude::stranger(stage, stage.fresh_address(), Encoding::MessagePack).await?;
    let mut begun = Some(frame(BINARY, 1000, b""));
    let next = |_| Some(begun.take().unwrap_or_else(|| vec![b'x']));
    Ok(vec![rude.says_on(stage.times.hello + Duration::from_secs(2), Duration::from_millis(100), next).await])
}

async fn says(stage: &Stage, bytes: Vec<u8>) -> anyhow::Result<Vec<End>> {
    let rude = Rude::stranger(stage, stage.fresh_address(), Encoding::MessagePack).await?;
    Ok(vec![rude.says(&bytes, at_once(stage)).await])
}

async fn endless(stage: &Stage, bytes: Vec<u8>) -> anyhow::Result<Vec<End>> {
    let rude = Rude::stranger(stage, stage.fresh_address(), Encoding::MessagePack).await?;
    let many = bytes.repeat(256);
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, |_| Some(many.clone())).await])
}

/// A message begun, then continuations with nothing in them (the case of CVE-2026-48779 of ws).
async fn fragments(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let rude = Rude::stranger(stage, stage.fresh_address(), Encoding::MessagePack).await?;
    let many = frame(0x00, 0, b"").repeat(1024);
    let next = |number| Some(if number == 0 { frame(0x02, 1, b"x") } else { many.clone() });
    Ok(vec![rude.says_on(at_once(stage), Duration::ZERO, next).await])
}

async fn forged(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let mut ends = Vec::new();
    let good = stage.token(Role::Operator, Uuid::now_v7());
    let (signed, _) = good.rsplit_once('.').unwrap_or((&good, ""));
    let claims = signed.split('.').nth(1).unwrap_or_default();
    // {"alg":"none"}, another signature, nothing at all, and a token as long as may be.
    for token in [format!("eyJhbGciOiJub25lIn0.{claims}."), format!("{signed}.AAAA"), String::new(), "a".repeat(8000)] {
        let hello = Hello { token: Text::cut(&token), rooms: vec![], ticket: None, client: None, device: None, enrolled: None };
        ends.extend(says(stage, message(&ClientFrame::from(hello).to_bytes(Encoding::MessagePack))).await?);
    }
    Ok(ends)
}

/// The thief is let in as who they are; the session of the ticket goes on.
async fn stolen_ticket(stage: &Stage) -> anyhow::Result<Vec<End>> {
    let url = stage.bench.ws_url();
    let mut victim = Peer::connect(&url, Options::new(stage.token(Role::Operator, Uuid::now_v7()))).await?;
    let began = std::time::Instant::now();
    let mut options = Options::new(stage.token(Role::Operator, Uuid::now_v7()));
    options.ticket = victim.resume().ticket;
    let thief = Peer::connect(&url, options).await?;
    let resumed = thief.welcome().is_none_or(|welcome| welcome.resumed);
    victim.send(Ping { n: 7 }).await?;
    victim.expect("the victim's pong", |frame| matches!(frame, ServerFrame::Pong(_)).then_some(())).await?;
    let end = End::new(if resumed { "resumed" } else { "not resumed" }, began);
    thief.close().await?;
    victim.close().await?;
    Ok(vec![end])
}
