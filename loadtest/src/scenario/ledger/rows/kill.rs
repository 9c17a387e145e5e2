//! The hub is killed (SIGKILL) at random instants, mid-batch, and started again on the same store and port.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// Kills of one run.
const KILLS: u64 = 2;
/// Within this time sessions are usually back.
const BACK: Duration = Duration::from_secs(1);

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "kill",
    about: "hub killed (SIGKILL) twice at random instants",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(8),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut load = Load::of(&case);
    let part = load.lasts / KILLS as u32;
    // Sessions come back between two kills, and the load lasts beyond the last.
    load.lasts = (part + BACK) * KILLS as u32;
    let mut ground = Ground::open(&case, load).await?;
    let (mut dice, mut killed, mut unstored) = (case.dice(), Instant::now(), Vec::new());
    ground.begin();
    for kill in 1..=KILLS {
        // At any instant of its own part, to the microsecond; what the kill before left behind may still be on its way.
        sleep(Duration::from_micros(dice.below(part.as_micros() as u64))).await;
        ground.found.require(ground.is_playing(), || format!("kill {kill} fell after the load"));
        unstored.push(ground.unstored());
        killed = ground.kill_and_run().await?;
        ground.sessions_back(killed).await;
    }
    ground.caught_up(killed).await;
    ground.found.require(unstored.iter().any(|rows| *rows > 0), || "no kill fell while anything was under way".to_owned());
    ground.found.set("kills", KILLS);
    ground.found.set("unstored_at_kills", unstored);
    ground.finish().await
}
