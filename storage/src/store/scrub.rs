//! After an erasure: deleted rows out of the files.
//!
//! SQLite overwrites what it deletes; what is left is the write-ahead log, which is brought into the file and cut. Postgres keeps dead rows in its
//! pages: tables are written anew (`vacuum full`) where that takes a moment, and vacuumed where it would take long; those are
//! returned for the operator. A row that an older transaction could still see is not taken out, so these are waited for first; the planner's
//! statistics hold values as well and are written anew where the role may. The write-ahead log and its archive keep old pages as long as they are kept.

use std::time::Duration;

use super::Store;
use crate::db::values;
use crate::error::StoreError;

const DO: &str = "scrub";
/// Older transactions are looked for this often, and this many times: 20 s.
const OLDER_LOOK: Duration = Duration::from_millis(100);
const OLDER_LOOKS: usize = 200;
/// A table up to this size is written anew: a second or so, in which nobody else may use it.
const FULL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Tables that hold something of members.
const TABLES: [&str; 23] = [
    "members",
    "team_people",
    "achievements",
    "days",
    "workouts",
    "workout_ranges",
    "workout_totals",
    "logged_sets",
    "visits",
    "visit_machines",
    "events",
    "claims",
    "quarantine",
    "idempotency",
    "sources",
    "boots",
    "packed",
    "reps",
    "sets",
    "strokes",
    "erased",
    "erasures",
    "board_scores",
];

impl Store {
    /// Takes deleted rows out of the files. Returns the tables of Postgres that were too large to be written anew: `vacuum full` them at a
    /// quiet hour. Nothing to return in SQLite.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; the rest is done all the same.
    pub async fn scrub(&self) -> Result<Vec<String>, StoreError> {
        if !self.db.is_postgres() {
            return self.cut_log().await.map(|()| Vec::new());
        }
        let sql = "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'samples'::regclass";
        let mut tables: Vec<String> = TABLES.map(str::to_owned).into();
        for row in self.db.fetch(DO, sql, &[]).await? {
            let name: String = row.get(DO, 0)?;
            tables.extend(crate::writer::months::month_named(&name).map(crate::writer::months::name));
        }
        let (mut large, mut failed) = (Vec::new(), self.older_are_over().await.err());
        for table in tables {
            match self.write_anew(&table).await {
                Ok(true) => {}
                Ok(false) => large.push(table),
                Err(error) => failed = Some(error),
            }
        }
        if let Err(error) = self.db.execute(DO, "vacuum full pg_statistic", &[]).await {
            tracing::info!(%error, "the planner's statistics were not written anew: only a superuser may");
        }
        failed.map_or(Ok(large), Err)
    }

    /// Waits until nobody can see what was deleted before now: no snapshot in this database, and no transaction of the whole server, whose
    /// age every new snapshot takes on.
    async fn older_are_over(&self) -> Result<(), StoreError> {
        let row = self.db.fetch_one(DO, "select cast(pg_current_xact_id() as text)", &[]).await?;
        let now: String = row.map_or(Ok(String::new()), |row| row.get(DO, 0))?;
        let older = "select count(*) + case when pg_snapshot_xmin(pg_current_snapshot()) > cast(cast($1 as text) as xid8) then 0 else 1 end
             from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_xmin is not null
             and age(backend_xmin) >= age(cast(cast(cast($1 as text) as xid8) as xid))";
        for _ in 0..OLDER_LOOKS {
            let row = self.db.fetch_one(DO, older, &values![now.as_str()]).await?;
            if row.map_or(Ok(0), |row| row.get::<i64>(DO, 0))? == 0 {
                return Ok(());
            }
            tokio::time::sleep(OLDER_LOOK).await;
        }
        Err(StoreError::Stale { operation: DO })
    }

    async fn write_anew(&self, table: &str) -> Result<bool, StoreError> {
        let size = self.db.fetch_one(DO, format!("select pg_total_relation_size('{table}'::regclass)"), &[]).await?;
        let small = size.map_or(Ok(0), |row| row.get::<i64>(DO, 0))? <= FULL_BYTES_MAX;
        let vacuum = if small { format!("vacuum (full, analyze) {table}") } else { format!("vacuum (analyze) {table}") };
        self.db.execute(DO, vacuum, &[]).await?;
        Ok(small)
    }

    /// Readers may hold the log for a moment; it is tried until it is empty, and a later checkpoint does it otherwise.
    async fn cut_log(&self) -> Result<(), StoreError> {
        for _ in 0..20 {
            let row = self.db.write_fetch_one(DO, "pragma wal_checkpoint(truncate)").await?;
            if row.map_or(Ok(0), |row| row.get::<i64>(DO, 0))? == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(StoreError::Stale { operation: DO })
    }
}
