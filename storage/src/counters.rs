//! Numbers for `/metrics` and `/health`: written by the Recorder and the writer, read by anybody at any time.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Running totals since the node's start, and gauges.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) held: AtomicU64,
    pub(crate) stored: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) facts: AtomicU64,
    pub(crate) facts_refused: AtomicU64,
    pub(crate) queue_rows: AtomicUsize,
    pub(crate) queue_bytes: AtomicUsize,
    pub(crate) queue_facts: AtomicUsize,
    pub(crate) lag_ms: AtomicI64,
    pub(crate) away: AtomicBool,
    pub(crate) packed_samples: AtomicU64,
    pub(crate) packed_bytes: AtomicU64,
    pub(crate) packed_chunks: AtomicU64,
    pub(crate) forgotten_chunks: AtomicU64,
    pub(crate) forgotten_rows: AtomicU64,
    pub(crate) forgotten_partitions: AtomicU64,
    pub(crate) history_failed: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CountersNow {
    /// Rows taken by the Recorder.
    pub accepted: u64,
    /// Rows refused because the queue was full, or facts before them waited for room.
    pub held: u64,
    /// Rows written and committed.
    pub stored: u64,
    /// Rows that were stored before, dropped.
    pub duplicates: u64,
    /// Seqs declared lost by their sources.
    pub lost: u64,
    /// Rows put to quarantine.
    pub quarantined: u64,
    /// Transactions of rows that were committed.
    pub batches: u64,
    /// Transactions tried again.
    pub retries: u64,
    /// Facts committed.
    pub facts: u64,
    /// Facts that the database refused; their text is in `quarantine`.
    pub facts_refused: u64,
    /// Rows waiting now.
    pub queue_rows: usize,
    /// Bytes they hold.
    pub queue_bytes: usize,
    /// Facts waiting now.
    pub queue_facts: usize,
    /// From receiving the oldest row of the last batch to its commit.
    pub lag_ms: i64,
    /// The database does not answer.
    pub away: bool,
    /// Readings packed.
    pub packed_samples: u64,
    /// Bytes of the chunks and minutes that they became.
    pub packed_bytes: u64,
    /// Chunks written.
    pub packed_chunks: u64,
    /// Chunks that went, or lost their readings and kept their minutes.
    pub forgotten_chunks: u64,
    /// Events, quarantined rows, days and keys that went.
    pub forgotten_rows: u64,
    /// Empty partitions that went (Postgres).
    pub forgotten_partitions: u64,
    /// Steps of packing or forgetting that failed for another reason than an absent database.
    pub history_failed: u64,
}

impl Counters {
    /// Reads all of them; not one consistent cut, which metrics do not need.
    #[must_use]
    pub fn now(&self) -> CountersNow {
        CountersNow {
            accepted: self.accepted.load(Relaxed),
            held: self.held.load(Relaxed),
            stored: self.stored.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            lost: self.lost.load(Relaxed),
            quarantined: self.quarantined.load(Relaxed),
            batches: self.batches.load(Relaxed),
            retries: self.retries.load(Relaxed),
            facts: self.facts.load(Relaxed),
            facts_refused: self.facts_refused.load(Relaxed),
            queue_rows: self.queue_rows.load(Relaxed),
            queue_bytes: self.queue_bytes.load(Relaxed),
            queue_facts: self.queue_facts.load(Relaxed),
            lag_ms: self.lag_ms.load(Relaxed),
            away: self.away.load(Relaxed),
            packed_samples: self.packed_samples.load(Relaxed),
            packed_bytes: self.packed_bytes.load(Relaxed),
            packed_chunks: self.packed_chunks.load(Relaxed),
            forgotten_chunks: self.forgotten_chunks.load(Relaxed),
            forgotten_rows: self.forgotten_rows.load(Relaxed),
            forgotten_partitions: self.forgotten_partitions.load(Relaxed),
            history_failed: self.history_failed.load(Relaxed),
        }
    }
}
