//! Postgres goes as if the power went (`pg_ctl stop -m immediate`), stays away, and comes back. Live goes on meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, LONG_RUNS, Row, Store};

/// The load goes on so long before and after.
const AROUND: Duration = Duration::from_secs(4);

pub(in crate::scenario::ledger) const SHORT: Row = Row {
    name: "postgres-stop-10",
    about: "`pg_ctl stop -m immediate`, back after 10 s",
    stores: &[Store::Postgres],
    runs: LONG_RUNS,
    lasts: Duration::from_secs(18),
    alone: true,
    run: |case| Box::pin(run(case, Duration::from_secs(10))),
};

pub(in crate::scenario::ledger) const LONG: Row = Row {
    name: "postgres-stop-30",
    about: "`pg_ctl stop -m immediate`, back after 30 s",
    stores: &[Store::Postgres],
    runs: LONG_RUNS,
    lasts: Duration::from_secs(38),
    alone: true,
    run: |case| Box::pin(run(case, Duration::from_secs(30))),
};

async fn run(case: Case, away: Duration) -> anyhow::Result<Found> {
    let away = case.time(away);
    let mut load = Load::of(&case);
    load.lasts = away + case.time(AROUND * 2).max(Duration::from_secs(3));
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    let at = Duration::from_micros(case.dice().below(case.time(AROUND).as_micros() as u64));
    sleep(Duration::from_secs(1) + at).await;
    ground.floor.set_away(true);
    case.postgres().await?.stop_immediate().await?;
    sleep(away).await;
    case.postgres().await?.run().await?;
    ground.floor.set_away(false);
    ground.caught_up(Instant::now()).await;
    ground.finish().await
}
