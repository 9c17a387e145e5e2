//! What the writer tells the hub, after the commit and never before.

use std::sync::Arc;

use protocol::frame::Totals;
use protocol::{SeqRanges, WorkoutId};

use super::SourceKey;

/// News of the writer. Comes through a bounded channel; while it is full the writer pauses.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// These seqs are committed, were before, are quarantined or declared lost: the source may forget them.
    Stored {
        /// Whose.
        source: Arc<SourceKey>,
        /// Which boot.
        boot: u32,
        /// The nonce that they came with: what another device says under the same boot is not meant.
        nonce: u32,
        /// Which numbers.
        seqs: SeqRanges,
        /// Those of them that went to quarantine.
        rejected: Vec<Rejection>,
    },
    /// A boot came with another nonce than the stored one. The rows are quarantined, and *not* reported as stored:
    /// the numbers belong to the device that came first.
    SourceConflict {
        /// Whose.
        source: Arc<SourceKey>,
        /// Which boot.
        boot: u32,
        /// The nonce that is not the boot's.
        nonce: u32,
        /// Numbers that came under it.
        seqs: SeqRanges,
    },
    /// A row was refused, and there is room for at least half the queue again.
    Ready,
    /// The database does not answer; rows are kept in memory up to the bound.
    Away,
    /// It answers again.
    Back,
    /// What a workout adds up to. Sent for [`crate::Fact::AddUp`] (not stored yet: [`crate::Fact::Totals`] seals), and for an
    /// amendment after late rows (stored already).
    TotalsKnown {
        /// The workout.
        workout: WorkoutId,
        /// 0 at sealing, plus one each amendment.
        revision: u32,
        /// The sums.
        totals: Totals,
    },
}

/// A row that went to quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its number.
    pub seq: u32,
    /// Number in `protocol::ErrorCode`.
    pub code: u16,
    /// The place or the numbers, in words.
    pub detail: String,
}
