//! What a running workout adds up to so far, for the eye: the sealed totals come from the store.
//!
//! In: readings of its sources, each number once. Out: [`Totals`]. Distance, energy and time are those of machines; a workout without
//! a machine takes them from the member's own devices. Machine counters start again when they like and are unwrapped; a late
//! reading adds its power and heart rate, while the counters after it have counted it already.

use protocol::frame::Totals;
use protocol::ftms::Unwrap;
use protocol::{Field, Reading};

/// Counters of one source in one boot.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    distance: Unwrap,
    energy: Unwrap,
    newest_seq: u32,
    dev_ms: Option<(i64, i64)>,
}

impl Counters {
    fn take(&mut self, seq: u32, dev_ms: i64, reading: &Reading) {
        let (first, last) = self.dev_ms.unwrap_or((dev_ms, dev_ms));
        self.dev_ms = Some((first.min(dev_ms), last.max(dev_ms)));
        if seq > self.newest_seq {
            self.newest_seq = seq;
            reading.get(Field::Distance).map(|metres| self.distance.push(metres.into()));
            reading.get(Field::Energy).map(|kcal| self.energy.push(kcal.into()));
        }
    }

    /// Time from the first to the last reading, distance, energy.
    fn sums(&self) -> [i64; 3] {
        [self.dev_ms.map_or(0, |(first, last)| last.saturating_sub(first)), self.distance.total(), self.energy.total()]
    }
}

/// Totals so far, the counters of each source apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    totals: Totals,
}

impl Progress {
    /// Adds a reading that was not added before.
    pub(super) fn take(&mut self, counters: &mut Counters, seq: u32, dev_ms: i64, reading: &Reading) {
        counters.take(seq, dev_ms, reading);
        self.totals.readings += 1;
        if let Some(power) = reading.get(Field::Power) {
            self.totals.power_sum_w += i64::from(power);
            self.totals.power_count += 1;
            self.totals.power_max_w = self.totals.power_max_w.max(power);
        }
        if let Some(rate) = reading.get(Field::HeartRate) {
            self.totals.heart_rate_sum_bpm += i64::from(rate);
            self.totals.heart_rate_count += 1;
            self.totals.heart_rate_max_bpm = self.totals.heart_rate_max_bpm.max(rate);
        }
    }

    pub(super) fn rep(&mut self) {
        self.totals.reps += 1;
    }

    pub(super) fn set(&mut self) {
        self.totals.sets += 1;
    }

    pub(super) fn stroke(&mut self) {
        self.totals.strokes += 1;
    }

    /// Everything so far; `sources` says for each source whether it is a machine.
    pub(super) fn totals<'a>(&self, sources: impl Iterator<Item = (bool, &'a Counters)> + Clone) -> Totals {
        let machines = sources.clone().any(|(machine, _)| machine);
        let counted = sources.filter(|(machine, _)| *machine || !machines).map(|(_, counters)| counters.sums());
        let [duration_ms, distance_m, energy_kcal] = counted.fold([0; 3], |sums, more| std::array::from_fn(|at| sums[at] + more[at]));
        Totals { duration_ms, distance_m, energy_kcal, ..self.totals }
    }
}
