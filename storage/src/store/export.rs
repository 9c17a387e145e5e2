//! What an export of a member says beside their workouts, visits, days and events: which machines they held, and what boards counted.
//!
//! Both are asked for by page, for the workouts that stand on it.

use protocol::{BoardId, MachineId, MemberId, TenantId, WorkoutId};

use super::Store;
use crate::db::{Row, Value, values};
use crate::error::StoreError;

/// A machine that a member held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRecord {
    /// Which.
    pub machine: MachineId,
    /// For which workout.
    pub workout: WorkoutId,
    /// Since when.
    pub granted_at_ms: i64,
    /// Until when; none while they hold it.
    pub ended_at_ms: Option<i64>,
    /// Why it ended.
    pub reason: Option<String>,
}

/// What a board counted of a workout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRecord {
    /// Which board.
    pub board: BoardId,
    /// Of which workout.
    pub workout: WorkoutId,
    /// What the workout had before it counted.
    pub base: u32,
    /// What it came to, once that is settled.
    pub score: Option<u32>,
}

impl Store {
    /// Machines that a member held for these workouts of the tenant, by time.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn claims_of(&self, tenant: TenantId, member: MemberId, workouts: &[WorkoutId]) -> Result<Vec<ClaimRecord>, StoreError> {
        const DO: &str = "read a member's claims";
        let of = "select t.machine, t.workout, t.granted_at_ms, t.ended_at_ms, t.reason from claims t
             join gyms g on g.gym = t.gym where g.tenant = $1 and t.member = $2 and t.workout";
        let claim = |row: &Row| {
            Ok(ClaimRecord {
                machine: row.id(DO, 0)?,
                workout: row.id(DO, 1)?,
                granted_at_ms: row.get(DO, 2)?,
                ended_at_ms: row.get(DO, 3)?,
                reason: row.get(DO, 4)?,
            })
        };
        self.of_workouts(DO, of, "t.granted_at_ms, t.machine, t.fence", (tenant, member, workouts)).await?.iter().map(claim).collect()
    }

    /// What boards of the tenant counted of these workouts of a member.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn scores_of(&self, tenant: TenantId, member: MemberId, workouts: &[WorkoutId]) -> Result<Vec<ScoreRecord>, StoreError> {
        const DO: &str = "read what boards counted of a member";
        let of = "select t.board, t.workout, t.base, t.score from board_scores t join boards b on b.board = t.board
             join gyms g on g.gym = b.gym where g.tenant = $1 and t.member = $2 and t.workout";
        let score = |row: &Row| {
            Ok(ScoreRecord { board: row.id(DO, 0)?, workout: row.id(DO, 1)?, base: row.number(DO, 2)?, score: row.opt_number(DO, 3)? })
        };
        self.of_workouts(DO, of, "t.workout, t.board", (tenant, member, workouts)).await?.iter().map(score).collect()
    }

    async fn of_workouts(
        &self,
        operation: &'static str,
        of: &str,
        order: &str,
        (tenant, member, workouts): (TenantId, MemberId, &[WorkoutId]),
    ) -> Result<Vec<Row>, StoreError> {
        if workouts.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (3..workouts.len() + 3).map(|place| format!("${place}")).collect();
        let mut params: Vec<Value> = values![tenant, member].into();
        params.extend(workouts.iter().map(|workout| Value::from(*workout)));
        self.db.fetch(operation, format!("{of} in ({}) order by {order}", places.join(", ")), &params).await
    }
}
