//! One numbered thing a source said, on its way to the database.

use std::sync::Arc;

use protocol::frame::{RepDetail, SetDetail, StrokeDetail};
use protocol::text::Text;
use protocol::{MachineId, MemberId, Reading, TenantId};

/// What the names of sensors begin with that are uploaded files. No device on a socket may have such a name.
pub const UPLOAD_PREFIX: &str = "upload.";

/// Whoever numbers readings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKey {
    /// A sensor of a machine, as published by its gateway.
    Machine(MachineId, Text<32>),
    /// A member's own device. Two tenants may have the same member: each has sources of its own.
    Member(TenantId, MemberId, Text<32>),
}

impl SourceKey {
    /// The machine, unless it is a member's own device.
    #[must_use]
    pub const fn machine(&self) -> Option<MachineId> {
        match self {
            Self::Machine(machine, _) => Some(*machine),
            Self::Member(..) => None,
        }
    }

    /// Whether its distance and energy are part of a workout's totals: a machine's are, and those of a file that a member uploaded, which is a
    /// workout of its own. A watch worn on a machine would count the same metres again.
    #[must_use]
    pub fn counts(&self) -> bool {
        match self {
            Self::Machine(..) => true,
            Self::Member(_, _, sensor) => sensor.starts_with(UPLOAD_PREFIX),
        }
    }

    /// Which sensor; keeps its name over boots.
    #[must_use]
    pub const fn sensor(&self) -> &Text<32> {
        match self {
            Self::Machine(_, sensor) | Self::Member(_, _, sensor) => sensor,
        }
    }
}

/// One row for [`crate::Recorder::try_keep`]. Its key is `(source, boot, seq)`; everything else is content or circumstance.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose. Shared: keep one `Arc` a source.
    pub source: Arc<SourceKey>,
    /// Which run of the source.
    pub boot: u32,
    /// Random bits of that run; others under the same boot are a `SourceConflict`.
    pub nonce: u32,
    /// Its number.
    pub seq: u32,
    /// Seqs of other parts that this record absorbed; they are stored with it.
    pub absorbed: Vec<u32>,
    /// Device time, milliseconds, monotonic.
    pub dev_ms: i64,
    /// When the hub got it, UTC. Circumstance: not part of what makes two rows the same.
    pub received_at_ms: i64,
    /// Device time plus estimated offset, UTC. Circumstance.
    pub corrected_at_ms: i64,
    /// UTC of device time 0, taken only when the boot is not known yet.
    pub anchor_at_ms: i64,
    /// What.
    pub what: RowWhat,
    /// Fields of a reading that were derived from the one before. Circumstance: a reading that comes again after a break lacks them.
    pub derived: u32,
}

/// What is kept under a number.
#[derive(Debug, Clone, PartialEq)]
pub enum RowWhat {
    /// A reading.
    Reading(Reading),
    /// A repetition.
    Rep(RepDetail),
    /// A set.
    Set(Box<SetDetail>),
    /// A stroke.
    Stroke(StrokeDetail),
    /// Cannot be read, or means nothing possible: to quarantine, with its number in the error catalogue.
    Poison {
        /// Number in `protocol::ErrorCode`.
        code: u16,
        /// As it came.
        bytes: Vec<u8>,
    },
    /// Declared lost by its source, from the row's seq to this one.
    Lost {
        /// Last seq lost.
        to: u32,
    },
}

impl Row {
    /// Bytes it holds while it waits, for the bound of the queue.
    #[must_use]
    pub fn weight(&self) -> usize {
        let heap = match &self.what {
            RowWhat::Reading(reading) if reading.values().len() > 8 => size_of_val(reading.values()),
            RowWhat::Set(set) => {
                size_of::<SetDetail>()
                    + set.exercise.as_ref().map_or(0, |text| text.len())
                    + set.tempo.as_ref().map_or(0, |text| text.len())
                    + set.note.as_ref().map_or(0, |text| text.len())
            }
            RowWhat::Poison { bytes, .. } => bytes.len(),
            RowWhat::Reading(_) | RowWhat::Rep(_) | RowWhat::Stroke(_) | RowWhat::Lost { .. } => 0,
        };
        size_of::<Self>() + self.absorbed.len() * size_of::<u32>() + heap
    }
}
