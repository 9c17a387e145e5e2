//! The hub is killed, and killed again and again while it recovers: while it opens the store, migrates, binds, takes backfill.
//!
//! `FAULTS` row 2: no start may fail for what a kill left behind.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// Kills in recovery of one run: twenty runs make a hundred starts.
const KILLS: u64 = 5;
/// A start and the first backfill fall into this time.
const RECOVERS: Duration = Duration::from_millis(1_500);

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "kill-in-recovery",
    about: "hub killed, then killed five times more while it recovers",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(8),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut ground = Ground::open(&case, Load::of(&case)).await?;
    let mut dice = case.dice();
    ground.begin();
    sleep(Duration::from_micros(dice.below(1_500_000))).await;
    ground.bench.child()?.kill().await?;
    for start in 1..=KILLS {
        ground.bench.child()?.spawn()?;
        sleep(Duration::from_micros(dice.below(RECOVERS.as_micros() as u64))).await;
        let ended = ground.bench.child()?.ended()?;
        ground.found.require(ended.is_none(), || format!("start {start} ended by itself with {ended:?}"));
        ground.bench.child()?.kill().await?;
    }
    let started = Instant::now();
    ground.bench.child()?.run().await?;
    ground.sessions_back(started).await;
    ground.caught_up(started).await;
    ground.found.set("kills", KILLS + 1);
    ground.finish().await
}
