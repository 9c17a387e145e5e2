//! What a source gives on: one numbered thing, whole.
//!
//! In: what [`super::Source`] made of what was said. Out: the same, read by the workout, the floor and the Recorder. Decides nothing.

use protocol::Reading;
use smallvec::SmallVec;

use crate::effect::KeepWhat;

/// One numbered thing, whole: to show if it is live, and to keep in any case.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Its number; the first part's for a merged record.
    pub seq: u32,
    /// Seqs of the other parts.
    pub absorbed: SmallVec<[u32; 4]>,
    /// Device time.
    pub dev_ms: i64,
    /// When it came, UTC.
    pub received_at_ms: i64,
    /// Device time as corrected UTC.
    pub corrected_at_ms: i64,
    /// How old it is where it is live: new, in order and fresh. None is stored and not shown as now.
    pub live_age_ms: Option<u32>,
    /// It comes from a buffer: read before this connection, or asked for again.
    pub is_backfill: bool,
    /// Nothing of this connection was taken before it, or it belongs before what was taken first: it came late, and was not held.
    pub is_first: bool,
    /// A later boot of its source runs.
    pub is_outlived: bool,
    /// No clock told its time: a workout goes by when it came.
    pub is_guess: bool,
    /// What.
    pub what: KeepWhat,
    /// Fields of a reading that the hub derived from the one before.
    pub derived: u32,
}

impl Taken {
    /// The reading, if it is one.
    #[must_use]
    pub fn reading(&self) -> Option<&Reading> {
        match &self.what {
            KeepWhat::Reading(reading) => Some(reading),
            KeepWhat::Rep(_) | KeepWhat::Set(_) | KeepWhat::Stroke(_) | KeepWhat::Poison { .. } | KeepWhat::Lost { .. } => None,
        }
    }

    /// Corrected UTC minus device time.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.corrected_at_ms.saturating_sub(self.dev_ms)
    }
}
