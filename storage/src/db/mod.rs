//! One thin layer over both back ends: values in, rows out, a deadline on every statement, errors by operation.
//!
//! The dialects share `$1` placeholders, `on conflict`, `returning` and most of the rest, so that a query is written once. Where they
//! differ the caller asks [`Conn::is_postgres`]. Does not know what any table means.

mod connect;
mod row;
mod tuples;
mod value;

use std::borrow::Cow;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};
use tokio::time::timeout;

pub(crate) use connect::{Address, Wire};
pub(crate) use row::{Row, decode};
pub(crate) use tuples::tuples;
pub(crate) use value::{Value, values};

use crate::error::StoreError;

/// SQL text: fixed, or put together from names that this crate owns, never from outside.
pub(crate) type Sql = Cow<'static, str>;

/// Connections for questions and provisioning.
#[derive(Clone)]
pub(crate) enum Db {
    /// Readers, and the one connection that writes besides the writer.
    Sqlite { read: SqlitePool, write: SqlitePool, deadline: Duration },
    /// A pool.
    Postgres { pool: PgPool, deadline: Duration },
}

impl Db {
    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// Asks outside of a transaction.
    pub(crate) async fn fetch(&self, operation: &'static str, sql: impl Into<Sql>, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        match self {
            Self::Sqlite { read, deadline, .. } => {
                let ask = async { sqlx::query_with(sql, value::sqlite(params)?).fetch_all(read).await };
                let rows = within(operation, *deadline, ask).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres { pool, deadline } => {
                let ask = async { sqlx::query_with(sql, value::postgres(params)?).fetch_all(pool).await };
                let rows = within(operation, *deadline, ask).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Asks for at most one row.
    pub(crate) async fn fetch_one(
        &self,
        operation: &'static str,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(operation, sql, params).await?.into_iter().next())
    }

    /// Changes outside of a transaction; returns how many rows.
    pub(crate) async fn execute(&self, operation: &'static str, sql: impl Into<Sql>, params: &[Value]) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        match self {
            Self::Sqlite { write, deadline, .. } => {
                let ask = async { sqlx::query_with(sql, value::sqlite(params)?).execute(write).await };
                Ok(within(operation, *deadline, ask).await?.rows_affected())
            }
            Self::Postgres { pool, deadline } => {
                let ask = async { sqlx::query_with(sql, value::postgres(params)?).execute(pool).await };
                Ok(within(operation, *deadline, ask).await?.rows_affected())
            }
        }
    }

    /// Asks on the connection that writes (SQLite); the pool elsewhere.
    pub(crate) async fn write_fetch_one(&self, operation: &'static str, sql: &'static str) -> Result<Option<Row>, StoreError> {
        let Self::Sqlite { write, deadline, .. } = self else { return self.fetch_one(operation, sql, &[]).await };
        let row = within(operation, *deadline, sqlx::query(AssertSqlSafe(sql)).fetch_optional(write)).await?;
        Ok(row.map(Row::Sqlite))
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self, operation: &'static str) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { write, deadline, .. } => {
                let tx = within(operation, *deadline, write.begin_with("begin immediate")).await?;
                Ok(Tx { inner: TxInner::Sqlite(tx), deadline: *deadline })
            }
            Self::Postgres { pool, deadline } => {
                let tx = within(operation, *deadline, pool.begin()).await?;
                Ok(Tx { inner: TxInner::Postgres(tx), deadline: *deadline })
            }
        }
    }

    /// Begins a transaction that only reads, and sees one moment of the database.
    pub(crate) async fn snapshot(&self, operation: &'static str) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { read, deadline, .. } => {
                let tx = within(operation, *deadline, read.begin()).await?;
                Ok(Tx { inner: TxInner::Sqlite(tx), deadline: *deadline })
            }
            Self::Postgres { pool, deadline } => {
                let tx = within(operation, *deadline, pool.begin_with("begin isolation level repeatable read read only")).await?;
                Ok(Tx { inner: TxInner::Postgres(tx), deadline: *deadline })
            }
        }
    }

    /// A connection of its own for what takes long: the client waits so long for each statement, and so does the server. None in SQLite.
    pub(crate) async fn patient(&self, operation: &'static str, patience: Duration) -> Result<Option<Wire>, StoreError> {
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { pool, deadline } => {
                let options = (*pool.connect_options()).clone();
                let wire = Address::Postgres(options).wire(*deadline, patience).await;
                wire.map(Some).map_err(|error| StoreError::from_sqlx(operation, error))
            }
        }
    }

    /// Waits for open questions and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

/// A transaction; taken back when dropped without [`Tx::commit`].
pub(crate) struct Tx {
    inner: TxInner,
    deadline: Duration,
}

enum TxInner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => Conn { inner: ConnInner::Sqlite(tx), deadline: self.deadline },
            TxInner::Postgres(tx) => Conn { inner: ConnInner::Postgres(tx), deadline: self.deadline },
        }
    }

    pub(crate) async fn commit(self, operation: &'static str) -> Result<(), StoreError> {
        match self.inner {
            TxInner::Sqlite(tx) => within(operation, self.deadline, tx.commit()).await,
            TxInner::Postgres(tx) => within(operation, self.deadline, tx.commit()).await,
        }
    }
}

/// One connection for as long as a transaction needs it.
pub(crate) struct Conn<'c> {
    inner: ConnInner<'c>,
    deadline: Duration,
}

enum ConnInner<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn<'_> {
    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.inner, ConnInner::Postgres(_))
    }

    /// The Postgres connection itself, for COPY.
    pub(crate) fn postgres(&mut self) -> Option<(&mut PgConnection, Duration)> {
        match &mut self.inner {
            ConnInner::Postgres(conn) => Some((conn, self.deadline)),
            ConnInner::Sqlite(_) => None,
        }
    }

    pub(crate) async fn fetch(&mut self, operation: &'static str, sql: impl Into<Sql>, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        match &mut self.inner {
            ConnInner::Sqlite(conn) => {
                let ask = async { sqlx::query_with(sql, value::sqlite(params)?).fetch_all(&mut **conn).await };
                Ok(within(operation, self.deadline, ask).await?.into_iter().map(Row::Sqlite).collect())
            }
            ConnInner::Postgres(conn) => {
                let ask = async { sqlx::query_with(sql, value::postgres(params)?).fetch_all(&mut **conn).await };
                Ok(within(operation, self.deadline, ask).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    pub(crate) async fn fetch_one(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(operation, sql, params).await?.into_iter().next())
    }

    pub(crate) async fn execute(&mut self, operation: &'static str, sql: impl Into<Sql>, params: &[Value]) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        match &mut self.inner {
            ConnInner::Sqlite(conn) => {
                let ask = async { sqlx::query_with(sql, value::sqlite(params)?).execute(&mut **conn).await };
                Ok(within(operation, self.deadline, ask).await?.rows_affected())
            }
            ConnInner::Postgres(conn) => {
                let ask = async { sqlx::query_with(sql, value::postgres(params)?).execute(&mut **conn).await };
                Ok(within(operation, self.deadline, ask).await?.rows_affected())
            }
        }
    }

    /// Runs statements without parameters, several at once.
    pub(crate) async fn script(&mut self, operation: &'static str, sql: impl Into<Sql>) -> Result<(), StoreError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.into()));
        match &mut self.inner {
            ConnInner::Sqlite(conn) => within(operation, self.deadline, script.execute(&mut **conn)).await.map(drop),
            ConnInner::Postgres(conn) => within(operation, self.deadline, script.execute(&mut **conn)).await.map(drop),
        }
    }
}

/// Runs one statement under its deadline.
pub(crate) async fn within<T>(
    operation: &'static str,
    deadline: Duration,
    ask: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(deadline, ask).await {
        Ok(answer) => answer.map_err(|error| StoreError::from_sqlx(operation, error)),
        Err(_elapsed) => Err(StoreError::Deadline { operation, after: deadline }),
    }
}
