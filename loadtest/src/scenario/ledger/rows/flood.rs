//! One client sends messages as fast as its socket takes them, 300,000 and for five seconds at least, and comes back whenever it is cut. Fresh clients are served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::frame::{Ping, Role};
use protocol::wire::Encoding;
use protocol::{ClientFrame, RoomName};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::bench::Latency;
use crate::peer::{Follower, Light, Options, masked_frame};
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

const MESSAGES: u64 = 300_000;
const MESSAGES_QUICK: u64 = 30_000;
const BLOCK: u64 = 500;
/// Sockets swallow the messages at once: it goes on for so long at least.
const LEAST: Duration = Duration::from_secs(5);
const LEAST_QUICK: Duration = Duration::from_secs(2);
const LASTS: Duration = Duration::from_secs(60);
const FRESH_EVERY: Duration = Duration::from_millis(20);
/// Fewer fresh clients than these say nothing.
const FRESH_LEAST: u64 = 20;
/// From connecting to the first snapshot (`FAULTS` row 16).
const FRESH_WITHIN: Duration = Duration::from_millis(250);

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "flood",
    about: "300,000 messages and more by one client as fast as it can",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(10),
    alone: true,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut ground = Ground::open(&case, Load::of(&case)).await?;
    ground.begin();
    let wanted = if case.quick { MESSAGES_QUICK } else { MESSAGES };
    let (sent, mut flooding) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    let rude = Options::new(ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7()));
    let least = Instant::now() + if case.quick { LEAST_QUICK } else { LEAST };
    flooding.spawn(flood(ground.bench.ws_url(), rude, sent.clone(), wanted, least));
    let (mut fresh, began, mut failed) = (Latency::default(), Instant::now(), 0_u64);
    while flooding.try_join_next().is_none() && began.elapsed() < LASTS {
        let floor = RoomName::Floor(ground.floor.world.gym);
        let options = Options::new(ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7())).room(floor);
        let dialled = Instant::now();
        match Follower::connect(&ground.bench.ws_url(), options).await {
            Ok(_served) => fresh.add(dialled.elapsed()),
            Err(_refused) => failed += 1,
        }
        sleep(FRESH_EVERY).await;
    }
    let (sent, p50_us, p99_us) = (sent.load(Ordering::Relaxed), fresh.quantile_us(0.5), fresh.quantile_us(0.99));
    ground.found.set("flooded", sent);
    ground.found.set("fresh_ms_p50", p50_us / 1_000);
    ground.found.set("fresh_ms_p99", p99_us / 1_000);
    ground.found.require(sent >= wanted, || format!("only {sent} of {wanted} messages were sent within {LASTS:?}"));
    let served = fresh.count();
    ground.found.set("fresh", served);
    ground.found.require(failed == 0, || format!("{failed} fresh clients were not served"));
    ground.found.require(served >= FRESH_LEAST, || format!("only {served} fresh clients came while the flood lasted"));
    // A quick run has a dozen fresh clients: its p99 is its slowest.
    let judged = if case.quick { p50_us } else { p99_us };
    ground.found.require(Duration::from_micros(judged) <= FRESH_WITHIN, || format!("a fresh client waited {judged} us for its snapshot"));
    ground.finish().await
}

/// Sends, and comes back at once when it is cut.
async fn flood(url: String, options: Options, sent: Arc<AtomicU64>, wanted: u64, least: Instant) {
    let goes_on = || sent.load(Ordering::Relaxed) < wanted || Instant::now() < least;
    let mut block = Vec::new();
    for n in 0..BLOCK {
        masked_frame(2, &ClientFrame::from(Ping { n: n as u32 }).to_bytes(Encoding::MessagePack), &mut block);
    }
    while goes_on() {
        let Ok((mut light, _)) = Light::connect(&url, &options, |_| ()).await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        while goes_on() && light.send_framed(&block).await.is_ok() {
            sent.fetch_add(BLOCK, Ordering::Relaxed);
        }
    }
}
