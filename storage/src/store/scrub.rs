//! After an erasure: deleted rows out of the files.
//!
//! SQLite overwrites what it deletes; what is left is the write-ahead log, which is brought into the file and cut. Postgres keeps dead rows in its
//! pages: tables are written anew (`vacuum full`) where that takes a moment, and vacuumed where it would take long; those are
//! returned for the operator. A row that an older transaction could still see is not taken out, so these are waited for first; the planner's
//! statistics hold values as well and are written anew where the role may. The write-ahead log and its archive keep old pages as long as they are kept.
//! One scrub at a time, on a connection that may take hours: who asks while one runs shares the next.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Store;
use crate::db::{Conn, values};
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

/// A vacuum of a large table takes its time, and holds nobody up.
const PATIENCE: Duration = Duration::from_secs(4 * 3_600);
/// Nobody queues for longer than this behind a table that is waited for.
const LOCK_WITHIN: &str = "set lock_timeout = '2s'";
/// Another node's scrub is waited for; looked at this often.
const TURN_LOOK: Duration = Duration::from_millis(250);
const TURN_LOOKS: u128 = PATIENCE.as_millis() / TURN_LOOK.as_millis();
/// One scrub at a time, over all nodes; any number that nobody else uses in the database.
const LOCK: i64 = 0x5370_6f74_7465_7205;

/// Scrubs of this node.
#[derive(Debug, Default)]
pub(super) struct Scrubs {
    /// How many were begun.
    begun: AtomicU64,
    /// The last one that was finished, by its number, and what it answered.
    last: Mutex<(u64, Vec<String>)>,
}

impl Store {
    /// Takes deleted rows out of the files. Returns the tables of Postgres that may hold them still, since they were too large to be written
    /// anew or could not be: `vacuum full` them at a quiet hour. Nothing to return in SQLite. May take hours on a large store.
    ///
    /// One after another: whoever asks while one runs waits for the next and shares its answer, so that what was deleted before is in it.
    ///
    /// # Errors
    /// [`StoreError`] where the database is away, or another scrub went on for hours.
    pub async fn scrub(&self) -> Result<Vec<String>, StoreError> {
        let asked = self.scrubs.begun.load(SeqCst);
        let mut last = self.scrubs.last.lock().await;
        if last.0 > asked {
            return Ok(last.1.clone());
        }
        let number = self.scrubs.begun.fetch_add(1, SeqCst) + 1;
        let left = match self.db.patient(DO, PATIENCE).await? {
            None => self.cut_log().await.map(|()| Vec::new())?,
            Some(mut wire) => {
                let left = scrub_tables(&mut wire.conn()).await?;
                wire.close().await;
                left
            }
        };
        *last = (number, left.clone());
        Ok(left)
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

async fn scrub_tables(conn: &mut Conn<'_>) -> Result<Vec<String>, StoreError> {
    take_turn(conn).await?;
    conn.script(DO, LOCK_WITHIN).await?;
    let sql = "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'samples'::regclass";
    let mut tables: Vec<String> = TABLES.map(str::to_owned).into();
    for row in conn.fetch(DO, sql, &[]).await? {
        let name: String = row.get(DO, 0)?;
        tables.extend(crate::writer::months::month_named(&name).map(crate::writer::months::name));
    }
    // Where somebody still sees the rows, no table can be rid of them now: all are named.
    let is_seen = match older_are_over(conn).await {
        Ok(()) => false,
        Err(StoreError::Stale { .. }) => true,
        Err(error) => return Err(error),
    };
    let mut left = Vec::new();
    for table in tables {
        match write_anew(conn, &table).await {
            Ok(true) if !is_seen => {}
            Ok(_) => left.push(table),
            Err(error) if conn.fetch(DO, "select 1", &[]).await.is_err() => return Err(error),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, table, "a table could not be scrubbed");
                left.push(table);
            }
        }
    }
    if let Err(error) = conn.execute(DO, "vacuum full pg_statistic", &[]).await {
        tracing::info!(%error, "the planner's statistics were not written anew: only a superuser may");
    }
    Ok(left)
}

/// Waits for the scrub of another node without holding a snapshot, which that one would wait for. Let go with the connection.
async fn take_turn(conn: &mut Conn<'_>) -> Result<(), StoreError> {
    for _ in 0..TURN_LOOKS {
        let row = conn.fetch_one(DO, "select pg_try_advisory_lock($1)", &values![LOCK]).await?;
        if row.map_or(Ok(false), |row| row.get(DO, 0))? {
            return Ok(());
        }
        tokio::time::sleep(TURN_LOOK).await;
    }
    Err(StoreError::Stale { operation: DO })
}

/// Waits until nobody can see what was deleted before now: no snapshot in this database, and no transaction of the whole server, whose
/// age every new snapshot takes on.
async fn older_are_over(conn: &mut Conn<'_>) -> Result<(), StoreError> {
    let row = conn.fetch_one(DO, "select cast(pg_current_xact_id() as text)", &[]).await?;
    let now: String = row.map_or(Ok(String::new()), |row| row.get(DO, 0))?;
    let older = "select count(*) + case when pg_snapshot_xmin(pg_current_snapshot()) > cast(cast($1 as text) as xid8) then 0 else 1 end
         from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_xmin is not null
         and age(backend_xmin) >= age(cast(cast(cast($1 as text) as xid8) as xid))";
    for _ in 0..OLDER_LOOKS {
        let row = conn.fetch_one(DO, older, &values![now.as_str()]).await?;
        if row.map_or(Ok(0), |row| row.get::<i64>(DO, 0))? == 0 {
            return Ok(());
        }
        tokio::time::sleep(OLDER_LOOK).await;
    }
    Err(StoreError::Stale { operation: DO })
}

/// Whether the table was small enough to be written anew.
async fn write_anew(conn: &mut Conn<'_>, table: &str) -> Result<bool, StoreError> {
    let size = conn.fetch_one(DO, format!("select pg_total_relation_size('{table}'::regclass)"), &[]).await?;
    let small = size.map_or(Ok(0), |row| row.get::<i64>(DO, 0))? <= FULL_BYTES_MAX;
    let vacuum = if small { format!("vacuum (full, analyze) {table}") } else { format!("vacuum (analyze) {table}") };
    conn.execute(DO, vacuum, &[]).await?;
    Ok(small)
}
