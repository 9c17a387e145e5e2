//! Workouts by page, and one with what belongs to it.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::{GymId, MemberId, TenantId, WorkoutId};

use super::{Page, SET_COLUMNS, Store, TimeQuery, set_of};
use crate::db::{Db, Row, Value, values};
use crate::error::StoreError;
use crate::model::{LoggedSet, SetRecord, WorkoutDetail, WorkoutRange, WorkoutRecord};
use crate::writer::key_of;

const COLUMNS: &str = "t.workout, t.gym, t.member, t.visit, t.stage, t.started_at_ms, t.ended_at_ms, t.revision, s.totals";
const OF_TENANT: &str = "t.gym in (select gym from gyms where tenant = $1) and t.workout = $2";

impl Store {
    /// Workouts of the tenant, newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn workouts(&self, tenant: TenantId, query: TimeQuery) -> Result<Page<WorkoutRecord>, StoreError> {
        let which = query.conditions(self.db.is_postgres(), "workout");
        let items = records(&self.db, &which, &query.params(tenant)).await?;
        let full = items.len() == query.limit() as usize;
        let next = items.last().filter(|_| full).map(|last| (last.started_at_ms, last.workout.0));
        Ok(Page { items, next })
    }

    /// One workout of the tenant with ranges and sets.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn workout(&self, tenant: TenantId, workout: WorkoutId) -> Result<Option<WorkoutDetail>, StoreError> {
        Ok(details(&self.db, OF_TENANT, &values![tenant, workout]).await?.into_iter().next())
    }

    /// Where a workout was and whose it is, whatever the tenant: the node itself asks.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn whose_workout(&self, workout: WorkoutId) -> Result<Option<(GymId, MemberId)>, StoreError> {
        const DO: &str = "read whose a workout is";
        let found = self.db.fetch_one(DO, "select gym, member from workouts where workout = $1", &values![workout]).await?;
        found.map(|row| Ok((row.id(DO, 0)?, row.id(DO, 1)?))).transpose()
    }

    /// Whose a workout of the tenant is; for rights before anything else is read.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn workout_member(&self, tenant: TenantId, workout: WorkoutId) -> Result<Option<MemberId>, StoreError> {
        const DO: &str = "read whose a workout is";
        let sql = format!("select t.member from workouts t where {OF_TENANT}");
        self.db.fetch_one(DO, sql, &values![tenant, workout]).await?.map(|row| row.id(DO, 0)).transpose()
    }
}

/// `which` speaks of `workouts t`.
async fn records(db: &Db, which: &str, params: &[Value]) -> Result<Vec<WorkoutRecord>, StoreError> {
    const DO: &str = "read workouts";
    let sql = format!(
        "select {COLUMNS} from workouts t left join workout_totals s on s.workout = t.workout and s.revision = t.revision where {which}"
    );
    db.fetch(DO, sql, params).await?.iter().map(|row| record_of(row, DO)).collect()
}

fn record_of(row: &Row, operation: &'static str) -> Result<WorkoutRecord, StoreError> {
    let revision = row.opt_number(operation, 7)?;
    Ok(WorkoutRecord {
        workout: row.id(operation, 0)?,
        gym: row.id(operation, 1)?,
        member: row.id(operation, 2)?,
        visit: row.id(operation, 3)?,
        stage: row.word(operation, 4)?,
        started_at_ms: row.get(operation, 5)?,
        ended_at_ms: row.get(operation, 6)?,
        revision,
        totals: if row.get::<Option<String>>(operation, 8)?.is_some() { Some(row.json(operation, 8)?) } else { None },
    })
}

/// Workouts with ranges and sets; `which` speaks of `workouts t`.
pub(super) async fn details(db: &Db, which: &'static str, params: &[Value]) -> Result<Vec<WorkoutDetail>, StoreError> {
    const DO: &str = "read workouts with what belongs to them";
    let mut found: Vec<WorkoutDetail> = Vec::new();
    let mut places: HashMap<WorkoutId, usize> = HashMap::new();
    for record in records(db, which, params).await? {
        places.insert(record.workout, found.len());
        found.push(WorkoutDetail { record, ranges: Vec::new(), sets: Vec::new(), logged: Vec::new() });
    }
    let of = format!("join (select t.workout from workouts t where {which}) p on p.workout");
    let sql = format!(
        "select r.workout, s.tenant, s.kind, s.owner, s.sensor, r.boot, r.from_seq, r.to_seq from workout_ranges r
         join sources s on s.source = r.source {of} = r.workout order by s.kind, s.owner, s.sensor, r.boot, r.from_seq"
    );
    for row in db.fetch(DO, sql, params).await? {
        let Some(&place) = places.get(&row.id(DO, 0)?) else { continue };
        let source = key_of(&row, DO, 1)?;
        let known = found[place].ranges.iter().find(|range| range.source == source).map(|range| Arc::clone(&range.source));
        let (boot, from_seq, to_seq) = (row.number(DO, 5)?, row.number(DO, 6)?, row.number(DO, 7)?);
        found[place].ranges.push(WorkoutRange { source: known.unwrap_or(source), boot, from_seq, to_seq });
    }
    let sql = format!(
        "select r.workout, s.tenant, s.kind, s.owner, s.sensor, t.boot, t.seq, t.at_ms, {SET_COLUMNS} from workout_ranges r
         join sets t on t.source = r.source and t.boot = r.boot and t.seq between r.from_seq and r.to_seq
         join sources s on s.source = r.source {of} = r.workout order by t.at_ms, t.boot, t.seq"
    );
    for row in db.fetch(DO, sql, params).await? {
        let Some(&place) = places.get(&row.id(DO, 0)?) else { continue };
        let (source, set) = (key_of(&row, DO, 1)?, set_of(&row, DO, 8)?);
        found[place].sets.push(SetRecord { source, boot: row.number(DO, 5)?, seq: row.number(DO, 6)?, at_ms: row.get(DO, 7)?, set });
    }
    let sql =
        format!("select t.workout, t.id, t.logged_at_ms, {SET_COLUMNS} from logged_sets t {of} = t.workout order by t.logged_at_ms, t.id");
    for row in db.fetch(DO, sql, params).await? {
        let Some(&place) = places.get(&row.id(DO, 0)?) else { continue };
        found[place].logged.push(LoggedSet { id: row.id(DO, 1)?, logged_at_ms: row.get(DO, 2)?, set: set_of(&row, DO, 3)? });
    }
    Ok(found)
}
