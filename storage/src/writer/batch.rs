//! One batch of rows, one transaction: lock, sort, compare, write, widen, commit.

use std::collections::BTreeSet;

use protocol::{MemberId, TenantId};

use super::boots::{self, Known};
use super::insert::Care;
use super::plan::{Outcome, Plan, Quarantined};
use super::sources::ERASED;
use super::{insert, late, months, suspects};
use crate::canonical;
use crate::db::{Conn, Wire, values};
use crate::error::StoreError;
use crate::model::{Row, SourceKey};
use crate::store::tombstone::{erased_of, stand_by};

/// Writes a batch. On an error nothing of it is committed, or all of it and nobody knows: write it again.
pub(crate) async fn write(wire: &mut Wire, known: &mut Known, rows: &[Row], care: Care) -> Result<Outcome, StoreError> {
    const DO: &str = "write a batch of rows";
    known.ensure(wire, rows).await?;
    let mut keys = BTreeSet::new();
    let mut months = BTreeSet::new();
    for row in rows {
        let Some(source) = known.sources.get(&row.source) else { return Err(StoreError::Stale { operation: DO }) };
        if source == ERASED {
            continue;
        }
        let Some(anchor) = known.anchor((source, row.boot)) else { return Err(StoreError::Stale { operation: DO }) };
        keys.insert([source, i64::from(row.boot)]);
        months.extend(anchor.checked_add(row.dev_ms).filter(|at_ms| months::AT_MS.contains(at_ms)).map(months::month_of));
    }
    months::ensure(wire, &mut known.months, months.into_iter()).await?;

    wire.begin(DO).await?;
    if someone_was_erased(&mut wire.conn(), known, rows).await? {
        // Of whom the writer remembers sources. It forgets, and knows better the second time.
        wire.conn().script(DO, "rollback").await?;
        known.clear();
        return Box::pin(write(wire, known, rows, care)).await;
    }
    let keys: Vec<[i64; 2]> = keys.into_iter().collect();
    let mut locked = boots::lock(&mut wire.conn(), &keys).await?;
    let mut plan = Plan::default();
    for row in rows {
        let source = known.sources.get(&row.source).expect("every source of the batch was numbered above");
        if source == ERASED {
            plan.erased(row);
            continue;
        }
        let boot = locked.get_mut(&(source, row.boot)).expect("every boot of the batch was locked above");
        plan.take(row, source, boot);
    }
    let mut conn = wire.conn();
    if !plan.suspects.is_empty() {
        suspects::compare(&mut conn, &mut plan).await?;
    }
    insert::fresh(&mut conn, &mut plan, care).await?;
    late::mark(&mut conn, &plan.fresh).await?;
    for row in &plan.quarantine {
        quarantine(&mut conn, row).await?;
    }
    boots::widen(&mut conn, &locked).await?;
    wire.commit(DO).await?;
    Ok(plan.finish())
}

/// Whether somebody was erased whose sources are remembered. From here to the end of the transaction nobody else is.
async fn someone_was_erased(conn: &mut Conn<'_>, known: &Known, rows: &[Row]) -> Result<bool, StoreError> {
    let owner = |row: &Row| match *row.source {
        SourceKey::Member(tenant, member, _) if known.sources.get(&row.source) != Some(ERASED) => Some((tenant, member)),
        SourceKey::Member(..) | SourceKey::Machine(..) => None,
    };
    let owners: BTreeSet<(TenantId, MemberId)> = rows.iter().filter_map(owner).collect();
    if owners.is_empty() {
        return Ok(false);
    }
    stand_by(conn).await?;
    Ok(!erased_of(conn, &owners).await?.is_empty())
}

async fn quarantine(conn: &mut Conn<'_>, quarantined: &Quarantined<'_>) -> Result<(), StoreError> {
    let Quarantined { planned, code, detail } = quarantined;
    let row = planned.row;
    let mut content = Vec::new();
    canonical::row(row.boot, row.seq, row.dev_ms, &row.what, &mut content);
    let sql = "insert into quarantine (source, boot, seq, code, detail, content, fingerprint, received_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing";
    let params = values![planned.source, row.boot, row.seq, code.code(), detail.as_str(), content, planned.fingerprint, row.received_at_ms];
    conn.execute("put a row to quarantine", sql, &params).await.map(drop)
}
