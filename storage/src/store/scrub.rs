//! After an erasure: deleted rows out of the files.
//!
//! SQLite overwrites what it deletes; what is left is the write-ahead log, which is brought into the file and cut. Postgres keeps dead rows in its
//! pages: tables are written anew (`vacuum full`) where that takes a moment, and vacuumed where it would take long; those are
//! returned for the operator. The write-ahead log and its archive keep old pages as long as they are kept.

use super::Store;
use crate::error::StoreError;

const DO: &str = "scrub";
/// A table up to this size is written anew: a second or so, in which nobody else may use it.
const FULL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Tables that hold something of members.
const TABLES: [&str; 22] = [
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
        let (mut large, mut failed) = (Vec::new(), None);
        for table in tables {
            match self.write_anew(&table).await {
                Ok(true) => {}
                Ok(false) => large.push(table),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(large), Err)
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
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        Err(StoreError::Stale { operation: DO })
    }
}
