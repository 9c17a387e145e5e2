//! The hub is killed (SIGKILL) at random instants, mid-batch, and started again on the same store and port.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// Kills of one run.
const KILLS: u64 = 2;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "kill",
    about: "hub killed (SIGKILL) twice at random instants",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(8),
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let load = Load::of(&case);
    let part = load.lasts.mul_f64(0.8) / KILLS as u32;
    let mut ground = Ground::open(&case, load).await?;
    let mut dice = case.dice();
    ground.begin();
    let start = Instant::now();
    for kill in 0..KILLS {
        // Somewhere in its own part of the run, to the microsecond.
        let at = part * kill as u32 + Duration::from_micros(dice.below(part.as_micros() as u64));
        sleep(at.saturating_sub(start.elapsed())).await;
        let killed = ground.kill_and_run().await?;
        ground.sessions_back(killed).await;
        ground.caught_up(killed).await;
    }
    ground.found.set("kills", KILLS);
    ground.finish().await
}
