//! A gym's link falls silent for ten minutes of machine time: nothing passes and nobody is told (no FIN, no RST). The machines keep what they number;
//! pages show them as stale; afterwards the backlog is sent at a pace that leaves the other machines alone.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::probe::Probe;
use crate::scenario::ledger::row::{Case, LONG_RUNS, Row, Store};

/// Ten minutes of machines that run 20 times faster than life.
const SILENT: Duration = Duration::from_secs(30);
/// The load goes on so long before and after.
const AROUND: Duration = Duration::from_secs(20);
const AROUND_LEAST: Duration = Duration::from_secs(6);
const STALE_WITHIN: Duration = Duration::from_secs(5);
/// The others' p99 while the backlog comes (`FAULTS` row 13), and a millisecond for the grain of a machine shared with the load.
const OTHERS_FACTOR: f64 = 1.5;
const OTHERS_GRAIN_US: f64 = 1_000.0;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "link-cut",
    about: "a gym's link silent for 10 min of machine time",
    stores: &[Store::Postgres],
    runs: LONG_RUNS,
    lasts: Duration::from_secs(50),
    alone: true,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let (silent, mut load) = (case.time(SILENT), Load::of(&case));
    load.lasts = silent + case.time(AROUND).max(AROUND_LEAST);
    load.linked = true;
    // 25 s and 10 s are 1.25 s and 0.5 s in machine time. Longer, so that a machine which stands still for a second does not cut everybody else off.
    load.set = vec!["session.heartbeat=4s".to_owned(), "session.pong_timeout=2s".to_owned()];
    let mut ground = Ground::open(&case, load).await?;
    let last = ground.floor.gateways.len() - 1;
    let (others, cut) = (Probe::start(&ground, 0).await?, Probe::start(&ground, last).await?);
    ground.begin();
    sleep(Duration::from_millis(1_000 + case.dice().below(500))).await;
    others.take();
    sleep(Duration::from_secs(1)).await;
    let usual = others.take();
    let fell = Instant::now();
    ground.link.as_ref().context("no link")?.set_silent(true);
    sleep(silent).await;
    let stale = cut.fresh_until().context("nothing was seen before the link fell silent")?.saturating_duration_since(fell);
    ground.link.as_ref().context("no link")?.set_silent(false);
    others.take();
    let back = Instant::now();
    ground.sessions_back(back).await;
    ground.caught_up(back).await;
    let during = others.take();
    let (usual_us, during_us) = (usual.quantile_us(0.99), during.quantile_us(0.99));
    ground.found.set("stale_ms", stale.as_millis() as u64);
    ground.found.set("p99_us_others", usual_us);
    ground.found.set("p99_us_others_backfill", during_us);
    ground.found.require(stale <= STALE_WITHIN, || format!("values of a silent link were fresh for {stale:?}"));
    ground.found.require(!others.is_over(), || "the hub hung up on who watches the other machines".to_owned());
    ground.found.require(during.count() > 0, || "nothing was seen of the other machines during the backfill".to_owned());
    ground.found.require(case.quick || during_us as f64 <= usual_us as f64 * OTHERS_FACTOR + OTHERS_GRAIN_US, || {
        format!("live p99 of the others is {during_us} us during the backfill, {usual_us} us else")
    });
    drop((others, cut));
    ground.finish().await
}
