//! One of the two databases: opened for a copy, asked about itself.

use std::collections::HashSet;
use std::time::Duration;

use super::cell::Kind;
use super::columns::Column;
use super::error::CopyError;
use super::tables::{OWN, TABLES};
use crate::db::{Address, Row, Wire, values};
use crate::error::{OpenError, StoreError};
use crate::migrate;
use crate::open::now_ms;

const DO: &str = "look at the database of a copy";
/// A database that is not in use answers within this time.
const CONNECT: Duration = Duration::from_secs(5);
/// Whoever has the file open for longer than this keeps it.
const BUSY: Duration = Duration::from_millis(500);
const OPEN_ELSEWHERE: &str = "another process has the file open";

/// Whether somebody else holds the file.
fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut => true,
        // SQLite: 5 busy, 6 locked, in the low byte.
        sqlx::Error::Database(error) => {
            error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
        }
        _ => false,
    }
}

/// A database with its one connection.
pub(super) struct Side {
    /// `source` or `target`.
    pub(super) name: &'static str,
    pub(super) wire: Wire,
    /// Months whose partitions are there.
    pub(super) months: HashSet<i64>,
    postgres: bool,
}

impl Side {
    /// The source: there already, brought to this binary's schema as a start of the hub would, and locked where the database can.
    pub(super) async fn source(url: &str, deadline: Duration) -> Result<Self, CopyError> {
        let address = Address::parse(url).map_err(|source| CopyError::Open { side: "source", source })?;
        if address.is_missing_file() {
            return Err(CopyError::NoSource);
        }
        let mut side = Self::open("source", address, deadline).await?;
        side.migrate().await?;
        Ok(side)
    }

    /// The target: made where there is none, refused where a newer Spotter made it.
    pub(super) async fn target(url: &str, deadline: Duration) -> Result<Self, CopyError> {
        let address = Address::parse(url).map_err(|source| CopyError::Open { side: "target", source })?;
        let mut side = Self::open("target", address, deadline).await?;
        let found = migrate::version(&mut side.wire).await.map_err(|source| side.failed(source))?;
        if let Some(found) = found.filter(|found| *found > migrate::knows()) {
            return Err(CopyError::TargetNewer { found, knows: migrate::knows() });
        }
        side.migrate().await?;
        Ok(side)
    }

    async fn open(name: &'static str, address: Address, deadline: Duration) -> Result<Self, CopyError> {
        let back_end = address.back_end();
        let postgres = back_end == "postgres";
        match address.for_copy().wire_waiting(BUSY, CONNECT, deadline).await {
            Ok(wire) => {
                let mut side = Self { name, wire, months: HashSet::new(), postgres };
                side.first_look().await?;
                Ok(side)
            }
            Err(error) if !postgres && is_busy(&error) => Err(CopyError::InUse { side: name, by: OPEN_ELSEWHERE.to_owned() }),
            Err(source) => Err(CopyError::Open { side: name, source: OpenError::Connect { back_end, source } }),
        }
    }

    async fn migrate(&mut self) -> Result<(), CopyError> {
        let side = self.name;
        migrate::migrate(&mut self.wire, now_ms()).await.map_err(|source| CopyError::Open { side, source })
    }

    fn failed(&self, source: StoreError) -> CopyError {
        CopyError::Store { side: self.name, source }
    }

    pub(super) const fn is_postgres(&self) -> bool {
        self.postgres
    }

    /// From here on an SQLite file is this connection's alone until it closes: where a hub has it open this fails, and none starts meanwhile.
    async fn first_look(&mut self) -> Result<(), CopyError> {
        if self.postgres {
            return Ok(());
        }
        match self.wire.conn().fetch(DO, "select count(*) from sqlite_master", &[]).await {
            Ok(_) => Ok(()),
            Err(StoreError::Away { .. } | StoreError::Deadline { .. }) => {
                Err(CopyError::InUse { side: self.name, by: OPEN_ELSEWHERE.to_owned() })
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Refuses a Postgres database that a hub is connected to.
    pub(super) async fn refuse_company(&mut self) -> Result<(), CopyError> {
        if !self.postgres {
            return Ok(());
        }
        let sql = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'spotter' and pid <> pg_backend_pid()";
        match self.number(sql).await? {
            0 => Ok(()),
            connections => Err(CopyError::InUse { side: self.name, by: format!("{connections} connections of a hub") }),
        }
    }

    async fn number(&mut self, sql: impl Into<crate::db::Sql>) -> Result<i64, CopyError> {
        let row = self.wire.conn().fetch_one(DO, sql, &[]).await;
        row.and_then(|row| row.map_or(Ok(0), |row| row.get(DO, 0))).map_err(|source| self.failed(source))
    }

    /// Starts counted by hubs.
    pub(super) async fn starts(&mut self) -> Result<i64, CopyError> {
        self.number("select coalesce(max(starts), 0) from node_starts").await
    }

    /// The oldest schema that a binary must know to use this database.
    pub(super) async fn agrees(&mut self) -> Result<i64, CopyError> {
        self.number("select coalesce(max(agrees), 0) from schema_versions").await
    }

    /// No older binary than this may use the database.
    pub(super) async fn raise_agrees(&mut self, agrees: i64) -> Result<(), CopyError> {
        let sql = "update schema_versions set agrees = $1 where version = (select max(version) from schema_versions) and agrees < $1";
        self.wire.conn().execute(DO, sql, &values![agrees]).await.map(drop).map_err(|source| self.failed(source))
    }

    pub(super) async fn count(&mut self, table: &str) -> Result<u64, CopyError> {
        Ok(u64::try_from(self.number(format!("select count(*) from {table}")).await?).unwrap_or_default())
    }

    /// Refuses tables that [`TABLES`] does not name: partitions are parts of theirs.
    pub(super) async fn refuse_strange_tables(&mut self) -> Result<(), CopyError> {
        for table in self.tables().await? {
            if !OWN.contains(&table.as_str()) && !TABLES.iter().any(|known| known.name == table) {
                return Err(CopyError::StrangeTable { side: self.name, table });
            }
        }
        Ok(())
    }

    async fn tables(&mut self) -> Result<Vec<String>, CopyError> {
        let sql = if self.postgres {
            "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition"
        } else {
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        };
        let rows = self.wire.conn().fetch(DO, sql, &[]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.get(DO, 0)).collect()).map_err(|source| self.failed(source))
    }

    /// Refuses a target with anything in it.
    pub(super) async fn refuse_rows(&mut self) -> Result<(), CopyError> {
        for table in TABLES {
            let rows = match table.name {
                // A new database has its row; a hub that was started has counted.
                "node_starts" => u64::try_from(self.starts().await?).unwrap_or_default(),
                name => u64::try_from(self.number(format!("select count(*) from (select 1 as one from {name} limit 1) t")).await?)
                    .unwrap_or_default(),
            };
            if rows > 0 {
                let rows = self.count(table.name).await?;
                return Err(CopyError::TargetNotEmpty { table: table.name, rows });
            }
        }
        Ok(())
    }

    /// The columns of a table in their order.
    pub(super) async fn columns(&mut self, table: &'static str) -> Result<Vec<Column>, CopyError> {
        let sql = if self.postgres {
            "select column_name::text, data_type::text from information_schema.columns
             where table_schema = current_schema() and table_name = $1 order by ordinal_position"
        } else {
            "select name, type from pragma_table_info($1) order by cid"
        };
        let found = self.wire.conn().fetch(DO, sql, &values![table]).await.map_err(|source| self.failed(source))?;
        let postgres = self.postgres;
        let pair = |row: &Row| Ok::<(String, String), StoreError>((row.get(DO, 0)?, row.get(DO, 1)?));
        let mut columns = Vec::with_capacity(found.len());
        for row in &found {
            let (name, kind) = pair(row).map_err(|source| self.failed(source))?;
            let known = if postgres { Kind::of_postgres(&kind) } else { Kind::of_sqlite(&kind) };
            let Some(kind) = known else {
                return Err(CopyError::Column { table, column: name, what: "its type is not one that can be copied" });
            };
            columns.push(Column { name, kind });
        }
        Ok(columns)
    }

    /// The last number that the database gave by itself.
    pub(super) async fn serial(&mut self, table: &str, column: &str) -> Result<i64, CopyError> {
        let sql = if self.postgres {
            format!("select coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')::regclass), 0)::bigint")
        } else {
            format!("select coalesce(max(seq), 0) from sqlite_sequence where name = '{table}'")
        };
        self.number(sql).await
    }

    /// The database goes on numbering behind this one.
    pub(super) async fn set_serial(&mut self, table: &str, column: &str, number: i64) -> Result<(), CopyError> {
        let sql = if self.postgres {
            format!("select setval(pg_get_serial_sequence('{table}', '{column}')::regclass, greatest({number}, 1), {})", number > 0)
        } else {
            format!(
                "update sqlite_sequence set seq = {number} where name = '{table}' and seq < {number};
                 insert into sqlite_sequence (name, seq) select '{table}', {number} where not exists (select 1 from sqlite_sequence where name = '{table}')"
            )
        };
        self.wire.conn().script(DO, sql).await.map_err(|source| self.failed(source))
    }

    pub(super) async fn close(self) {
        self.wire.close().await;
    }
}
