//! Laps: one for each stay at a machine, in order, without a hole between them.

use protocol::Field;

use crate::timeline::{Point, Timeline};

/// A stay at one machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lap {
    /// Place in the workout's machines.
    pub machine: Option<u16>,
    /// First second.
    pub from_s: i64,
    /// Where the next lap begins, or the last second.
    pub to_s: i64,
    /// Metres.
    pub distance_m: u64,
    /// Kilocalories.
    pub energy_kcal: u64,
    /// Climbed and descended, 0.1 m.
    pub climbed_dm: (u64, u64),
    /// Sum, count and largest of the heart rates of its seconds.
    pub heart_rate: Mean,
    /// The same of power.
    pub power: Mean,
    /// The same of speed, 0.01 km/h.
    pub speed: Mean,
}

/// Sum, count and largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mean {
    sum: i64,
    count: i64,
    max: i32,
}

impl Mean {
    /// Of values that somebody else added up.
    pub(crate) fn new(sum: i64, count: u64, max: i32) -> Self {
        Self { sum, count: i64::try_from(count).unwrap_or(i64::MAX), max }
    }

    fn push(&mut self, value: i32) {
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.sum += i64::from(value);
        self.count += 1;
    }

    /// Rounded average and largest value; none where there was no value.
    pub(crate) fn avg_max(&self) -> Option<(i32, i32)> {
        let avg = (self.sum as f64 / self.count as f64).round() as i32;
        (self.count > 0).then_some((avg, self.max))
    }
}

impl Lap {
    fn take(&mut self, point: &Point) {
        self.distance_m += u64::from(point.distance_m);
        self.energy_kcal += u64::from(point.energy_kcal);
        self.climbed_dm.0 += u64::from(point.climbed_dm.0);
        self.climbed_dm.1 += u64::from(point.climbed_dm.1);
        for (field, mean) in [(Field::HeartRate, &mut self.heart_rate), (Field::Power, &mut self.power), (Field::Speed, &mut self.speed)] {
            if let Some(value) = point.reading.get(field) {
                mean.push(value);
            }
        }
    }
}

/// The laps of a timeline. What was said before the first machine belongs to its lap; without any machine there is one lap.
pub(crate) fn laps(timeline: &Timeline) -> Vec<Lap> {
    let mut laps: Vec<Lap> = Vec::new();
    for (second, point) in timeline.points() {
        let changed = match (laps.last(), point.machine) {
            (None, _) => true,
            (Some(lap), Some(machine)) => lap.machine.is_some_and(|here| here != machine),
            (Some(_), None) => false,
        };
        if changed {
            if let Some(before) = laps.last_mut() {
                before.to_s = second;
            }
            laps.push(Lap { from_s: second, ..Lap::default() });
        }
        if let Some(lap) = laps.last_mut() {
            lap.machine = lap.machine.or(point.machine);
            lap.to_s = second;
            lap.take(point);
        }
    }
    laps
}

#[cfg(test)]
mod tests {
    use protocol::Reading;

    use super::*;
    use crate::timeline::Origin;

    #[test]
    fn each_change_of_machine_is_a_lap_and_a_pause_at_the_same_one_is_not() {
        let mut timeline = Timeline::default();
        let heard = [(10, None), (11, Some(0)), (12, Some(0)), (300, Some(0)), (400, Some(1)), (401, None), (500, Some(0))];
        for (second, machine) in heard {
            let origin = Origin { source: machine.map_or(9, u32::from), boot: 1, machine, counts: true };
            let mut reading = Reading::new();
            reading.set(Field::Power, 100 + second);
            timeline.add(origin, i64::from(second) * 1000, &reading).unwrap();
        }
        let laps = laps(&timeline);
        let seen: Vec<_> = laps.iter().map(|lap| (lap.machine, lap.from_s, lap.to_s)).collect();
        assert_eq!(seen, [(Some(0), 10, 400), (Some(1), 400, 500), (Some(0), 500, 500)]);
        assert_eq!(laps[1].power.avg_max(), Some((501, 501)));
    }
}
