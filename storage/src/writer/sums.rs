//! Adds up workouts from what is stored: when a room asks, and again when late rows came to a sealed one.
//!
//! Reads with the question connections, beside the writer. An amendment is a compare-and-set on the revision, so that two nodes make
//! one between them.

use std::sync::Arc;
use std::time::Duration;

use protocol::WorkoutId;
use protocol::frame::Totals;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::Instrument as _;

use crate::db::{Db, values};
use crate::error::StoreError;
use crate::model::Report;
use crate::open::now_ms;
use crate::options::Options;
use crate::recorder::Shared;
use crate::store::totals::add_up;
use crate::words::json;

/// Workouts amended in one look at most.
const AMEND_AT_ONCE: i64 = 16;

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
            match add_up(&self.db, workout).await {
                Ok(totals) => return self.reports.send(Report::TotalsKnown { workout, revision, totals }).await.unwrap_or(()),
                Err(error) if error.is_away() => sleep(began.elapsed().clamp(Duration::from_millis(50), self.retry_max)).await,
                Err(error) => return tracing::error!(%error, workout.id = %workout, "a workout could not be added up"),
            }
        }
    }

    async fn amend(&self) -> Result<(), StoreError> {
        const DO: &str = "find workouts with late rows";
        let before = now_ms() - i64::try_from(self.amend_after.as_millis()).unwrap_or(i64::MAX);
        let sql = "select w.workout, w.revision, w.late_at_ms, t.totals from workouts w
             join workout_totals t on t.workout = w.workout and t.revision = w.revision
             where w.late_at_ms <= $1 order by w.late_at_ms limit $2";
        for row in self.db.fetch(DO, sql, &values![before, AMEND_AT_ONCE]).await? {
            let workout: WorkoutId = row.id(DO, 0)?;
            let (revision, late_at_ms, sealed): (u32, i64, Totals) = (row.number(DO, 1)?, row.get(DO, 2)?, row.json(DO, 3)?);
            let totals = add_up(&self.db, workout).await?;
            if totals == sealed {
                let sql = "update workouts set late_at_ms = null, packed_revision = null where workout = $1 and late_at_ms = $2";
                self.db.execute(DO, sql, &values![workout, late_at_ms]).await?;
            } else if self.store(workout, revision, late_at_ms, &totals).await? {
                let report = Report::TotalsKnown { workout, revision: revision + 1, totals };
                self.reports.send(report).await.unwrap_or(());
            }
        }
        Ok(())
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
