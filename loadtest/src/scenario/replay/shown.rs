//! What a phone was shown of one workout, value by value, to hold against what the machine numbered. Pure.
//!
//! In: sources as the room names them, live values, the last minutes of a snapshot. Out: what no machine numbered, or not with this content. A viewer may be
//! shown fewer fields than a reading has; never others.

use std::collections::{BTreeMap, HashMap};

use protocol::frame::{Live, RingColumns, RoomSource};
use protocol::{MachineId, Reading};

use crate::gateway::{Expected, Said};

/// Machine, boot and seq: what names a value without its sensor.
type Number = (MachineId, u32, u32);

/// Every value that was shown.
#[derive(Debug, Default)]
pub(in crate::scenario) struct Shown {
    /// Machine and boot by the room's index.
    sources: HashMap<u16, (MachineId, u32)>,
    values: Vec<(Number, Option<i64>, Reading)>,
    /// Values of a source that the room had not named, and stretches that are none.
    unnamed: u64,
}

impl Shown {
    /// The room is another one, or tells its sources anew.
    pub(in crate::scenario) fn begin(&mut self, sources: &[RoomSource]) {
        self.sources.clear();
        sources.iter().for_each(|source| self.source(source));
    }

    /// A source of the room.
    pub(in crate::scenario) fn source(&mut self, source: &RoomSource) {
        if let Some(machine) = source.machine {
            self.sources.insert(source.source, (machine, source.boot));
        }
    }

    /// The boot of a source of the room.
    pub(in crate::scenario) fn boot_of(&self, source: u16) -> Option<u32> {
        self.sources.get(&source).map(|(_, boot)| *boot)
    }

    /// A live value.
    pub(in crate::scenario) fn live(&mut self, live: &Live) {
        self.value(live.source, live.seq, None, live.reading.clone());
    }

    /// The last minutes, as a snapshot tells them.
    pub(in crate::scenario) fn ring(&mut self, ring: &[RingColumns]) {
        for stretch in ring {
            // What cannot be unpacked is counted with what nobody named.
            let Ok(rows) = stretch.columns.unpack() else {
                self.unnamed += 1;
                continue;
            };
            for (seq, dev_ms, reading) in rows {
                self.value(stretch.source, seq, Some(dev_ms), reading);
            }
        }
    }

    fn value(&mut self, source: u16, seq: u32, dev_ms: Option<i64>, reading: Reading) {
        match self.sources.get(&source) {
            Some(&(machine, boot)) => self.values.push(((machine, boot, seq), dev_ms, reading)),
            None => self.unnamed += 1,
        }
    }

    /// Values that were not numbered so; the keys in `besides` are in no ledger and may be shown.
    pub(in crate::scenario) fn invented(&self, numbered: &Numbered<'_>, besides: impl Fn(Number) -> bool) -> Vec<Number> {
        let strange = self.values.iter().filter(|(number, dev_ms, reading)| !numbered.has(*number, *dev_ms, reading) && !besides(*number));
        strange.map(|(number, ..)| *number).collect()
    }

    /// Values of sources that the room had not named, and stretches that are none.
    pub(in crate::scenario) const fn unnamed(&self) -> u64 {
        self.unnamed
    }
}

/// Readings of ledgers by their numbers.
pub(in crate::scenario) struct Numbered<'a>(BTreeMap<Number, &'a Expected>);

impl<'a> Numbered<'a> {
    pub(in crate::scenario) fn of(expected: &'a [Expected]) -> Self {
        Self(expected.iter().map(|row| ((row.machine, row.boot, row.seq), row)).collect())
    }

    /// Whether a reading with these values has this number, or begins before it and ends at it or later.
    fn has(&self, number: Number, dev_ms: Option<i64>, shown: &Reading) -> bool {
        let Some((first, row)) = self.0.range(..=number).next_back() else { return false };
        let (Said::Reading(said), true) = (&row.said, (first.0, first.1) == (number.0, number.1)) else { return false };
        let covers = number.2 - first.2 <= row.absorbed;
        let same = shown.iter().all(|(field, value)| said.get(field) == Some(value));
        covers && same && dev_ms.is_none_or(|dev_ms| dev_ms == row.dev_ms)
    }
}

#[cfg(test)]
mod tests {
    use protocol::Field;
    use protocol::text::Text;

    use super::*;

    fn reading(power_w: i32) -> Reading {
        let mut reading = Reading::new();
        reading.set(Field::Power, power_w);
        reading
    }

    #[test]
    fn a_value_under_another_number_boot_or_content_was_invented() {
        let machine = MachineId(uuid::Uuid::nil());
        let row = |seq, power_w| {
            let mut said = reading(power_w);
            said.set(Field::HeartRate, 120);
            Expected { machine, sensor: Text::cut("ftms"), boot: 1, seq, absorbed: 1, dev_ms: 5, said: Said::Reading(said) }
        };
        let expected = [row(1, 100), row(3, 200)];
        let numbered = Numbered::of(&expected);
        let invented = |boot, seq, power_w| {
            let mut shown = Shown::default();
            shown.begin(&[RoomSource { source: 0, machine: Some(machine), sensor: Text::cut("ftms"), boot, workout: None }]);
            shown.live(&Live { handle: 1, source: 0, seq, age_ms: 0, reading: reading(power_w) });
            shown.invented(&numbered, |_| false).len()
        };
        assert_eq!((invented(1, 1, 100), invented(1, 2, 100), invented(1, 3, 200)), (0, 0, 0), "fewer fields, either part");
        assert_eq!((invented(1, 3, 100), invented(2, 1, 100), invented(1, 5, 200)), (1, 1, 1));
    }
}
