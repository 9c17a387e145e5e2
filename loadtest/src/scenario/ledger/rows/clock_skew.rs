//! Clocks go wrong: machines that count from their start, from 1970, a day back, three minutes an hour too fast, five minutes ahead; and in the
//! middle one machine of each is switched off and on.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::gateway::Skew;
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load, SPEED};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "clock-skew",
    about: "clocks a day back, from 1970, +3 min/h, +5 min; machines restarted",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(8),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let load = Load::of(&case);
    let lasts = load.lasts;
    let mut ground = Ground::open(&case, load).await?;
    let mut dice = case.dice();
    ground.begin();
    sleep(lasts.mul_f64(0.3) + Duration::from_millis(dice.below(300))).await;
    // Clocks go round the stands: so many after another are one of each.
    for stand in ground.floor.stands.iter().take(Skew::ALL.len()) {
        ground.floor.gateways[stand.gateway].with(|core, now_ms| core.reboot(stand.machine, SPEED, now_ms));
    }
    ground.caught_up(Instant::now()).await;
    let clocks = ground.floor.stands.len().min(Skew::ALL.len());
    ground.found.set("clocks", clocks);
    ground.found.require(clocks == Skew::ALL.len(), || format!("only {clocks} kinds of clocks"));
    let (restarted, misplaced) = ground.bench.database().await?.restarted_boots().await?;
    ground.found.require(restarted == clocks as i64 && misplaced == 0, || {
        format!("of {restarted} machines that were started again {misplaced} are stored as of a time at which they were not read")
    });
    ground.finish().await
}
