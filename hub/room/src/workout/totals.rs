//! What a running workout adds up to so far, for the eye: the sealed totals come from the store, by the same definition.
//!
//! In: readings of one source in one boot, each number once. Out: its share of [`Totals`]. A late reading adds its power and heart rate; the
//! counters after it have counted what it counted, and are taken in order only.

use protocol::frame::Totals;
use protocol::totals::BootTotals;
use protocol::{Field, Reading};

/// What machines count up.
const COUNTERS: u32 = Field::Distance.mask() | Field::Energy.mask() | Field::Strokes.mask();

/// One stretch, added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    boot: BootTotals,
    newest_seq: u32,
}

impl Sums {
    /// Adds a reading that was not added before.
    pub(super) fn read(&mut self, seq: u32, dev_ms: i64, reading: &Reading) {
        if seq > self.newest_seq {
            self.newest_seq = seq;
            self.boot.reading(dev_ms, reading);
        } else {
            self.boot.reading(dev_ms, &reading.only(!COUNTERS));
        }
    }

    pub(super) fn rep(&mut self) {
        self.boot.rows(1, 0, 0);
    }

    pub(super) fn set(&mut self) {
        self.boot.rows(0, 1, 0);
    }

    pub(super) fn stroke(&mut self) {
        self.boot.rows(0, 0, 1);
    }

    /// Adds the stretch to a workout's totals.
    pub(super) fn add_to(&self, totals: &mut Totals, of_machine: bool) {
        self.boot.add_to(totals, of_machine);
    }
}
