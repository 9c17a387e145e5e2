//! What the cases share: a fresh database, an open storage with its driver running, rows to store, reports awaited by condition.

pub(crate) mod postgres;
pub(crate) mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::{SeqRanges, TenantId};
use storage::{Counters, Importer, Options, Recorder, Rejection, Report, Row, SourceKey, Storage, Store, Unflushed};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::postgres::Server;

/// No wait of a case is longer; a case that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one case.
pub(crate) fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(case);
}

/// A database of its own for one case.
pub(crate) struct Bench {
    pub(crate) url: String,
    _files: Option<TempDir>,
    data: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn sqlite() -> Self {
        let files = tempfile::tempdir().unwrap();
        let path: PathBuf = files.path().join("spotter.db");
        Self { url: format!("sqlite:{}", path.display()), data: Some(path), _files: Some(files) }
    }

    pub(crate) async fn postgres(server: &Server, name: &str) -> Self {
        Self { url: server.database(name).await, data: server.tables(), _files: None }
    }

    /// Drops the database of a case that passed.
    pub(crate) async fn remove(self, server: &Server) {
        if let Some((_, name)) = self.url.rsplit_once('/').filter(|_| self.is_postgres()) {
            server.sql(&format!("drop database {name} with (force)")).await;
        }
    }

    /// Where its tables lie: the file and its log, or the server's folder without the write-ahead log. None where the server is not ours.
    pub(crate) fn files(&self) -> Option<Vec<PathBuf>> {
        let data = self.data.clone()?;
        let log = data.with_file_name("spotter.db-wal");
        Some(if self.is_postgres() { vec![data] } else { vec![data, log] })
    }

    /// Has the server write its pages out.
    pub(crate) async fn checkpoint(&self) {
        self.sql(if self.is_postgres() { "checkpoint" } else { "pragma wal_checkpoint(passive)" }).await;
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.url.clone());
        options.batch_wait = Duration::from_millis(10);
        options.amend_after = Duration::from_millis(200);
        options.retry_max = Duration::from_millis(200);
        options.connections = 3;
        options
    }

    pub(crate) async fn open(&self) -> House {
        House::open(self.options()).await
    }

    /// Runs SQL beside the storage, as an operator would.
    pub(crate) async fn sql(&self, sql: &str) -> u64 {
        use sqlx::{AssertSqlSafe, Connection as _};
        if self.is_postgres() {
            let mut conn = sqlx::PgConnection::connect(&self.url).await.unwrap();
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap().rows_affected();
            conn.close().await.unwrap();
            return rows;
        }
        let mut conn = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap().rows_affected();
        conn.close().await.unwrap();
        rows
    }

    /// A number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        use sqlx::{AssertSqlSafe, Connection as _};
        let sql = AssertSqlSafe(sql);
        if self.is_postgres() {
            let mut conn = sqlx::PgConnection::connect(&self.url).await.unwrap();
            let number = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            conn.close().await.unwrap();
            return number;
        }
        let mut conn = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        let number = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        number
    }
}

/// An open storage whose driver runs.
pub(crate) struct House {
    pub(crate) recorder: Recorder,
    pub(crate) store: Store,
    pub(crate) importer: Importer,
    pub(crate) counters: Arc<Counters>,
    pub(crate) node_start: u64,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) heard: Heard,
    driver: JoinHandle<Unflushed>,
}

/// What the reports said so far.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) stored: BTreeMap<(Arc<SourceKey>, u32), SeqRanges>,
    pub(crate) rejected: Vec<Rejection>,
    pub(crate) others: Vec<Report>,
}

impl Heard {
    pub(crate) fn stored_count(&self) -> u64 {
        self.stored.values().map(SeqRanges::count).sum()
    }

    pub(crate) fn has(&self, report: &Report) -> bool {
        self.others.contains(report)
    }
}

impl House {
    pub(crate) async fn open(options: Options) -> Self {
        let Storage { recorder, store, importer, reports, driver, node_start, counters } = storage::open(options).await.unwrap();
        let driver = tokio::spawn(driver.run());
        Self { recorder, store, importer, counters, node_start, reports, heard: Heard::default(), driver }
    }

    /// Gives all rows, waiting for room where there is none.
    pub(crate) async fn keep(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            while self.recorder.try_keep(row.clone()).is_err() {
                self.hear_one().await;
            }
        }
    }

    /// Listens until the condition holds.
    pub(crate) async fn until(&mut self, what: &str, mut done: impl FnMut(&Heard) -> bool) {
        let listen = async {
            while !done(&self.heard) {
                self.hear_one().await;
            }
        };
        assert!(timeout(PATIENCE, listen).await.is_ok(), "did not come: {what}; heard {:?} {:?}", self.heard.stored, self.heard.others);
    }

    pub(crate) async fn hear_one(&mut self) {
        match timeout(PATIENCE, self.reports.recv()).await.expect("a report comes").expect("the driver runs") {
            Report::Stored { source, boot, seqs, rejected, .. } => {
                self.heard.stored.entry((source, boot)).or_default().union(&seqs);
                self.heard.rejected.extend(rejected);
            }
            other => self.heard.others.push(other),
        }
    }

    /// Drains and ends; nothing may be left.
    pub(crate) async fn close(self) {
        let left = self.recorder.drain(PATIENCE).await;
        assert_eq!(left, Unflushed::default());
        assert_eq!(self.driver.await.unwrap(), Unflushed::default());
    }

    /// Ends the driver as a crash does: in the middle of whatever it is at.
    pub(crate) async fn crash(self) {
        self.driver.abort();
        assert!(self.driver.await.unwrap_err().is_cancelled());
    }
}

/// The tenant of most cases.
pub(crate) fn tenant() -> TenantId {
    TenantId(uuid::Uuid::from_u128(0x7e))
}
