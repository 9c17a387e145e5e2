//! Rows whose number is taken: the same again, or something else under the same number?
//!
//! First the row's own table by its whole key, which finds nearly all; what is not found there is looked for in every table by number
//! alone (other device time, other kind, quarantine), and in packed chunks. Not found at all: the row is gone by retention, and the ranges still refuse it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::insert::Kind;
use super::plan::{Key, Plan, Planned};
use crate::db::{Conn, tuples};
use crate::error::StoreError;
use crate::history::read::fingerprints;

const DO: &str = "compare duplicates with what is stored";

type Found = HashMap<(Key, u32), Vec<i64>>;

/// Decides all suspects of a plan.
pub(crate) async fn compare(conn: &mut Conn<'_>, plan: &mut Plan<'_>) -> Result<(), StoreError> {
    let mut found = Found::new();
    for kind in Kind::ALL {
        let keys: Vec<[i64; 4]> = plan.suspects.iter().filter(|planned| Kind::of(planned.row) == Some(kind)).map(whole_key).collect();
        if !keys.is_empty() {
            by_key(conn, kind.table(), &keys, &mut found).await?;
        }
    }
    let open: Vec<[i64; 3]> = plan.suspects.iter().filter(|planned| !matches(&found, planned)).map(number).collect();
    if !open.is_empty() {
        for table in Kind::ALL.map(Kind::table).into_iter().chain(["quarantine"]) {
            by_number(conn, table, &open, &mut found).await?;
        }
        packed(conn, &open, &mut found).await?;
    }
    for planned in std::mem::take(&mut plan.suspects) {
        let stored = found.get(&(planned.key(), planned.row.seq)).map_or(&[][..], Vec::as_slice);
        plan.compared(planned, stored);
    }
    Ok(())
}

fn matches(found: &Found, planned: &Planned<'_>) -> bool {
    found.get(&(planned.key(), planned.row.seq)).is_some_and(|stored| stored.contains(&planned.fingerprint))
}

fn whole_key(planned: &Planned<'_>) -> [i64; 4] {
    [planned.source, planned.row.boot.into(), planned.row.seq.into(), planned.at_ms]
}

fn number(planned: &Planned<'_>) -> [i64; 3] {
    [planned.source, planned.row.boot.into(), planned.row.seq.into()]
}

async fn by_key(conn: &mut Conn<'_>, table: &str, keys: &[[i64; 4]], found: &mut Found) -> Result<(), StoreError> {
    let (k, params) = tuples(conn.is_postgres(), ["source", "boot", "seq", "at_ms"], keys);
    let sql = format!(
        "select t.source, t.boot, t.seq, t.fingerprint from {k} join {table} t
         on t.source = k.source and t.boot = k.boot and t.seq = k.seq and t.at_ms = k.at_ms"
    );
    note(conn.fetch(DO, sql, &params).await?, found)
}

async fn by_number(conn: &mut Conn<'_>, table: &str, numbers: &[[i64; 3]], found: &mut Found) -> Result<(), StoreError> {
    let (k, params) = tuples(conn.is_postgres(), ["source", "boot", "seq"], numbers);
    let sql = format!(
        "select t.source, t.boot, t.seq, t.fingerprint from {k} join {table} t
         on t.source = k.source and t.boot = k.boot and t.seq = k.seq"
    );
    note(conn.fetch(DO, sql, &params).await?, found)
}

/// Boot by boot, so that no more than a chunk is in memory.
async fn packed(conn: &mut Conn<'_>, numbers: &[[i64; 3]], found: &mut Found) -> Result<(), StoreError> {
    let mut boots: BTreeMap<Key, BTreeSet<u32>> = BTreeMap::new();
    for &[source, boot, seq] in numbers {
        let number = |wide: i64| u32::try_from(wide).unwrap_or(u32::MAX);
        boots.entry((source, number(boot))).or_default().insert(number(seq));
    }
    for (boot, seqs) in boots {
        let seqs: Vec<u32> = seqs.into_iter().collect();
        for (seq, fingerprint) in fingerprints(conn, boot, &seqs).await? {
            found.entry((boot, seq)).or_default().push(fingerprint);
        }
    }
    Ok(())
}

fn note(rows: Vec<crate::db::Row>, found: &mut Found) -> Result<(), StoreError> {
    for row in rows {
        let key = (row.get(DO, 0)?, row.number(DO, 1)?);
        found.entry((key, row.number(DO, 2)?)).or_default().push(row.get(DO, 3)?);
    }
    Ok(())
}
