//! The rows of `boots`: made with their anchor when first heard, locked in order by each batch, widened before its commit.
//!
//! A boot's row is made before the batch that needs it, in a statement of its own with empty ranges: so two nodes never wait for each
//! other's new rows inside a transaction, and locks are only ever taken in order of `(source, boot)`.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::plan::{Boot, Key};
use super::sources::{ERASED, Sources};
use crate::db::{Conn, Value, Wire, tuples, values};
use crate::error::StoreError;
use crate::model::{Row, RowWhat};
use crate::ranges;

/// Boots remembered; more means that the memory is begun again.
const REMEMBERED_MAX: usize = 100_000;

/// Boots in one statement of SQLite; each count is a prepared statement of its own.
const STATEMENT_BOOTS: [usize; 3] = [64, 8, 1];

const LOCK: &str = "lock the boots of a batch";

/// Source, boot, nonce, anchor, conflict, and the ranges in hexadecimal.
type JsonBoot = (i64, u32, u32, i64, u8, String, String);

/// What the writer remembers of the database. All of it may be forgotten at any time.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) sources: Sources,
    /// Anchors never move, so that remembering them is safe.
    anchors: HashMap<Key, i64>,
    pub(crate) months: HashSet<i64>,
}

impl Known {
    pub(crate) fn clear(&mut self) {
        self.sources.clear();
        self.anchors.clear();
        self.months.clear();
    }

    pub(crate) fn anchor(&self, key: Key) -> Option<i64> {
        self.anchors.get(&key).copied()
    }

    /// Makes sources and boots of the rows that the database does not have yet.
    pub(crate) async fn ensure(&mut self, wire: &mut Wire, rows: &[Row]) -> Result<(), StoreError> {
        const DO: &str = "make the rows of new boots";
        let mut fresh: BTreeMap<Key, [i64; 4]> = BTreeMap::new();
        // A loss has no time of its own: it makes a boot only where nothing else does.
        let (losses, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| matches!(row.what, RowWhat::Lost { .. }));
        for row in others.into_iter().chain(losses) {
            let source = match self.sources.get(&row.source) {
                Some(source) => source,
                None => self.sources.number(wire, &row.source).await?,
            };
            let key = (source, row.boot);
            if source == ERASED {
                continue;
            }
            if !self.anchors.contains_key(&key) {
                fresh.entry(key).or_insert([source, row.boot.into(), row.nonce.into(), row.anchor_at_ms]);
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        if self.anchors.len() + fresh.len() > REMEMBERED_MAX {
            self.anchors.clear();
        }
        let fresh: Vec<[i64; 4]> = fresh.into_values().collect();
        let mut conn = wire.conn();
        let empty = if conn.is_postgres() { "''::bytea" } else { "x''" };
        let (table, params) = tuples(conn.is_postgres(), ["source", "boot", "nonce", "anchor_at_ms"], &fresh);
        let make = format!(
            "insert into boots (source, boot, nonce, anchor_at_ms, stored, lost, conflict)
             select source, boot, nonce, anchor_at_ms, {empty}, {empty}, false from {table} where true order by source, boot
             on conflict do nothing"
        );
        conn.execute(DO, make, &params).await?;
        let keys: Vec<[i64; 2]> = fresh.iter().map(|&[source, boot, ..]| [source, boot]).collect();
        let (table, params) = tuples(conn.is_postgres(), ["source", "boot"], &keys);
        let read = format!("select b.source, b.boot, b.anchor_at_ms from {table} join boots b on b.source = k.source and b.boot = k.boot");
        for row in conn.fetch(DO, read, &params).await? {
            self.anchors.insert((row.get(DO, 0)?, row.number(DO, 1)?), row.get(DO, 2)?);
        }
        Ok(())
    }
}

/// Locks the boots of a batch, lowest first. Inside the batch's transaction.
pub(crate) async fn lock(conn: &mut Conn<'_>, keys: &[[i64; 2]]) -> Result<BTreeMap<Key, Boot>, StoreError> {
    let (table, params) = tuples(conn.is_postgres(), ["source", "boot"], keys);
    let from = format!("from {table} join boots b on b.source = k.source and b.boot = k.boot join sources s on s.source = b.source");
    let boots = if conn.is_postgres() { lock_postgres(conn, &from, &params).await? } else { read_sqlite(conn, &from, &params).await? };
    if boots.len() < keys.len() {
        return Err(StoreError::Stale { operation: LOCK });
    }
    Ok(boots)
}

async fn lock_postgres(conn: &mut Conn<'_>, from: &str, params: &[Value]) -> Result<BTreeMap<Key, Boot>, StoreError> {
    let sql = format!(
        "select b.source, b.boot, b.nonce, b.anchor_at_ms, b.stored, b.lost, b.conflict {from} order by b.source, b.boot for update of b"
    );
    let mut boots = BTreeMap::new();
    for row in conn.fetch(LOCK, sql, params).await? {
        let ranges_of = |column| {
            let bytes: Vec<u8> = row.get(LOCK, column)?;
            ranges::from_bytes(&bytes).map_err(|error| crate::db::decode(LOCK, column, error))
        };
        let boot = Boot {
            nonce: row.number(LOCK, 2)?,
            anchor_at_ms: row.get(LOCK, 3)?,
            stored: ranges_of(4)?,
            lost: ranges_of(5)?,
            conflict: row.get(LOCK, 6)?,
            changed: false,
        };
        boots.insert((row.get(LOCK, 0)?, row.number(LOCK, 1)?), boot);
    }
    Ok(boots)
}

/// All in one row: SQLite's thread hands over each row by itself, and for a thousand boots that is up to a thousand wakes of two threads. The
/// transaction has the lock on the whole file already.
async fn read_sqlite(conn: &mut Conn<'_>, from: &str, params: &[Value]) -> Result<BTreeMap<Key, Boot>, StoreError> {
    let sql = format!(
        "select json_group_array(json_array(b.source, b.boot, b.nonce, b.anchor_at_ms, b.conflict, hex(b.stored), hex(b.lost))) {from}"
    );
    let Some(row) = conn.fetch_one(LOCK, sql, params).await? else { return Ok(BTreeMap::new()) };
    let rows: Vec<JsonBoot> = row.json(LOCK, 0)?;
    let ranges_of = |hex: &str| ranges::from_hex(hex).map_err(|error| crate::db::decode(LOCK, 0, error));
    let boot = |(source, number, nonce, anchor_at_ms, conflict, stored, lost): JsonBoot| {
        let (stored, lost) = (ranges_of(&stored)?, ranges_of(&lost)?);
        Ok(((source, number), Boot { nonce, anchor_at_ms, stored, lost, conflict: conflict != 0, changed: false }))
    };
    rows.into_iter().map(boot).collect()
}

/// Writes the widened ranges back.
pub(crate) async fn widen(conn: &mut Conn<'_>, boots: &BTreeMap<Key, Boot>) -> Result<(), StoreError> {
    const DO: &str = "widen the ranges of a batch";
    let changed: Vec<(&Key, &Boot)> = boots.iter().filter(|(_, boot)| boot.changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    if conn.is_postgres() {
        let sql = "update boots b set stored = k.stored, lost = k.lost, conflict = k.conflict <> 0
             from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[]) as k(source, boot, stored, lost, conflict)
             where b.source = k.source and b.boot = k.boot";
        let params = [
            Value::Ints(changed.iter().map(|(key, _)| key.0).collect()),
            Value::Ints(changed.iter().map(|(key, _)| key.1.into()).collect()),
            Value::Blobs(changed.iter().map(|(_, boot)| ranges::to_bytes(&boot.stored)).collect()),
            Value::Blobs(changed.iter().map(|(_, boot)| ranges::to_bytes(&boot.lost)).collect()),
            Value::Ints(changed.iter().map(|(_, boot)| boot.conflict.into()).collect()),
        ];
        return conn.execute(DO, sql, &params).await.map(drop);
    }
    widen_sqlite(conn, &changed).await
}

/// Many boots in a statement: each statement is a hop to SQLite's thread and back. The rows are there and locked; the upsert finds them by
/// their key, where `update .. from (values ..)` would be free to scan.
async fn widen_sqlite(conn: &mut Conn<'_>, changed: &[(&Key, &Boot)]) -> Result<(), StoreError> {
    const DO: &str = "widen the ranges of a batch";
    let mut rest = changed;
    for size in STATEMENT_BOOTS {
        let (chunks, remainder) = rest.split_at(rest.len() / size * size);
        for chunk in chunks.chunks(size) {
            let sql = format!(
                "insert into boots (source, boot, nonce, anchor_at_ms, stored, lost, conflict) values {}
                 on conflict (source, boot) do update set stored = excluded.stored, lost = excluded.lost, conflict = excluded.conflict",
                vec!["(?,?,?,?,?,?,?)"; size].join(",")
            );
            let params: Vec<Value> = chunk.iter().flat_map(|(key, boot)| row(**key, boot)).collect();
            conn.execute(DO, sql, &params).await?;
        }
        rest = remainder;
    }
    Ok(())
}

fn row((source, number): Key, boot: &Boot) -> [Value; 7] {
    let (stored, lost) = (ranges::to_bytes(&boot.stored), ranges::to_bytes(&boot.lost));
    values![source, number, boot.nonce, boot.anchor_at_ms, stored, lost, boot.conflict]
}
