//! The sources' own record of what they numbered: what must be stored, each once.
//!
//! In: every row as it is made, from the encoder's own list and never from what came back. Out: canonical bytes and their checksum
//! (`docs/LOADTEST.md`), to compare with what a database holds.

use std::collections::BTreeMap;

use protocol::frame::{RepDetail, SetDetail, StrokeDetail};
use protocol::text::Text;
use protocol::{MachineId, Reading};
use sha2::{Digest as _, Sha256};

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A reading.
    Reading(Reading),
    /// A repetition.
    Rep(RepDetail),
    /// A set.
    Set(SetDetail),
    /// A stroke.
    Stroke(StrokeDetail),
}

/// One row that must be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The machine.
    pub machine: MachineId,
    /// Which sensor.
    pub sensor: Text<32>,
    /// The run.
    pub boot: u32,
    /// Its number; the first part's for a split record.
    pub seq: u32,
    /// How many numbers after it belong to the same record.
    pub absorbed: u32,
    /// Device time.
    pub dev_ms: i64,
    /// What.
    pub said: Said,
}

/// What makes two rows the same one.
pub type Key = (MachineId, Text<32>, u32, u32);

impl Expected {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.machine, self.sensor.clone(), self.boot, self.seq)
    }
}

/// Appends the canonical bytes of a reading: machine (16 bytes), length of the sensor (1) and sensor, then big-endian boot, seq (4
/// each), device time (8), mask (4) and the values (4 each).
pub fn canonical_bytes(machine: MachineId, sensor: &str, boot: u32, seq: u32, dev_ms: i64, mask: u32, values: &[i32], out: &mut Vec<u8>) {
    out.extend_from_slice(machine.0.as_bytes());
    out.push(sensor.len() as u8);
    out.extend_from_slice(sensor.as_bytes());
    out.extend_from_slice(&boot.to_be_bytes());
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&dev_ms.to_be_bytes());
    out.extend_from_slice(&mask.to_be_bytes());
    for value in values {
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// All rows that a gateway made.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    rows: Vec<Expected>,
}

impl Ledger {
    /// Enters a row.
    pub fn enter(&mut self, row: Expected) {
        self.rows.push(row);
    }

    /// Rows in the order in which they were made.
    #[must_use]
    pub fn rows(&self) -> &[Expected] {
        &self.rows
    }

    /// Forgets all rows, for runs that count otherwise.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}

/// Count and SHA-256 of readings in order of their keys.
#[derive(Debug, Clone, Default)]
pub struct Checksum {
    rows: BTreeMap<Key, Vec<u8>>,
}

impl Checksum {
    /// Adds a reading's canonical bytes; false where its key was there already.
    pub fn add(&mut self, key: Key, bytes: Vec<u8>) -> bool {
        self.rows.insert(key, bytes).is_none()
    }

    /// The readings of ledgers.
    #[must_use]
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Expected>) -> Self {
        let mut sum = Self::default();
        for row in rows {
            if let Said::Reading(reading) = &row.said {
                let mut bytes = Vec::with_capacity(80);
                canonical_bytes(row.machine, &row.sensor, row.boot, row.seq, row.dev_ms, reading.mask(), reading.values(), &mut bytes);
                sum.add(row.key(), bytes);
            }
        }
        sum
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// SHA-256 over all canonical bytes in order of machine, sensor, boot, seq; hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hash = Sha256::new();
        for bytes in self.rows.values() {
            hash.update(bytes);
        }
        protocol::text::hex(&hash.finalize())
    }

    /// Keys that are here and not in `other`, and those that are in both with other bytes.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> (Vec<Key>, Vec<Key>) {
        beyond(&self.rows, &other.rows)
    }

    /// Whether there is a reading under a key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.rows.contains_key(key)
    }
}

/// Keys that are here and not there, and those that are in both with something else.
pub(super) fn beyond<V: PartialEq>(here: &BTreeMap<Key, V>, there: &BTreeMap<Key, V>) -> (Vec<Key>, Vec<Key>) {
    let (mut absent, mut differ) = (Vec::new(), Vec::new());
    for (key, value) in here {
        match there.get(key) {
            None => absent.push(key.clone()),
            Some(other) if other != value => differ.push(key.clone()),
            Some(_) => (),
        }
    }
    (absent, differ)
}
