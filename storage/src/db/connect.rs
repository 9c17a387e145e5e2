//! Addresses and connections of both back ends.
//!
//! SQLite: WAL and `synchronous=FULL`, so that a commit survives the power cord. Postgres: a limit in the server for every
//! statement, a little under the client's, so that the server lets go first.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokio::time::timeout;

use super::{Conn, ConnInner, Db, within};
use crate::error::{OpenError, StoreError};

/// Rows that SQLite's thread may be ahead of who reads them: with sqlx's 50, the boots of a batch are handed over in many hops.
const ROW_BUFFER: usize = 1_024;

/// A database, parsed.
#[derive(Clone)]
pub(crate) enum Address {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Address {
    /// Reads `sqlite:PATH` or `postgres://..`. The error names the scheme only: the rest may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let wrong = || OpenError::Address(url.split_once(':').map_or("", |(scheme, _)| scheme).to_owned());
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(":memory:") {
                return Err(wrong());
            }
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                // 64 MiB: a page that every batch writes again is copied to the database once for many batches.
                .pragma("wal_autocheckpoint", "16000")
                // What is deleted is overwritten: packing and erasure leave nothing behind in free pages.
                .pragma("secure_delete", "on")
                .pragma("cache_size", "-16384")
                .row_buffer_size(ROW_BUFFER)
                .statement_cache_capacity(128);
            return Ok(Self::Sqlite(options));
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url).map_err(|_| wrong())?;
            return Ok(Self::Postgres(options.application_name("spotter")));
        }
        Err(wrong())
    }

    /// Connections for questions.
    pub(crate) fn pools(&self, connections: u32, deadline: Duration) -> Db {
        match self {
            Self::Sqlite(options) => {
                let options = options.clone().busy_timeout(deadline);
                let read = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(deadline);
                let write = SqlitePoolOptions::new().max_connections(1).acquire_timeout(deadline);
                Db::Sqlite { read: read.connect_lazy_with(options.clone()), write: write.connect_lazy_with(options), deadline }
            }
            Self::Postgres(options) => {
                let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(deadline);
                Db::Postgres { pool: pool.connect_lazy_with(guarded(options, deadline)), deadline }
            }
        }
    }

    /// One connection of its own, for the writer and for migrations.
    pub(crate) async fn wire(&self, within: Duration, deadline: Duration) -> Result<Wire, sqlx::Error> {
        self.wire_waiting(deadline.mul_f32(0.8), within, deadline).await
    }

    /// The same, waiting no longer than `busy` for others who have the file (SQLite).
    pub(crate) async fn wire_waiting(&self, busy: Duration, within: Duration, deadline: Duration) -> Result<Wire, sqlx::Error> {
        let connect = async {
            Ok(match self {
                Self::Sqlite(options) => {
                    let options = options.clone().busy_timeout(busy);
                    WireInner::Sqlite(Box::new(SqliteConnection::connect_with(&options).await?))
                }
                Self::Postgres(options) => WireInner::Postgres(Box::new(PgConnection::connect_with(&guarded(options, deadline)).await?)),
            })
        };
        match timeout(within, connect).await {
            Ok(inner) => inner.map(|inner| Wire { inner, deadline }),
            Err(_elapsed) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// The same for a copy: a file for itself alone, a connection under a name that is not a hub's.
    pub(crate) fn for_copy(self) -> Self {
        match self {
            // Said before the first look at the file: a lock that is asked for later does not see others that only read.
            Self::Sqlite(options) => Self::Sqlite(options.locking_mode(SqliteLockingMode::Exclusive)),
            Self::Postgres(options) => Self::Postgres(options.application_name("spotter store copy")),
        }
    }

    /// Whether it is a file that does not exist.
    pub(crate) fn is_missing_file(&self) -> bool {
        match self {
            Self::Sqlite(options) => !options.get_filename().exists(),
            Self::Postgres(_) => false,
        }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(crate) const fn back_end(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

fn guarded(options: &PgConnectOptions, deadline: Duration) -> PgConnectOptions {
    let limit_ms = deadline.mul_f32(0.9).as_millis().to_string();
    let idle_ms = (deadline * 6).as_millis().to_string();
    options.clone().options([
        ("statement_timeout", limit_ms.as_str()),
        ("lock_timeout", limit_ms.as_str()),
        ("idle_in_transaction_session_timeout", idle_ms.as_str()),
        ("client_connection_check_interval", "1000"),
        ("jit", "off"),
        ("timezone", "UTC"),
    ])
}

/// A connection that is dropped, socket and all, at the first error that is not about content.
pub(crate) struct Wire {
    inner: WireInner,
    deadline: Duration,
}

enum WireInner {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

impl Wire {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match &mut self.inner {
            WireInner::Sqlite(conn) => Conn { inner: ConnInner::Sqlite(conn), deadline: self.deadline },
            WireInner::Postgres(conn) => Conn { inner: ConnInner::Postgres(conn), deadline: self.deadline },
        }
    }

    /// Takes the right to write at once (SQLite), so that no transaction fails half-way for want of it.
    pub(crate) async fn begin(&mut self, operation: &'static str) -> Result<(), StoreError> {
        let begin = match self.inner {
            WireInner::Sqlite(_) => "begin immediate",
            WireInner::Postgres(_) => "begin",
        };
        self.conn().script(operation, begin).await
    }

    pub(crate) async fn commit(&mut self, operation: &'static str) -> Result<(), StoreError> {
        self.conn().script(operation, "commit").await
    }

    /// Says goodbye; an error no longer matters to anybody.
    pub(crate) async fn close(self) {
        let gone = match self.inner {
            WireInner::Sqlite(conn) => timeout(self.deadline, conn.close()).await,
            WireInner::Postgres(conn) => timeout(self.deadline, conn.close()).await,
        };
        if !matches!(gone, Ok(Ok(()))) {
            tracing::debug!("a database connection did not close in order");
        }
    }

    /// Reads plans as the writer needs them: by index, whatever the statistics of an empty table say.
    pub(crate) async fn prefer_indexes(&mut self) -> Result<(), StoreError> {
        let WireInner::Postgres(conn) = &mut self.inner else { return Ok(()) };
        let script = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";
        within("prepare the writer", self.deadline, sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut **conn)).await.map(drop)
    }
}
