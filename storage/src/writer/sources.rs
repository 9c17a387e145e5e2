//! Numbers of sources: a small key for every row instead of kind, owner and name.
//!
//! Made outside of batches, one statement each, when a source is first heard; a number without rows harms nobody.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::db::{Conn, Row, values};
use crate::error::StoreError;
use crate::model::SourceKey;
use crate::store::erase::any_erased;

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

    /// The number, made if need be.
    pub(crate) async fn number(&mut self, conn: &mut Conn<'_>, key: &Arc<SourceKey>) -> Result<i64, StoreError> {
        if let Some(number) = self.get(key) {
            return Ok(number);
        }
        let (kind, owner) = parts(key);
        if kind == "member" && !any_erased(conn, &[owner]).await?.is_empty() {
            self.0.insert(Arc::clone(key), ERASED);
            return Ok(ERASED);
        }
        let params = values![kind, owner, key.sensor()];
        conn.execute(DO, "insert into sources (kind, owner, sensor) values ($1, $2, $3) on conflict do nothing", &params).await?;
        let row = conn.fetch_one(DO, "select source from sources where kind = $1 and owner = $2 and sensor = $3", &params).await?;
        let number = row.map_or(Err(StoreError::Stale { operation: DO }), |row| row.get(DO, 0))?;
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

/// Kind and owner as columns.
pub(crate) const fn parts(key: &SourceKey) -> (&'static str, Uuid) {
    match key {
        SourceKey::Machine(machine, _) => ("machine", machine.0),
        SourceKey::Member(member, _) => ("member", member.0),
    }
}

/// Reads `kind, owner, sensor` from three columns.
pub(crate) fn key_of(row: &Row, operation: &'static str, column: usize) -> Result<Arc<SourceKey>, StoreError> {
    let kind: String = row.get(operation, column)?;
    let owner: Uuid = row.get(operation, column + 1)?;
    let sensor = row.text(operation, column + 2)?;
    Ok(Arc::new(match kind.as_str() {
        "machine" => SourceKey::Machine(owner.into(), sensor),
        "member" => SourceKey::Member(owner.into(), sensor),
        other => return Err(crate::db::decode(operation, column, format!("`{other}` is neither machine nor member"))),
    }))
}
