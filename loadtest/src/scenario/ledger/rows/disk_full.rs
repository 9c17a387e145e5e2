//! The disk of the database is full to its last byte, and has room again later. Postgres may panic and restart; SQLite refuses writes.
//!
//! `FAULTS` row 10: nothing that was told to be stored is lost, accepting stops once the queue is full, sources hear of it, `/health` says so.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::bench::Postgres;
use crate::scenario::ledger::disk::SmallDisk;
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::full;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, LONG_RUNS, Row, Store};

const FULL: Duration = Duration::from_secs(30);
/// A fresh cluster and some minutes of load.
const DISK_MIB: u32 = 192;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "disk-full",
    about: "disk of the database full (small tmpfs) for 30 s",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: LONG_RUNS,
    lasts: Duration::from_secs(36),
    alone: true,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let disk = match SmallDisk::mount(DISK_MIB).await {
        Ok(disk) => disk,
        Err(why) => return Ok(Found::skipped(why.to_string())),
    };
    let postgres = match case.store {
        Store::Postgres => {
            let folder = tempfile::Builder::new().prefix("pg-").tempdir_in(disk.path())?;
            let small = "-c min_wal_size=2MB -c max_wal_size=16MB -c shared_buffers=16MB";
            Some(Postgres::start_in(folder, &["--wal-segsize=1"], small).await?)
        }
        Store::Sqlite => None,
    };
    let mut load = Load::of(&case);
    load.set = full::settings(&case);
    load.lasts = case.time(FULL) + Duration::from_secs(4);
    load.store_url = Some(match &postgres {
        Some(postgres) => postgres.create_database("ledger").await?,
        None => format!("sqlite:{}", disk.path().join("spotter.db").display()),
    });
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    sleep(Duration::from_millis(1_000 + case.dice().below(1_000))).await;
    ground.floor.set_away(true);
    disk.fill().await?;
    full::watch(&mut ground, &case, case.time(FULL)).await;
    disk.empty()?;
    let emptied = Instant::now();
    if let Some(postgres) = &postgres {
        // It restarts by itself after a panic where it can; where recovery found no room either, somebody starts it.
        let ended = !postgres.is_running().await;
        ground.found.set("postgres_ended", ended);
        if ended {
            postgres.run().await?;
        }
    }
    ground.floor.set_away(false);
    ground.caught_up(emptied).await;
    ground.finish().await
}
