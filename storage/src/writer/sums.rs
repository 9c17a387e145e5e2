//! Adds up workouts from what is stored: when a room asks, and again when late rows came to one that was added up.
//!
//! Reads with the question connections, beside the writer. An amendment is a compare-and-set on the revision, so that two nodes make
//! one between them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::WorkoutId;
use protocol::frame::Totals;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::Instrument as _;

use super::late;
use crate::db::{Db, values};
use crate::error::StoreError;
use crate::model::Report;
use crate::open::now_ms;
use crate::options::Options;
use crate::recorder::Shared;
use crate::store::totals::{add_up, is_forgotten};
use crate::words::json;

/// Workouts amended in one look at most.
const AMEND_AT_ONCE: i64 = 16;
/// What could not be added up rests so long.
const PUT_OFF_MS: i64 = 3_600_000;
const FIND: &str = "find workouts with late rows";

/// A room's question.
pub(super) struct AddUp {
    pub(super) workout: WorkoutId,
    pub(super) revision: u32,
}

pub(super) struct Sums {
    db: Db,
    asked: mpsc::Receiver<AddUp>,
    reports: mpsc::Sender<Report>,
    amend_after: Duration,
    retry_max: Duration,
    shared: Arc<Shared>,
}

impl Sums {
    pub(super) fn new(db: Db, asked: mpsc::Receiver<AddUp>, reports: mpsc::Sender<Report>, options: &Options, shared: Arc<Shared>) -> Self {
        Self { db, asked, reports, amend_after: options.amend_after, retry_max: options.retry_max, shared }
    }

    /// Until the writer has ended and every question is answered, or the drain's deadline. Hands the connections back.
    pub(super) async fn run(mut self) -> Db {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = self.answer() => {}
            () = shared.given_up() => {}
        }
        self.db
    }

    async fn answer(&mut self) {
        let every = (self.amend_after / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
        let mut look = interval(every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                asked = self.asked.recv() => match asked {
                    Some(AddUp { workout, revision }) => self.tell(workout, revision).await,
                    None => return,
                },
                _ = look.tick() => if let Err(error) = self.amend().await && !error.is_away() {
                    tracing::warn!(%error, "late rows could not be added up: tried again at the next look");
                },
            }
        }
    }

    async fn tell(&self, workout: WorkoutId, revision: u32) {
        let span = tracing::info_span!(target: crate::TRACED, "workout.add_up", revision);
        self.add_up(workout, revision).instrument(span).await;
    }

    async fn add_up(&self, workout: WorkoutId, revision: u32) {
        let began = Instant::now();
        loop {
            match self.first(workout).await {
                Ok(totals) => return self.reports.send(Report::TotalsKnown { workout, revision, totals }).await.unwrap_or(()),
                Err(error) if error.is_away() => sleep(began.elapsed().clamp(Duration::from_millis(50), self.retry_max)).await,
                Err(error) => return tracing::error!(%error, workout.id = %workout, "a workout could not be added up"),
            }
        }
    }

    /// Totals of a workout that is not sealed; what comes from now on marks it.
    async fn first(&self, workout: WorkoutId) -> Result<Totals, StoreError> {
        late::under_way(&self.db, workout).await?;
        add_up(&self.db, workout).await
    }

    /// One look: each workout by itself, so that one that cannot be read holds up no other.
    async fn amend(&self) -> Result<(), StoreError> {
        let before = now_ms() - i64::try_from(self.amend_after.as_millis()).unwrap_or(i64::MAX);
        let sql = "select w.workout, w.late_at_ms from workouts w
             join workout_totals t on t.workout = w.workout and t.revision = w.revision
             where w.late_at_ms <= $1 order by w.late_at_ms limit $2";
        for row in self.db.fetch(FIND, sql, &values![before, AMEND_AT_ONCE]).await? {
            let (workout, late_at_ms): (WorkoutId, i64) = (row.id(FIND, 0)?, row.get(FIND, 1)?);
            match self.amend_one(workout, late_at_ms).await {
                Err(error @ StoreError::Away { .. }) => return Err(error),
                Err(error) => self.put_off(workout, late_at_ms, &error).await?,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn amend_one(&self, workout: WorkoutId, late_at_ms: i64) -> Result<(), StoreError> {
        let sql = "select w.revision, t.totals from workouts w
             join workout_totals t on t.workout = w.workout and t.revision = w.revision where w.workout = $1 and w.late_at_ms = $2";
        let Some(row) = self.db.fetch_one(FIND, sql, &values![workout, late_at_ms]).await? else { return Ok(()) };
        let (revision, sealed): (u32, Totals) = (row.number(FIND, 0)?, row.json(FIND, 1)?);
        let totals = add_up(&self.db, workout).await?;
        if totals == sealed || is_forgotten(&self.db, workout, &sealed, &totals).await? {
            // What was sealed stands; the late rows are packed like all others.
            let sql = "update workouts set late_at_ms = null, packed_revision = null where workout = $1 and late_at_ms = $2";
            self.db.execute(FIND, sql, &values![workout, late_at_ms]).await?;
        } else if self.store(workout, revision, late_at_ms, &totals).await? {
            let report = Report::TotalsKnown { workout, revision: revision + 1, totals };
            self.reports.send(report).await.unwrap_or(());
        }
        Ok(())
    }

    /// Looked at again in an hour, or when the next late row comes: it would stand before all others at each look.
    async fn put_off(&self, workout: WorkoutId, late_at_ms: i64, error: &StoreError) -> Result<(), StoreError> {
        self.shared.counters.history_failed.fetch_add(1, Relaxed);
        tracing::warn!(error = error as &dyn std::error::Error, workout.id = %workout, "late rows of a workout could not be added up: tried again in an hour");
        let sql = "update workouts set late_at_ms = $3 where workout = $1 and late_at_ms = $2";
        self.db.execute(FIND, sql, &values![workout, late_at_ms, now_ms() + PUT_OFF_MS]).await.map(drop)
    }

    /// True when this node made the revision.
    async fn store(&self, workout: WorkoutId, revision: u32, late_at_ms: i64, totals: &Totals) -> Result<bool, StoreError> {
        const DO: &str = "amend a workout";
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        let sql = "update workouts set revision = $2 + 1, late_at_ms = null where workout = $1 and revision = $2 and late_at_ms = $3";
        if conn.execute(DO, sql, &values![workout, revision, late_at_ms]).await? == 0 {
            return Ok(false);
        }
        let sql = "insert into workout_totals (workout, revision, totals, at_ms) values ($1, $2, $3, $4)";
        conn.execute(DO, sql, &values![workout, revision + 1, json(totals), now_ms()]).await?;
        tx.commit(DO).await?;
        Ok(true)
    }
}
