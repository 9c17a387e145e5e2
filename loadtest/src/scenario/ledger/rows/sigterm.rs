//! The hub is told to go (SIGTERM) while everybody trains, drains, ends by itself, and is started again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// `drain.grace` here; 30 s by default.
const GRACE: Duration = Duration::from_secs(5);
/// The process is gone so long after its grace.
const AFTER_GRACE: Duration = Duration::from_secs(2);

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "sigterm",
    about: "SIGTERM under load: drained, ended, started again",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(12),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut load = Load::of(&case);
    load.lasts = load.lasts.max(GRACE + Duration::from_secs(3));
    load.set =
        vec![format!("drain.grace={}s", GRACE.as_secs()), "session.write_timeout=2s".to_owned(), "store.statement_timeout=3s".to_owned()];
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    sleep(Duration::from_millis(500 + case.dice().below(1_500))).await;
    let told = Instant::now();
    let status = ground.bench.child()?.terminate(GRACE + AFTER_GRACE).await?;
    let drained = told.elapsed();
    ground.bench.child()?.run().await?;
    let back = Instant::now();
    ground.sessions_back(back).await;
    ground.caught_up(back).await;
    ground.found.set("drained_ms", drained.as_millis() as u64);
    ground.found.require(status.success(), || format!("the hub ended with {status}"));
    ground.finish().await
}
