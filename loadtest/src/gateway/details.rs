//! Repetitions, sets and strokes by their keys: what machines numbered, to hold against what a database has. Pure.

use std::collections::BTreeMap;

use super::ledger::{Expected, Key, Said, beyond};

/// Rows that are no readings, each with its device time.
#[derive(Debug, Clone, Default)]
pub struct Details {
    rows: BTreeMap<Key, (i64, Said)>,
}

impl Details {
    /// Those of ledgers.
    #[must_use]
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Expected>) -> Self {
        let details = rows.into_iter().filter(|row| !matches!(row.said, Said::Reading(_)));
        Self { rows: details.map(|row| (row.key(), (row.dev_ms, row.said.clone()))).collect() }
    }

    /// Adds one; false where its key was there already, under whatever kind.
    pub fn add(&mut self, key: Key, dev_ms: i64, said: Said) -> bool {
        self.rows.insert(key, (dev_ms, said)).is_none()
    }

    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.rows.keys()
    }

    /// How many repetitions, sets and strokes.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (_, said) in self.rows.values() {
            match said {
                Said::Rep(_) => counts[0] += 1,
                Said::Set(_) => counts[1] += 1,
                Said::Stroke(_) => counts[2] += 1,
                Said::Reading(_) => (),
            }
        }
        counts
    }

    /// Keys that are here and not in `other`, and those that are in both with something else.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> (Vec<Key>, Vec<Key>) {
        beyond(&self.rows, &other.rows)
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::StrokeDetail;
    use protocol::text::Text;
    use protocol::{MachineId, Reading};

    use super::*;

    fn row(seq: u32, work_j: u16) -> Expected {
        let stroke = StrokeDetail { stroke: seq, drive_ms: 800, recovery_ms: 0, length_cm: 0, peak_force_n: 0, work_j };
        let machine = MachineId(uuid::Uuid::nil());
        Expected { machine, sensor: Text::cut("ftms"), boot: 1, seq, absorbed: 0, dev_ms: 5, said: Said::Stroke(stroke) }
    }

    #[test]
    fn what_is_absent_and_what_is_another_are_told_apart() {
        let reading = Expected { said: Said::Reading(Reading::new()), ..row(9, 0) };
        let wanted = Details::of(&[row(1, 1), row(2, 2), row(3, 3), reading]);
        let mut later = row(3, 3);
        later.dev_ms += 1;
        let stored = Details::of(&[row(1, 1), row(2, 7), later]);
        let (absent, differ) = wanted.beyond(&stored);
        assert_eq!((absent.len(), differ.len()), (0, 2), "a reading is none of these");
        assert_eq!(wanted.beyond(&Details::default()).0.len(), 3);
        assert_eq!(wanted.counts(), [0, 0, 3]);
        assert!(!Details::of(&[row(1, 1)]).add(row(1, 1).key(), 5, row(1, 1).said));
    }
}
