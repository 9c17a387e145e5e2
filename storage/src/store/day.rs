//! Days of a member, as they were added up.

use protocol::frame::Totals;
use protocol::{GymId, MemberId, TenantId};

use super::Store;
use crate::db::{Row, Value, values};
use crate::error::StoreError;

/// Days in one answer at most: more than a year in two gyms.
const DAYS_MAX: u32 = 1_000;

/// What a member did in a gym on one of its days.
#[derive(Debug, Clone, PartialEq)]
pub struct DayRecord {
    /// Where.
    pub gym: GymId,
    /// `YYYY-MM-DD` in the gym's time zone.
    pub day: String,
    /// Workouts that began on it and are sealed.
    pub workouts: u32,
    /// Their totals together.
    pub totals: Totals,
}

impl Store {
    /// All days of a member in order.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn all_days(&self, tenant: TenantId, member: MemberId) -> Result<Vec<DayRecord>, StoreError> {
        let mut all: Vec<DayRecord> = Vec::new();
        loop {
            let (day, gym) = all.last().map_or((String::new(), GymId(uuid::Uuid::nil())), |last| (last.day.clone(), last.gym));
            let which = "(d.day, d.gym) > ($3, $4)";
            let page = self.days_where(which, values![tenant, member, day, gym, DAYS_MAX]).await?;
            let full = page.len() == DAYS_MAX as usize;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    /// Days of a member in order, from a day on and before another, at most 1,000.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn days(
        &self,
        tenant: TenantId,
        member: MemberId,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Vec<DayRecord>, StoreError> {
        // Every day sorts after the empty text and before a letter.
        let params = values![tenant, member, from.unwrap_or(""), to.unwrap_or("z"), DAYS_MAX];
        self.days_where("d.day >= $3 and d.day < $4", params).await
    }

    async fn days_where(&self, which: &str, params: [Value; 5]) -> Result<Vec<DayRecord>, StoreError> {
        const DO: &str = "read days";
        let sql = format!(
            "select d.gym, d.day, d.workouts, d.totals from days d join gyms g on g.gym = d.gym
             where g.tenant = $1 and d.member = $2 and {which} order by d.day, d.gym limit $5"
        );
        let day =
            |row: &Row| Ok(DayRecord { gym: row.id(DO, 0)?, day: row.get(DO, 1)?, workouts: row.number(DO, 2)?, totals: row.json(DO, 3)? });
        self.db.fetch(DO, sql, &params).await?.iter().map(day).collect()
    }
}
