//! Visits by page. A page is asked by time and closed by a cursor: newest first.

use std::collections::HashMap;

use protocol::{GymId, MachineId, MemberId, TenantId, VisitId};
use uuid::Uuid;

use super::Store;
use crate::db::{Db, Row, Value, values};
use crate::error::StoreError;
use crate::model::VisitRecord;

/// Things in one page at most.
const PAGE_MAX: u32 = 500;

/// Which visits or workouts: of a gym, of a member, from before a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeQuery {
    /// Only of this gym.
    pub gym: Option<GymId>,
    /// Only of this member.
    pub member: Option<MemberId>,
    /// Only those that began at this time or later.
    pub from_at_ms: Option<i64>,
    /// Only those that began before this time.
    pub to_at_ms: Option<i64>,
    /// The last thing of the page before.
    pub before: Option<(i64, Uuid)>,
    /// How many, 1 to 500.
    pub limit: u32,
}

/// A page and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The things.
    pub items: Vec<T>,
    /// Give it back as `before`; none at the end.
    pub next: Option<(i64, Uuid)>,
}

impl TimeQuery {
    pub(super) fn limit(&self) -> u32 {
        self.limit.clamp(1, PAGE_MAX)
    }

    /// `where` conditions on a table `t` with a gym of the tenant, and `$1..$8`.
    pub(super) fn conditions(&self, postgres: bool, id: &str) -> String {
        let (uuid, bigint) = if postgres { ("::uuid", "::bigint") } else { ("", "") };
        format!(
            "t.gym in (select gym from gyms where tenant = $1) and ($2{uuid} is null or t.gym = $2) and ($3{uuid} is null or t.member = $3)
             and ($4{bigint} is null or t.started_at_ms >= $4) and ($5{bigint} is null or t.started_at_ms < $5)
             and ($6{bigint} is null or (t.started_at_ms, t.{id}) < ($6, $7)) order by t.started_at_ms desc, t.{id} desc limit $8"
        )
    }

    pub(super) fn params(&self, tenant: TenantId) -> [Value; 8] {
        let (at_ms, id) = self.before.unzip();
        values![tenant, self.gym, self.member, self.from_at_ms, self.to_at_ms, at_ms, id, self.limit()]
    }
}

impl Store {
    /// Visits of the tenant, newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn visits(&self, tenant: TenantId, query: TimeQuery) -> Result<Page<VisitRecord>, StoreError> {
        let items = visits(&self.db, &query.conditions(self.db.is_postgres(), "visit"), &query.params(tenant)).await?;
        let full = items.len() == query.limit() as usize;
        let next = items.last().filter(|_| full).map(|last| (last.started_at_ms, last.visit.0));
        Ok(Page { items, next })
    }

    /// One visit of the tenant.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn visit(&self, tenant: TenantId, visit: VisitId) -> Result<Option<VisitRecord>, StoreError> {
        let which = "t.gym in (select gym from gyms where tenant = $1) and t.visit = $2";
        Ok(visits(&self.db, which, &values![tenant, visit]).await?.into_iter().next())
    }
}

/// Visits with their machines; `which` speaks of `visits t`.
pub(super) async fn visits(db: &Db, which: &str, params: &[Value]) -> Result<Vec<VisitRecord>, StoreError> {
    const DO: &str = "read visits";
    let sql = format!("select t.visit, t.gym, t.member, t.state, t.started_at_ms, t.ended_at_ms from visits t where {which}");
    let mut visits: Vec<VisitRecord> = db.fetch(DO, sql, params).await?.iter().map(|row| visit_of(row, DO)).collect::<Result<_, _>>()?;
    let sql = format!(
        "select v.visit, v.machine from visit_machines v join (select t.visit from visits t where {which}) p on p.visit = v.visit
         order by v.visit, v.machine"
    );
    let mut used: HashMap<VisitId, Vec<MachineId>> = HashMap::new();
    for row in db.fetch(DO, sql, params).await? {
        used.entry(row.id(DO, 0)?).or_default().push(row.id(DO, 1)?);
    }
    for visit in &mut visits {
        visit.machines = used.remove(&visit.visit).unwrap_or_default();
    }
    Ok(visits)
}

fn visit_of(row: &Row, operation: &'static str) -> Result<VisitRecord, StoreError> {
    Ok(VisitRecord {
        visit: row.id(operation, 0)?,
        gym: row.id(operation, 1)?,
        member: row.id(operation, 2)?,
        state: row.word(operation, 3)?,
        started_at_ms: row.get(operation, 4)?,
        ended_at_ms: row.get(operation, 5)?,
        machines: Vec::new(),
    })
}
