//! Counters that a record carries: wheels and cranks that wrap, totals that start again.

/// How often a sensor may repeat its last event before it means standstill.
const REPEATS_MAX: u8 = 3;

/// Rate of a wheel or crank from its revolutions and the time of the last one.
///
/// Both wrap; a repeat of the last event is "no news" three times and standstill after that (SmartSpin2k, `test_CyclePowerData.cpp`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RevCounter {
    last: Option<(u32, u16)>,
    rate_per_min: f64,
    repeats: u8,
}

impl RevCounter {
    /// Takes one measurement, revolutions modulo `2^bits`, event time in 1/`ticks_per_s` s modulo 2^16. Returns revolutions a
    /// minute; none until there are two events.
    pub fn push(&mut self, revs: u32, event: u16, bits: u32, ticks_per_s: u32) -> Option<f64> {
        let (last_revs, last_event) = self.last.replace((revs, event))?;
        let turned = revs.wrapping_sub(last_revs) & (u32::MAX >> (32 - bits.clamp(1, 32)));
        let ticks = event.wrapping_sub(last_event);
        if turned == 0 || ticks == 0 {
            self.repeats = self.repeats.saturating_add(1);
            if self.repeats > REPEATS_MAX {
                self.rate_per_min = 0.0;
            }
        } else {
            self.repeats = 0;
            self.rate_per_min = f64::from(turned) * 60.0 * f64::from(ticks_per_s) / f64::from(ticks);
        }
        Some(self.rate_per_min)
    }
}

/// A total that a machine counts since its training session began, and may start again at any time.
///
/// What it gives never goes down: a fall is a new epoch, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwrap {
    last: Option<i64>,
    total: i64,
    epochs: u32,
}

impl Unwrap {
    /// Takes the machine's total and returns what was added since the last: 0 for the first, which may be of somebody else.
    pub fn push(&mut self, value: i64) -> i64 {
        let added = match self.last.replace(value) {
            None => 0,
            Some(last) if value >= last => value - last,
            Some(_) => {
                self.epochs += 1;
                value.max(0)
            }
        };
        self.total = self.total.saturating_add(added);
        added
    }

    /// All that was added.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.total
    }

    /// How often it began again.
    #[must_use]
    pub const fn epochs(&self) -> u32 {
        self.epochs
    }
}

/// Metres are too coarse for a shorter stretch of time.
const WINDOW_MS: i64 = 2_500;
/// Points of the window; older ones are forgotten, which only makes it longer than needed.
const POINTS_MAX: usize = 32;

/// Speed from distance, for machines that write 0 into their speed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DistanceSpeed {
    points: std::collections::VecDeque<(i64, i64)>,
}

impl DistanceSpeed {
    /// Takes a distance at a device time; returns 0.01 km/h over the last 2.5 s or a little more, none while that is not known.
    pub fn push(&mut self, dev_ms: i64, distance_m: i64) -> Option<i32> {
        if self.points.back().is_some_and(|&(at, metres)| dev_ms <= at || distance_m < metres) {
            self.points.clear();
        }
        self.points.push_back((dev_ms, distance_m));
        // The newest point that is old enough begins the window.
        while self.points.get(1).is_some_and(|&(at, _)| dev_ms.saturating_sub(at) >= WINDOW_MS) || self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
        let &(from_ms, from_m) = self.points.front()?;
        let span_ms = dev_ms.saturating_sub(from_ms);
        // m/ms is 3,600 km/h.
        (span_ms >= WINDOW_MS).then(|| (((distance_m - from_m) * 360_000 + span_ms / 2) / span_ms).clamp(0, 0xffff) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadence_is_that_of_the_pedals_and_passes_both_wraps() {
        let mut crank = RevCounter::default();
        let mut push = |revs, event| crank.push(revs, event, 16, 1024);
        assert_eq!(push(1, 2816), None);
        for (revs, event, rpm) in [(2, 4792, 31.09), (3, 6062, 48.38), (5, 8241, 56.39)] {
            let rate = push(revs, event).expect("two events");
            assert!((rate - rpm).abs() < 0.005, "{rate}");
        }
        let mut crank = RevCounter::default();
        crank.push(65_535, 65_535, 16, 1024);
        let rate = crank.push(0, 1_975, 16, 1024).expect("two events");
        assert!((rate - 31.09).abs() < 0.005, "{rate}");
    }

    #[test]
    fn a_crank_that_says_nothing_new_holds_for_three_repeats_then_stands() {
        let mut crank = RevCounter::default();
        crank.push(0, 0, 16, 1024);
        let rate = crank.push(1, 1024, 16, 1024);
        assert_eq!(rate, Some(60.0));
        for _ in 0..3 {
            assert_eq!(crank.push(1, 1024, 16, 1024), rate);
        }
        assert_eq!(crank.push(1, 1024, 16, 1024), Some(0.0));
        assert_eq!(crank.push(2, 3072, 16, 1024), Some(30.0));
    }

    #[test]
    fn a_total_that_starts_again_is_never_a_step_back() {
        let mut distance = Unwrap::default();
        let added: Vec<i64> = [700, 710, 725, 3, 9].into_iter().map(|metres| distance.push(metres)).collect();
        assert_eq!(added, [0, 10, 15, 3, 6]);
        assert_eq!((distance.total(), distance.epochs()), (34, 1));
    }

    #[test]
    fn speed_follows_from_distance_over_two_and_a_half_seconds() {
        let mut speed = DistanceSpeed::default();
        let speeds: Vec<_> = (0..6).map(|second| speed.push(second * 1_000, second * 3)).collect();
        assert_eq!(speeds, [None, None, None, Some(1_080), Some(1_080), Some(1_080)]);
        assert_eq!(speed.push(9_000, 0), None, "a distance that starts again begins a new window");
    }

    proptest::proptest! {
        #[test]
        fn no_delta_is_ever_negative(values in proptest::collection::vec(0_i64..1 << 24, 0..64)) {
            let mut total = Unwrap::default();
            for value in values {
                proptest::prop_assert!(total.push(value) >= 0);
            }
        }

        #[test]
        fn derived_speed_is_a_speed(points in proptest::collection::vec((0_i64..100_000, 0_i64..1 << 24), 0..64)) {
            let mut speed = DistanceSpeed::default();
            for (at, metres) in points {
                proptest::prop_assert!(speed.push(at, metres).is_none_or(|speed| (0..=0xffff).contains(&speed)));
            }
        }
    }
}
