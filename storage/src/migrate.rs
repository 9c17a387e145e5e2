//! The schema, by numbered migrations that are embedded in the binary, one list per back end.
//!
//! Each runs in a transaction of its own. A migration says with which older binaries it still agrees (`agrees`), so that the
//! previous binary can run on a schema that only gained something, and a binary that would do damage is refused with words.

use crate::db::{Conn, Wire, values};
use crate::error::{OpenError, StoreError};

struct Migration {
    version: i64,
    /// Oldest schema version that a binary must know to use the database after this.
    agrees: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0001_house.sql"),
        postgres: include_str!("../migrations/postgres/0001_house.sql"),
    },
    // The first chunk that is packed raises `agrees` of this one to 2: a binary that reads raw rows only would read too little.
    Migration {
        version: 2,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0002_history.sql"),
        postgres: include_str!("../migrations/postgres/0002_history.sql"),
    },
    Migration {
        version: 3,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0003_devices.sql"),
        postgres: include_str!("../migrations/postgres/0003_devices.sql"),
    },
    Migration {
        version: 4,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0004_boards.sql"),
        postgres: include_str!("../migrations/postgres/0004_boards.sql"),
    },
    Migration {
        version: 5,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0005_sources.sql"),
        postgres: include_str!("../migrations/postgres/0005_sources.sql"),
    },
    Migration {
        version: 6,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0006_erasures.sql"),
        postgres: include_str!("../migrations/postgres/0006_erasures.sql"),
    },
    Migration {
        version: 7,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0007_keep.sql"),
        postgres: include_str!("../migrations/postgres/0007_keep.sql"),
    },
    Migration {
        version: 8,
        agrees: 1,
        sqlite: include_str!("../migrations/sqlite/0008_achievements.sql"),
        postgres: include_str!("../migrations/postgres/0008_achievements.sql"),
    },
];

/// Serialises nodes that start together; any number that nobody else uses in the database.
const LOCK: i64 = 0x5370_6f74_7465_7201;

/// Brings the schema to the version of this binary.
pub(crate) async fn migrate(wire: &mut Wire, now_ms: i64) -> Result<(), OpenError> {
    let found = found(wire).await.map_err(OpenError::Start)?;
    let knows = knows();
    if let Some((version, needs)) = found
        && needs > knows
    {
        return Err(OpenError::NewerSchema { found: version, needs, knows });
    }
    for migration in MIGRATIONS {
        apply(wire, migration, now_ms).await.map_err(|source| OpenError::Migrate { version: migration.version, source })?;
    }
    Ok(())
}

/// The newest version that this binary knows.
pub(crate) fn knows() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// The version of a database; none for a new one.
pub(crate) async fn version(wire: &mut Wire) -> Result<Option<i64>, StoreError> {
    Ok(found(wire).await?.map(|(version, _)| version))
}

/// Whether the database has a table of this name.
pub(crate) async fn has_table(conn: &mut Conn<'_>, name: &'static str) -> Result<bool, StoreError> {
    const DO: &str = "look for a table";
    let sql = if conn.is_postgres() {
        "select count(*) from pg_tables where schemaname = current_schema() and tablename = $1"
    } else {
        "select count(*) from sqlite_master where type = 'table' and name = $1"
    };
    let row = conn.fetch_one(DO, sql, &values![name]).await?;
    Ok(row.map_or(Ok(0), |row| row.get::<i64>(DO, 0))? > 0)
}

async fn found(wire: &mut Wire) -> Result<Option<(i64, i64)>, StoreError> {
    const DO: &str = "read the schema version";
    let mut conn = wire.conn();
    if !has_table(&mut conn, "schema_versions").await? {
        return Ok(None);
    }
    let Some(row) = conn.fetch_one(DO, "select max(version), max(agrees) from schema_versions", &[]).await? else { return Ok(None) };
    let version: Option<i64> = row.get(DO, 0)?;
    let agrees: Option<i64> = row.get(DO, 1)?;
    Ok(version.zip(agrees))
}

async fn apply(wire: &mut Wire, migration: &Migration, now_ms: i64) -> Result<(), StoreError> {
    const DO: &str = "migrate the schema";
    wire.begin(DO).await?;
    let mut conn = wire.conn();
    if conn.is_postgres() {
        conn.fetch(DO, "select pg_advisory_xact_lock($1)", &values![LOCK]).await?;
    }
    let versions = "create table if not exists schema_versions (version bigint primary key, agrees bigint not null, at_ms bigint not null)";
    conn.script(DO, versions).await?;
    let known = conn.fetch_one(DO, "select 1 from schema_versions where version = $1", &values![migration.version]).await?;
    if known.is_none() {
        conn.script(DO, if conn.is_postgres() { migration.postgres } else { migration.sqlite }).await?;
        let note = "insert into schema_versions (version, agrees, at_ms) values ($1, $2, $3)";
        conn.execute(DO, note, &values![migration.version, migration.agrees, now_ms]).await?;
    }
    wire.commit(DO).await
}
