//! What a workout adds up to: one definition for live sums, for sealing and for whoever recomputes it offline.
//!
//! Each boot is added up by itself over its readings in order of seq, then all boots are put together. `docs/STORAGE.md` says the same
//! in words. Pure: no clock, no order of arrival. A device
//! may say any time and any number: sums end at the ends of their types.

use crate::field::{Field, Reading};
use crate::frame::Totals;

/// A counter of a machine (distance, energy, strokes) that may begin again in mid-workout.
///
/// The first value is where counting starts. A rise is added. A fall to half or less is a new beginning: the new value is added. A smaller
/// fall is the machine correcting itself: nothing is added, and counting goes on from there. So the sum never goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwrapped {
    last: Option<i32>,
    sum: i64,
}

impl Unwrapped {
    /// Takes the next value.
    pub const fn push(&mut self, value: i32) {
        if let Some(last) = self.last {
            if value >= last {
                self.sum += value as i64 - last as i64;
            } else if value <= last / 2 {
                self.sum += value as i64;
            }
        }
        self.last = Some(value);
    }

    /// What was counted.
    #[must_use]
    pub const fn sum(&self) -> i64 {
        self.sum
    }
}

/// The readings of one boot that belong to a workout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootTotals {
    readings: u64,
    span: Option<(i64, i64)>,
    distance: Unwrapped,
    energy: Unwrapped,
    strokes: Unwrapped,
    stroke_rows: u32,
    power: Mean,
    heart_rate: Mean,
    reps: u32,
    sets: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mean {
    sum: i64,
    count: u64,
    max: i32,
}

impl Mean {
    fn push(&mut self, value: i32) {
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.sum += i64::from(value);
        self.count += 1;
    }

    fn join(sum: &mut i64, count: &mut u64, max: &mut i32, other: Self) {
        if other.count > 0 {
            *max = if *count == 0 { other.max } else { (*max).max(other.max) };
        }
        *sum += other.sum;
        *count += other.count;
    }
}

impl BootTotals {
    /// Takes the next reading in order of seq.
    pub fn reading(&mut self, dev_ms: i64, reading: &Reading) {
        self.readings += 1;
        let (first, last) = self.span.unwrap_or((dev_ms, dev_ms));
        self.span = Some((first.min(dev_ms), last.max(dev_ms)));
        let counters = [(Field::Distance, &mut self.distance), (Field::Energy, &mut self.energy), (Field::Strokes, &mut self.strokes)];
        for (field, counter) in counters {
            if let Some(value) = reading.get(field) {
                counter.push(value);
            }
        }
        for (field, mean) in [(Field::Power, &mut self.power), (Field::HeartRate, &mut self.heart_rate)] {
            if let Some(value) = reading.get(field) {
                mean.push(value);
            }
        }
    }

    /// Takes rows of reps, sets and strokes; their order does not matter.
    pub const fn rows(&mut self, reps: u32, sets: u32, strokes: u32) {
        self.reps = self.reps.saturating_add(reps);
        self.sets = self.sets.saturating_add(sets);
        self.stroke_rows = self.stroke_rows.saturating_add(strokes);
    }

    /// Adds the boot to a workout's totals. Distance and energy count for machines only, so that a watch on the arm does not double them;
    /// strokes are the rows of the boot or its unwrapped counter, whichever is more.
    pub fn add_to(&self, totals: &mut Totals, of_machine: bool) {
        totals.readings += self.readings;
        let duration_ms = self.span.map_or(0, |(first, last)| last.saturating_sub(first));
        totals.duration_ms = totals.duration_ms.saturating_add(duration_ms);
        if of_machine {
            totals.distance_m += self.distance.sum();
            totals.energy_kcal += self.energy.sum();
        }
        Mean::join(&mut totals.power_sum_w, &mut totals.power_count, &mut totals.power_max_w, self.power);
        Mean::join(&mut totals.heart_rate_sum_bpm, &mut totals.heart_rate_count, &mut totals.heart_rate_max_bpm, self.heart_rate);
        totals.reps = totals.reps.saturating_add(self.reps);
        totals.sets = totals.sets.saturating_add(self.sets);
        let strokes = self.stroke_rows.max(u32::try_from(self.strokes.sum()).unwrap_or(u32::MAX));
        totals.strokes = totals.strokes.saturating_add(strokes);
    }
}

/// Adds what one workout came to to the sums of others, for a day of several.
pub fn join(totals: &mut Totals, other: &Totals) {
    totals.readings = totals.readings.saturating_add(other.readings);
    totals.duration_ms = totals.duration_ms.saturating_add(other.duration_ms);
    totals.distance_m = totals.distance_m.saturating_add(other.distance_m);
    totals.energy_kcal = totals.energy_kcal.saturating_add(other.energy_kcal);
    let power = Mean { sum: other.power_sum_w, count: other.power_count, max: other.power_max_w };
    Mean::join(&mut totals.power_sum_w, &mut totals.power_count, &mut totals.power_max_w, power);
    let heart_rate = Mean { sum: other.heart_rate_sum_bpm, count: other.heart_rate_count, max: other.heart_rate_max_bpm };
    Mean::join(&mut totals.heart_rate_sum_bpm, &mut totals.heart_rate_count, &mut totals.heart_rate_max_bpm, heart_rate);
    totals.reps = totals.reps.saturating_add(other.reps);
    totals.sets = totals.sets.saturating_add(other.sets);
    totals.strokes = totals.strokes.saturating_add(other.strokes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_begins_again_is_added_and_one_that_corrects_itself_is_not() {
        let mut distance = Unwrapped::default();
        for value in [100, 150, 149, 151, 3, 10] {
            distance.push(value);
        }
        assert_eq!(distance.sum(), 50 + 2 + 3 + 7);
    }

    proptest::proptest! {
        #[test]
        fn a_sum_never_goes_down(values in proptest::collection::vec(0..=i32::MAX, 0..40)) {
            let mut counter = Unwrapped::default();
            for value in values {
                let before = counter.sum();
                counter.push(value);
                proptest::prop_assert!(counter.sum() >= before);
            }
        }
    }
}
