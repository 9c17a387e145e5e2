//! What one run of a row found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The counts of the ledger, and what did not hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Found {
    /// Rows that were told to be stored and are not there, nor declared lost by their source.
    pub(super) lost: u64,
    /// Keys that stand in the store more than once.
    pub(super) duplicate: u64,
    /// Rows that nobody sent, or not with this content; values shown that nobody sent.
    pub(super) ghost: u64,
    /// Holes that a viewer was not told of.
    pub(super) gap: u64,
    /// Rows in the store at the end.
    pub(super) rows: u64,
    /// From the end of the fault until everything numbered before it was stored.
    pub(super) recovery_ms: Option<u64>,
    /// From the fault until every gateway and phone was back.
    pub(super) sessions_ms: Option<u64>,
    /// Other figures of the row, by name.
    pub(super) figures: Map<String, Value>,
    /// What did not hold, in words.
    pub(super) failures: Vec<String>,
    /// Why the row could not run here; then nothing else is said.
    pub(super) skipped: Option<String>,
}

impl Found {
    /// A row that cannot run here.
    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self { skipped: Some(reason.into()), ..Self::default() }
    }

    /// Something that must hold.
    pub(super) fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(what());
        }
    }

    /// Notes a figure of the row.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// Nothing lost, nothing twice, nothing invented, no hole untold, and every number of the row kept.
    pub(super) fn holds(&self) -> bool {
        self.failures.is_empty() && [self.lost, self.duplicate, self.ghost, self.gap] == [0; 4]
    }
}
