//! A finished recording into the store at once: what a member uploads from a device of their own.
//!
//! In: readings and sets of one file, numbered from 1 under one boot. Out: a sealed workout, or word that it was there already. Rows go through
//! the same ranges as everybody's, in transactions of [`ROWS`] rows, so that live rows are not held up; the workout appears in one transaction
//! after the last of them. So an interrupted import leaves nothing that anybody sees, and the same file again completes it.

use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{SetDetail, Totals, WorkoutStage};
use protocol::totals::BootTotals;
use protocol::{GymId, MemberId, Reading, TenantId, VisitId, WorkoutId};

use crate::db::{Address, Db, values};
use crate::error::StoreError;
use crate::model::{Fact, Report, Row, RowWhat, SourceKey, WorkoutRange};
use crate::writer::{Care, Known, batch, facts};

/// Rows of one transaction.
const ROWS: usize = 1_000;
/// Workouts named as overlapping.
const OVERLAPS_MAX: i64 = 20;

/// A recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Whose.
    pub tenant: TenantId,
    /// The gym that it counts for.
    pub gym: GymId,
    /// Who trained.
    pub member: MemberId,
    /// Made of the content, so that the same content is the same workout. It stands in the place of the visit too: there was none.
    pub workout: WorkoutId,
    /// The member's device.
    pub source: Arc<SourceKey>,
    /// Made of the content.
    pub boot: u32,
    /// Made of the content.
    pub nonce: u32,
    /// UTC of the first thing in it.
    pub started_at_ms: i64,
    /// UTC of the last thing in it.
    pub ended_at_ms: i64,
    /// When the hub got it.
    pub received_at_ms: i64,
    /// Readings in order: milliseconds since the start, and what.
    pub readings: Vec<(i64, Reading)>,
    /// Sets in order: milliseconds since the start, and what.
    pub sets: Vec<(i64, SetDetail)>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Whether it was not there before.
    pub fresh: bool,
    /// Other workouts of the member that run at the same time, the oldest first.
    pub overlaps: Vec<WorkoutId>,
}

/// Takes recordings. Cheap to clone.
#[derive(Clone)]
pub struct Importer {
    pub(crate) address: Address,
    pub(crate) db: Db,
    pub(crate) connect_deadline: Duration,
    pub(crate) deadline: Duration,
}

impl Importer {
    /// Stores a recording as a sealed workout of its own.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the boot is taken by other content; otherwise as the database says, and the same again completes it.
    pub async fn keep(&self, import: &Import) -> Result<Imported, StoreError> {
        const DO: &str = "keep a recording";
        let overlaps = self.overlaps(import).await?;
        let known = "select 1 from workouts where workout = $1 and revision is not null";
        if self.db.fetch_one(DO, known, &values![import.workout]).await?.is_some() {
            return Ok(Imported { fresh: false, overlaps });
        }
        let connected = self.address.wire(self.connect_deadline, self.deadline).await;
        let mut wire = connected.map_err(|source| StoreError::Away { operation: DO, source })?;
        wire.prefer_indexes().await?;
        let mut memory = Known::default();
        let rows = import.rows();
        for chunk in rows.chunks(ROWS) {
            let outcome = batch::write(&mut wire, &mut memory, chunk, Care::Row).await?;
            let refused = outcome.quarantined > 0 || outcome.into_reports().any(|report| matches!(report, Report::SourceConflict { .. }));
            if refused {
                wire.close().await;
                return Err(StoreError::Conflict { operation: DO, id: import.workout.0 });
            }
        }
        facts::write_all(&mut wire, &mut memory, &import.facts(rows.len())).await?;
        wire.close().await;
        Ok(Imported { fresh: true, overlaps })
    }

    async fn overlaps(&self, import: &Import) -> Result<Vec<WorkoutId>, StoreError> {
        const DO: &str = "look for workouts at the same time";
        let sql = "select t.workout from workouts t join gyms g on g.gym = t.gym
             where g.tenant = $1 and t.member = $2 and t.workout <> $3 and t.started_at_ms < $5 and (t.ended_at_ms is null or t.ended_at_ms > $4)
             order by t.started_at_ms limit $6";
        let params = values![import.tenant, import.member, import.workout, import.started_at_ms, import.ended_at_ms, OVERLAPS_MAX];
        self.db.fetch(DO, sql, &params).await?.iter().map(|row| row.id(DO, 0)).collect()
    }
}

impl Import {
    /// Readings and sets by time, numbered from 1.
    fn rows(&self) -> Vec<Row> {
        let readings = self.readings.iter().map(|(dev_ms, reading)| (*dev_ms, RowWhat::Reading(reading.clone())));
        let sets = self.sets.iter().map(|(dev_ms, set)| (*dev_ms, RowWhat::Set(Box::new(set.clone()))));
        let mut all: Vec<(i64, RowWhat)> = readings.chain(sets).collect();
        all.sort_by_key(|(dev_ms, _)| *dev_ms);
        let row = |(seq, (dev_ms, what)): (u32, (i64, RowWhat))| Row {
            source: Arc::clone(&self.source),
            boot: self.boot,
            nonce: self.nonce,
            seq,
            absorbed: Vec::new(),
            dev_ms,
            received_at_ms: self.received_at_ms,
            corrected_at_ms: self.started_at_ms + dev_ms,
            anchor_at_ms: self.started_at_ms,
            what,
            derived: 0,
        };
        (1..).zip(all).map(row).collect()
    }

    /// The workout, its one stretch and its totals, by the same definition as everybody's.
    fn facts(&self, rows: usize) -> [Fact; 3] {
        let Self { workout, gym, member, started_at_ms, ended_at_ms, .. } = *self;
        let mut boot = BootTotals::default();
        self.readings.iter().for_each(|(dev_ms, reading)| boot.reading(*dev_ms, reading));
        boot.rows(0, u32::try_from(self.sets.len()).unwrap_or(u32::MAX), 0);
        let mut totals = Totals::default();
        boot.add_to(&mut totals, self.source.counts());
        let (visit, stage, ended_at_ms) = (VisitId(workout.0), WorkoutStage::Ended, Some(ended_at_ms));
        let to_seq = u32::try_from(rows).unwrap_or(u32::MAX);
        let range = WorkoutRange { source: Arc::clone(&self.source), boot: self.boot, from_seq: 1, to_seq };
        [
            Fact::Workout { workout, gym, member, visit, stage, started_at_ms, ended_at_ms },
            Fact::WorkoutRange { workout, range },
            Fact::Totals { workout, revision: 0, totals },
        ]
    }
}
