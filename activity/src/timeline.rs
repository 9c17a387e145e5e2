//! Readings of several sources as one row a second, as files have them.
//!
//! In: readings, each source's boots in order of seq, sources in any order. Out: points in order of time. Within a second the last value of a
//! field counts; where a machine and the member's own device say the same field, the device's heart rate counts and the machine's everything
//! else. Counters are unwrapped by `protocol::totals`, boot by boot, so that what they add up to is what the sealed totals have.

use std::collections::{BTreeMap, HashMap};

use protocol::totals::Unwrapped;
use protocol::{Field, Reading};

/// Seconds that one file may hold: 55 hours.
pub const POINTS_MAX: usize = 200_000;

/// The workout has readings in more seconds than [`POINTS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("readings in more than {POINTS_MAX} different seconds")]
pub struct TooLong;

/// Where a reading comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Number of the source, any that is not another source's.
    pub source: u32,
    /// Boot of the source.
    pub boot: u32,
    /// Place in the workout's machines; none for a member's own device.
    pub machine: Option<u16>,
    /// Whether its distance and energy are part of the totals.
    pub counts: bool,
}

/// One second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// The last values said in it, machine and own device put together; counters of machines are not among them.
    pub reading: Reading,
    /// The machine in use, where one spoke.
    pub machine: Option<u16>,
    /// Metres covered in it.
    pub distance_m: u32,
    /// Kilocalories spent in it.
    pub energy_kcal: u32,
    /// Climbed and descended in it, 0.1 m.
    pub climbed_dm: (u32, u32),
    /// Whether a counter of distance was heard in it.
    pub has_distance: bool,
    /// Whether a counter of energy was heard in it.
    pub has_energy: bool,
    /// Fields said by a member's own device.
    own_mask: u32,
}

/// What is known of one boot's counters.
#[derive(Default)]
struct Counted {
    distance: Unwrapped,
    energy: Unwrapped,
    climbed: (Unwrapped, Unwrapped),
}

/// Points by second.
#[derive(Default)]
pub struct Timeline {
    points: BTreeMap<i64, Point>,
    boots: HashMap<(u32, u32), Counted>,
}

/// Fields that a file can say; the rest would only take room.
const KEPT: [Field; 9] = [
    Field::Speed,
    Field::Cadence,
    Field::Power,
    Field::HeartRate,
    Field::Incline,
    Field::Resistance,
    Field::StrokeRate,
    Field::StepRate,
    Field::Pace,
];

impl Timeline {
    /// Takes the next reading of a boot.
    ///
    /// # Errors
    /// [`TooLong`]; the reading was not taken.
    pub fn add(&mut self, origin: Origin, at_ms: i64, reading: &Reading) -> Result<(), TooLong> {
        let second = at_ms.div_euclid(1000);
        if self.points.len() >= POINTS_MAX && !self.points.contains_key(&second) {
            return Err(TooLong);
        }
        let point = self.points.entry(second).or_default();
        point.machine = origin.machine.or(point.machine);
        for field in KEPT {
            if let Some(value) = reading.get(field) {
                point.put(field, value, origin.machine.is_none());
            }
        }
        let counted = self.boots.entry((origin.source, origin.boot)).or_default();
        let grown = |counter: &mut Unwrapped, field: Field| reading.get(field).map(|value| rise(counter, value));
        if origin.counts {
            let distance = grown(&mut counted.distance, Field::Distance);
            point.has_distance |= distance.is_some();
            point.distance_m = point.distance_m.saturating_add(distance.unwrap_or(0));
            let energy = grown(&mut counted.energy, Field::Energy);
            point.has_energy |= energy.is_some();
            point.energy_kcal = point.energy_kcal.saturating_add(energy.unwrap_or(0));
        }
        let up = grown(&mut counted.climbed.0, Field::ElevGain).unwrap_or(0);
        let down = grown(&mut counted.climbed.1, Field::ElevLoss).unwrap_or(0);
        point.climbed_dm = (point.climbed_dm.0.saturating_add(up), point.climbed_dm.1.saturating_add(down));
        Ok(())
    }

    /// Seconds since 1970 and what was said in them, in order.
    pub fn points(&self) -> impl Iterator<Item = (i64, &Point)> {
        self.points.iter().map(|(second, point)| (*second, point))
    }

    /// First and last second.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((*self.points.first_key_value()?.0, *self.points.last_key_value()?.0))
    }
}

impl Point {
    /// The better word for a field stays: see the header.
    fn put(&mut self, field: Field, value: i32, own: bool) {
        let taken = self.reading.get(field).is_some();
        let taken_by_own = self.own_mask & field.mask() != 0;
        let own_wins = field == Field::HeartRate;
        if taken && own != taken_by_own && own != own_wins {
            return;
        }
        self.reading.set(field, value);
        if own { self.own_mask |= field.mask() } else { self.own_mask &= !field.mask() }
    }
}

fn rise(counter: &mut Unwrapped, value: i32) -> u32 {
    let before = counter.sum();
    counter.push(value);
    u32::try_from(counter.sum() - before).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(source: u32, machine: Option<u16>) -> Origin {
        Origin { source, boot: 1, machine, counts: machine.is_some() }
    }

    fn reading(values: &[(Field, i32)]) -> Reading {
        let mut reading = Reading::new();
        values.iter().for_each(|&(field, value)| reading.set(field, value));
        reading
    }

    #[test]
    fn a_strap_speaks_for_the_heart_and_the_machine_for_everything_else() {
        for strap_first in [true, false] {
            let mut timeline = Timeline::default();
            let machine = reading(&[(Field::HeartRate, 90), (Field::Power, 200)]);
            let strap = reading(&[(Field::HeartRate, 140), (Field::Power, 1)]);
            let mut parts = [(origin(1, Some(0)), machine), (origin(2, None), strap)];
            if strap_first {
                parts.reverse();
            }
            for (origin, reading) in &parts {
                timeline.add(*origin, 5_400, reading).unwrap();
            }
            let (second, point) = timeline.points().next().unwrap();
            assert_eq!((second, point.machine), (5, Some(0)));
            assert_eq!((point.reading.get(Field::HeartRate), point.reading.get(Field::Power)), (Some(140), Some(200)));
        }
    }

    #[test]
    fn distance_over_machines_is_what_the_totals_have() {
        let mut timeline = Timeline::default();
        for (source, machine, metres) in [(1, Some(0), [100, 150]), (2, Some(1), [0, 70]), (3, None, [0, 900])] {
            for (second, metres) in metres.into_iter().enumerate() {
                let at_ms = (i64::from(source) * 10 + second as i64) * 1000;
                timeline.add(origin(source, machine), at_ms, &reading(&[(Field::Distance, metres)])).unwrap();
            }
        }
        assert_eq!(timeline.points().map(|(_, point)| point.distance_m).sum::<u32>(), 120);
    }

    #[test]
    fn a_workout_of_too_many_seconds_is_refused() {
        let mut timeline = Timeline::default();
        timeline.points.extend((0..POINTS_MAX as i64).map(|second| (second, Point::default())));
        assert_eq!(timeline.add(origin(1, None), -1, &Reading::new()), Err(TooLong));
        assert_eq!(timeline.add(origin(1, None), 999, &Reading::new()), Ok(()));
    }
}
