//! Totals of a workout, purely from stored rows, raw or packed, by `protocol::totals`.

use std::collections::BTreeMap;

use protocol::frame::Totals;
use protocol::totals::BootTotals;
use protocol::{TenantId, WorkoutId};

use super::Store;
use super::sample::{STEP, stretches};
use crate::db::{Db, values};
use crate::error::StoreError;
use crate::history::read::{self, Stretch};

const DO: &str = "add up a workout";

impl Store {
    /// Adds up a workout of the tenant from what is stored now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such workout.
    pub async fn add_up(&self, tenant: TenantId, workout: WorkoutId) -> Result<Totals, StoreError> {
        match self.workout_member(tenant, workout).await? {
            Some(_) => add_up(&self.db, workout).await,
            None => Err(StoreError::NotFound { operation: DO, id: workout.0 }),
        }
    }
}

/// Adds up boot by boot, each in order of seq.
pub(crate) async fn add_up(db: &Db, workout: WorkoutId) -> Result<Totals, StoreError> {
    let mut boots: BTreeMap<(i64, u32), (BootTotals, bool)> = BTreeMap::new();
    for stretch in stretches(db, workout).await? {
        let counts = stretch.key.counts();
        let (boot, _) = boots.entry((stretch.source, stretch.boot)).or_insert_with(|| (BootTotals::default(), counts));
        add_readings(db, &stretch, boot).await?;
        let (reps, sets, strokes) =
            (count(db, "reps", &stretch).await?, count(db, "sets", &stretch).await?, count(db, "strokes", &stretch).await?);
        boot.rows(reps, sets, strokes);
    }
    let mut totals = Totals::default();
    for (boot, counts) in boots.into_values() {
        boot.add_to(&mut totals, counts);
    }
    Ok(totals)
}

/// Whether readings of a workout may have been forgotten: what is added up now is less than what was there.
///
/// Asked after the adding up, so that what goes meanwhile is seen. Where the minutes are gone too no row tells, but there are fewer readings then.
pub(crate) async fn is_forgotten(db: &Db, workout: WorkoutId, sealed: &Totals, now: &Totals) -> Result<bool, StoreError> {
    if now.readings < sealed.readings {
        return Ok(true);
    }
    let sql = "select 1 from workout_ranges r join packed p on p.source = r.source and p.boot = r.boot
             and p.to_seq >= r.from_seq and p.from_seq <= r.to_seq
         where r.workout = $1 and p.chunk is null limit 1";
    Ok(db.fetch_one(DO, sql, &values![workout]).await?.is_some())
}

async fn add_readings(db: &Db, stretch: &Stretch, boot: &mut BootTotals) -> Result<(), StoreError> {
    read::each(db, stretch, read::ALWAYS, STEP, |record| boot.reading(record.dev_ms, &record.reading)).await
}

async fn count(db: &Db, table: &'static str, stretch: &Stretch) -> Result<u32, StoreError> {
    let sql = format!("select count(*) from {table} where source = $1 and boot = $2 and seq between $3 and $4");
    let params = values![stretch.source, stretch.boot, stretch.from_seq, stretch.to_seq];
    db.fetch_one(DO, sql, &params).await?.map_or(Ok(0), |row| row.number(DO, 0))
}
