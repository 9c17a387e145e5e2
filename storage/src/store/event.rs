//! Events after a cursor: what the operator's own backend follows.

use protocol::{GymId, MemberId, TenantId};

use super::Store;
use crate::db::{Row, values};
use crate::error::StoreError;
use crate::model::EventRecord;

/// Events in one answer at most.
const PAGE_MAX: u32 = 1_000;
const COLUMNS: &str = "e.cursor, e.gym, e.room, e.member, e.kind, e.event";

impl Store {
    /// Events of the tenant after a cursor (0 is the beginning), in order, 1 to 1,000. Nothing appears behind a cursor once read.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn events(&self, tenant: TenantId, gym: Option<GymId>, after: i64, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        const DO: &str = "read events";
        let sql = format!(
            "select {COLUMNS} from events e join gyms g on g.gym = e.gym
             where g.tenant = $1 and e.cursor > $2 {} order by e.cursor limit $3",
            if gym.is_some() { "and e.gym = $4" } else { "" }
        );
        let mut params = values![tenant, after, limit.clamp(1, PAGE_MAX)].to_vec();
        params.extend(gym.map(Into::into));
        self.db.fetch(DO, sql, &params).await?.iter().map(|row| event_of(row, DO)).collect()
    }

    /// Events that concern a member of the tenant, newest first, from before a cursor, 1 to 1,000.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn member_events(
        &self,
        tenant: TenantId,
        member: MemberId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        const DO: &str = "read a member's events";
        let sql = format!(
            "select {COLUMNS} from events e join gyms g on g.gym = e.gym where g.tenant = $1 and e.member = $2 and e.cursor < $4
             order by e.cursor desc limit $3"
        );
        self.db
            .fetch(DO, sql, &values![tenant, member, limit.clamp(1, PAGE_MAX), before.unwrap_or(i64::MAX)])
            .await?
            .iter()
            .map(|row| event_of(row, DO))
            .collect()
    }
}

fn event_of(row: &Row, operation: &'static str) -> Result<EventRecord, StoreError> {
    let room: String = row.get(operation, 2)?;
    Ok(EventRecord {
        cursor: row.get(operation, 0)?,
        gym: row.id(operation, 1)?,
        room: room.parse().map_err(|error| crate::db::decode(operation, 2, error))?,
        member: row.opt_id(operation, 3)?,
        kind: row.get(operation, 4)?,
        event: row.json(operation, 5)?,
    })
}
