//! Questions to the database and changes by people, each with a deadline, each checked against the tenant in the query itself.
//!
//! What rooms decide goes through the [`crate::Recorder`] instead. A tenant that asks for another's thing gets `NotFound` or nothing, the same as
//! for a thing that does not exist.

mod board;
mod checksum;
mod day;
mod device;
mod erase;
mod event;
mod export;
mod gym;
mod idempotency;
mod member;
mod provision;
mod prune;
mod sample;
mod scrub;
mod seed;
mod token;
pub(crate) mod tombstone;
pub(crate) mod totals;
mod visit;
mod workout;

use protocol::frame::SetDetail;
use protocol::text::Text;

pub use self::checksum::SourceChecksum;
pub use self::day::DayRecord;
pub use self::erase::{Erased, Erasure};
pub use self::export::{ClaimRecord, ScoreRecord};
pub use self::prune::{Pruned, Retention};
pub use self::sample::SampleQuery;
pub(crate) use self::sample::{STEP, reading_columns, reading_of};
pub use self::visit::{Page, TimeQuery};
use crate::db::{Db, Row};
use crate::error::StoreError;

/// Answers questions. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: Db,
    scrubs: std::sync::Arc<scrub::Scrubs>,
}

impl Store {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, scrubs: std::sync::Arc::default() }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError`] when there is none within the deadline.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.fetch("ping", "select 1", &[]).await.map(drop)
    }

    /// `sqlite` or `postgres`.
    #[must_use]
    pub const fn back_end(&self) -> &'static str {
        if self.db.is_postgres() { "postgres" } else { "sqlite" }
    }
}

/// Columns of a set in the order that [`set_of`] reads, of the table called `t`.
const SET_COLUMNS: &str = "t.set_no, t.target_reps, t.reps, t.load_hg, t.seconds, t.rest_s, t.exercise, t.tempo, t.note";

fn set_of(row: &Row, operation: &'static str, column: usize) -> Result<SetDetail, StoreError> {
    let text = |place: usize| row.get::<Option<String>>(operation, column + place);
    Ok(SetDetail {
        set: row.number(operation, column)?,
        target_reps: row.number(operation, column + 1)?,
        reps: row.number(operation, column + 2)?,
        load_hg: row.number(operation, column + 3)?,
        seconds: row.number(operation, column + 4)?,
        rest_s: row.number(operation, column + 5)?,
        exercise: text(6)?.map(|text| Text::cut(&text)),
        tempo: text(7)?.map(|text| Text::cut(&text)),
        note: text(8)?.map(|text| Text::cut(&text)),
    })
}
