//! Holds what a store has against what machines numbered: readings, repetitions, sets and strokes, each by key and content.
//!
//! In: a database, the machines' own record. Out: what is lost, twice, invented, or other than it was said. Decides nothing more: what a
//! source declared lost is for whoever asks.

use super::Database;
use crate::gateway::{Checksum, Details, Expected, Key};

/// Keys named in a failure.
const NAMED: usize = 3;

/// How a store and the machines' record differ.
#[derive(Debug, Default)]
pub struct Stored {
    /// Readings in the store.
    pub readings: usize,
    /// Repetitions, sets and strokes in the store.
    pub details: [usize; 3],
    /// Numbered and not in the store.
    pub lost: Vec<Key>,
    /// Keys that stand in it more than once, in one table or in two.
    pub duplicate: u64,
    /// In the store, and numbered by nobody.
    pub ghost: Vec<Key>,
    /// In the store with other content, or as something else.
    pub differ: Vec<Key>,
    /// Checksum of the readings in the store.
    pub checksum: String,
    /// Checksum of the readings that were numbered.
    pub checksum_expected: String,
    /// Readings that were numbered.
    pub expected: usize,
}

impl Stored {
    /// Reads the whole store.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn compare(database: &Database, expected: &[Expected]) -> anyhow::Result<Self> {
        let (wanted, wanted_details) = (Checksum::of(expected), Details::of(expected));
        let (readings, twice) = database.checksum().await?;
        let (details, twice_details) = database.details().await?;
        let both = details.keys().filter(|key| readings.has(key)).count() as u64;
        let ((mut lost, mut differ), (mut ghost, _)) = (wanted.beyond(&readings), readings.beyond(&wanted));
        let ((lost_details, differ_details), (ghost_details, _)) = (wanted_details.beyond(&details), details.beyond(&wanted_details));
        lost.extend(lost_details);
        differ.extend(differ_details);
        ghost.extend(ghost_details);
        Ok(Self {
            readings: readings.count(),
            details: details.counts(),
            lost,
            duplicate: twice + twice_details + both,
            ghost,
            differ,
            checksum: readings.hex(),
            checksum_expected: wanted.hex(),
            expected: wanted.count(),
        })
    }

    /// What is not as it must be, in words.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let first = |keys: &[Key]| format!("{:?}", &keys[..keys.len().min(NAMED)]);
        let mut failures = Vec::new();
        let mut say = |count: usize, what: &str, named: String| {
            if count > 0 {
                failures.push(format!("{count} {what}{named}"));
            }
        };
        say(self.lost.len(), "rows lost, such as ", first(&self.lost));
        say(self.duplicate as usize, "keys stored twice", String::new());
        say(self.ghost.len(), "rows that nobody sent, such as ", first(&self.ghost));
        say(self.differ.len(), "rows with other content, such as ", first(&self.differ));
        failures
    }
}
