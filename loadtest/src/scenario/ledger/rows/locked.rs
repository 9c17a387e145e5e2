//! The database is slow beyond reason: somebody holds a lock on it for a minute. Live goes on, memory stays bounded, nothing is lost.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::full;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, LONG_RUNS, Row, Store};

const LOCKED: Duration = Duration::from_secs(60);

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "locked",
    about: "tables locked for 60 s (`LOCK TABLE`, `BEGIN EXCLUSIVE`)",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: LONG_RUNS,
    lasts: Duration::from_secs(66),
    alone: true,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut load = Load::of(&case);
    load.set = full::settings(&case);
    load.lasts = case.time(LOCKED) + Duration::from_secs(4);
    load.store_url = case.store_url().await?;
    let postgres = load.store_url.clone();
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    sleep(Duration::from_millis(1_000 + case.dice().below(1_000))).await;
    ground.floor.set_away(true);
    match postgres {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(&url).await.context("could not connect to lock")?;
            connection.execute("begin; lock table samples, boots in access exclusive mode").await.context("could not lock")?;
            full::watch(&mut ground, &case, case.time(LOCKED)).await;
            connection.execute("rollback").await.context("could not unlock")?;
        }
        None => {
            let file = ground.bench.child()?.sqlite_path();
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(20));
            let mut connection = options.connect().await.context("could not connect to lock")?;
            connection.execute("begin exclusive").await.context("could not lock")?;
            full::watch(&mut ground, &case, case.time(LOCKED)).await;
            connection.execute("rollback").await.context("could not unlock")?;
        }
    }
    ground.floor.set_away(false);
    ground.caught_up(Instant::now()).await;
    ground.finish().await
}
