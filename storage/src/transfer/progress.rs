//! How far a copy is, kept in the target beside what was copied and gone when it is done. While the table stands no hub starts on the target.

use sha2::{Digest as _, Sha256};

use super::error::CopyError;
use super::side::Side;
use super::tables::Table;
use crate::db::{Conn, values};
use crate::error::StoreError;

/// The table's name.
pub(super) const TABLE: &str = "store_copy";
const DO: &str = "note how far the copy is";
/// The row that says which copy it is.
const HEAD: &str = "";

/// A copy that was begun before.
pub(super) struct Progress {
    pub(super) source: String,
    pub(super) starts: i64,
}

/// How far a table is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Note {
    pub(super) rows: u64,
    /// The key of the last row.
    pub(super) after: Option<Vec<String>>,
    pub(super) done: bool,
}

/// The source's address without telling it: it may hold a password.
pub(super) fn name_of(url: &str) -> String {
    protocol::text::hex(&Sha256::digest(url.as_bytes())[..16])
}

/// The copy that was begun in this target, if any.
pub(super) async fn found(to: &mut Side) -> Result<Option<Progress>, CopyError> {
    let failed = |source| CopyError::Store { side: "target", source };
    if !crate::migrate::has_table(&mut to.wire.conn(), TABLE).await.map_err(failed)? {
        return Ok(None);
    }
    let row = to.wire.conn().fetch_one(DO, "select after, rows from store_copy where name = $1", &values![HEAD]).await.map_err(failed)?;
    let read = |row: crate::db::Row| Ok(Progress { source: row.get(DO, 0)?, starts: row.get(DO, 1)? });
    row.map(read).transpose().map_err(failed)
}

/// Notes that a copy begins; the row that every new database has of its own makes room for the source's.
pub(super) async fn begin(to: &mut Side, source: &str, starts: i64) -> Result<(), CopyError> {
    let failed = |source| CopyError::Store { side: "target", source };
    to.wire.begin(DO).await.map_err(failed)?;
    let mut conn = to.wire.conn();
    let make = "create table store_copy (name text primary key, rows bigint not null, after text, done boolean not null)";
    conn.script(DO, make).await.map_err(failed)?;
    let head = "insert into store_copy (name, rows, after, done) values ($1, $2, $3, false)";
    conn.execute(DO, head, &values![HEAD, starts, source]).await.map_err(failed)?;
    conn.execute(DO, "delete from node_starts where starts = 0", &[]).await.map_err(failed)?;
    to.wire.commit(DO).await.map_err(failed)
}

/// How far a table is.
pub(super) async fn of(to: &mut Side, table: &Table) -> Result<Note, CopyError> {
    let failed = |source| CopyError::Store { side: "target", source };
    let sql = "select rows, after, done from store_copy where name = $1";
    let Some(row) = to.wire.conn().fetch_one(DO, sql, &values![table.name]).await.map_err(failed)? else { return Ok(Note::default()) };
    let read = || {
        let after = if row.get::<Option<String>>(DO, 1)?.is_some() { Some(row.json(DO, 1)?) } else { None };
        Ok(Note { rows: row.number(DO, 0)?, after, done: row.get(DO, 2)? })
    };
    read().map_err(failed)
}

/// Keeps it, inside the transaction of the rows.
pub(super) async fn keep(conn: &mut Conn<'_>, table: &Table, note: &Note) -> Result<(), StoreError> {
    let sql = "insert into store_copy (name, rows, after, done) values ($1, $2, $3, $4)
         on conflict (name) do update set rows = excluded.rows, after = excluded.after, done = excluded.done";
    let rows = i64::try_from(note.rows).unwrap_or(i64::MAX);
    let after = note.after.as_ref().map(crate::words::json);
    conn.execute(DO, sql, &values![table.name, rows, after, note.done]).await.map(drop)
}

/// The copy is whole.
pub(super) async fn end(to: &mut Side) -> Result<(), CopyError> {
    to.wire.conn().script(DO, "drop table store_copy").await.map_err(|source| CopyError::Store { side: "target", source })
}
