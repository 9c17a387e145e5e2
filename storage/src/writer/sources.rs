//! Numbers of sources: a small key for every row instead of kind, owner and name.
//!
//! Made outside of batches, one statement each, when a source is first heard; a number without rows harms nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::db::{Conn, Row, Value, Wire, values};
use crate::error::StoreError;
use crate::model::SourceKey;
use crate::store::tombstone::{erased_of, stand_by};

const DO: &str = "number a source";
/// Sources remembered; more means that the memory is begun again.
const REMEMBERED_MAX: usize = 100_000;

/// Stands for every source of a member who was erased: nothing is stored under it.
pub(crate) const ERASED: i64 = i64::MIN;

/// What the writer remembers of sources.
#[derive(Default)]
pub(crate) struct Sources(HashMap<Arc<SourceKey>, i64>);

impl Sources {
    /// The number, if it was asked for before.
    pub(crate) fn get(&self, key: &SourceKey) -> Option<i64> {
        self.0.get(key).copied()
    }

    /// The number, made if need be. Of a member in a transaction of its own, which an erasure comes before or after.
    pub(crate) async fn number(&mut self, wire: &mut Wire, key: &Arc<SourceKey>) -> Result<i64, StoreError> {
        if let Some(number) = self.get(key) {
            return Ok(number);
        }
        let number = match **key {
            SourceKey::Machine(..) => make(&mut wire.conn(), key).await?,
            SourceKey::Member(tenant, member, _) => {
                wire.begin(DO).await?;
                let mut conn = wire.conn();
                stand_by(&mut conn).await?;
                let erased = !erased_of(&mut conn, &BTreeSet::from([(tenant, member)])).await?.is_empty();
                let number = if erased { ERASED } else { make(&mut conn, key).await? };
                wire.commit(DO).await?;
                number
            }
        };
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        self.0.insert(Arc::clone(key), number);
        Ok(number)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

async fn make(conn: &mut Conn<'_>, key: &SourceKey) -> Result<i64, StoreError> {
    let (tenant, kind, owner) = parts(key);
    let params = values![tenant, kind, owner, key.sensor()];
    if matches!(key, SourceKey::Member(..)) {
        adopt(conn, &params).await?;
    }
    let make = "insert into sources (tenant, kind, owner, sensor) values ($1, $2, $3, $4) on conflict do nothing";
    conn.execute(DO, make, &params).await?;
    let find = "select source from sources where tenant = $1 and kind = $2 and owner = $3 and sensor = $4";
    let row = conn.fetch_one(DO, find, &params).await?;
    row.map_or(Err(StoreError::Stale { operation: DO }), |row| row.get(DO, 0))
}

/// Takes over the row of a device that a binary without tenants made, unless its member is another tenant's.
async fn adopt(conn: &mut Conn<'_>, params: &[Value]) -> Result<(), StoreError> {
    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    let nil = if conn.is_postgres() { format!("'{NIL}'") } else { "zeroblob(16)".to_owned() };
    let sql = format!(
        "update sources set tenant = $1 where tenant = {nil} and kind = $2 and owner = $3 and sensor = $4
             and not exists (select 1 from members m where m.member = $3 and m.tenant <> $1)
             and not exists (select 1 from sources s where s.tenant = $1 and s.kind = $2 and s.owner = $3 and s.sensor = $4)"
    );
    conn.execute(DO, sql, params).await.map(drop)
}

/// Tenant, kind and owner as columns. A machine's id stands in one tenant only, so that its sources need none.
pub(crate) const fn parts(key: &SourceKey) -> (Uuid, &'static str, Uuid) {
    match key {
        SourceKey::Machine(machine, _) => (Uuid::nil(), "machine", machine.0),
        SourceKey::Member(tenant, member, _) => (tenant.0, "member", member.0),
    }
}

/// Reads `tenant, kind, owner, sensor` from four columns.
pub(crate) fn key_of(row: &Row, operation: &'static str, column: usize) -> Result<Arc<SourceKey>, StoreError> {
    let kind: String = row.get(operation, column + 1)?;
    let owner: Uuid = row.get(operation, column + 2)?;
    let sensor = row.text(operation, column + 3)?;
    Ok(Arc::new(match kind.as_str() {
        "machine" => SourceKey::Machine(owner.into(), sensor),
        "member" => SourceKey::Member(row.id(operation, column)?, owner.into(), sensor),
        other => return Err(crate::db::decode(operation, column + 1, format!("`{other}` is neither machine nor member"))),
    }))
}
