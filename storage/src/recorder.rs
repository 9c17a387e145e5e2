//! The handle that rooms' effects go through: takes rows and facts, never waits, says when it is full.
//!
//! Bounded in rows and in bytes. Full means: the row is not taken, its source is told to hold, and one [`crate::Report::Ready`] follows
//! when half of each queue is free again. Taken does not mean stored.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::model::{Fact, Row};
use crate::options::Options;
use crate::writer::Unflushed;

/// After a drain's deadline the driver still closes its connections.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// The queue is full: the row was not taken and will not be stored unless it is given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue to the database is full: keep the row and give it again after Report::Ready")]
pub struct Full;

/// The queue of facts is full; here is the fact back.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the queue of facts to the database is full: keep the fact and give it again, in order")]
pub struct FactsFull(pub Box<Fact>);

/// Takes rows and facts for the database. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    rows: mpsc::Sender<Row>,
    facts: mpsc::Sender<Fact>,
    shared: Arc<Shared>,
}

/// What the handle and the writer both see.
pub(crate) struct Shared {
    pub(crate) counters: Arc<Counters>,
    pub(crate) bytes_max: usize,
    pub(crate) refused: AtomicBool,
    pub(crate) closing: CancellationToken,
    pub(crate) done: watch::Sender<Option<Unflushed>>,
    drain_by: OnceLock<Instant>,
}

impl Shared {
    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        self.drain_by.get().copied()
    }

    /// Ends when a drain was asked for and its deadline has passed.
    pub(crate) async fn given_up(&self) {
        self.closing.cancelled().await;
        match self.drain_deadline() {
            Some(by) => sleep_until(by).await,
            None => std::future::pending().await,
        }
    }
}

/// The writer's end.
pub(crate) struct Queues {
    pub(crate) rows: mpsc::Receiver<Row>,
    pub(crate) facts: mpsc::Receiver<Fact>,
    pub(crate) shared: Arc<Shared>,
}

pub(crate) fn new(options: &Options, counters: Arc<Counters>) -> (Recorder, Queues) {
    let (rows_in, rows) = mpsc::channel(options.queue_rows);
    let (facts_in, facts) = mpsc::channel(options.queue_facts);
    let shared = Arc::new(Shared {
        counters,
        bytes_max: options.queue_bytes,
        refused: AtomicBool::new(false),
        closing: CancellationToken::new(),
        done: watch::Sender::new(None),
        drain_by: OnceLock::new(),
    });
    (Recorder { rows: rows_in, facts: facts_in, shared: Arc::clone(&shared) }, Queues { rows, facts, shared })
}

impl Recorder {
    /// Queues one row for the next transaction. Rows of one source keep their order.
    ///
    /// # Errors
    /// [`Full`] when the queue holds as many rows or bytes as it may, or the writer is gone: nothing was taken.
    pub fn try_keep(&self, row: Row) -> Result<(), Full> {
        let counters = &self.shared.counters;
        let weight = row.weight();
        let held = counters.queue_bytes.fetch_add(weight, Relaxed);
        counters.queue_rows.fetch_add(1, Relaxed);
        if held + weight > self.shared.bytes_max || self.rows.try_send(row).is_err() {
            counters.queue_bytes.fetch_sub(weight, Relaxed);
            counters.queue_rows.fetch_sub(1, Relaxed);
            return Err(self.turn_away());
        }
        counters.accepted.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Refuses a row while facts that were handed back wait with the caller: it would be stored before the stretch that says whose it is.
    /// [`crate::Report::Ready`] follows as after every refusal, once those facts are given; it comes from the writer, which they wake.
    #[must_use]
    pub fn turn_away(&self) -> Full {
        self.shared.counters.held.fetch_add(1, Relaxed);
        self.shared.refused.store(true, Relaxed);
        Full
    }

    /// Queues one fact. Facts keep their order, and are stored before the rows that the same caller gives after them.
    ///
    /// # Errors
    /// [`FactsFull`] hands the fact back: keep it, and everything after it, and try again; until then refuse rows ([`Recorder::turn_away`]).
    pub fn persist(&self, fact: Fact) -> Result<(), FactsFull> {
        self.shared.counters.queue_facts.fetch_add(1, Relaxed);
        self.facts.try_send(fact).map_err(|error| {
            self.shared.counters.queue_facts.fetch_sub(1, Relaxed);
            let (mpsc::error::TrySendError::Full(fact) | mpsc::error::TrySendError::Closed(fact)) = error;
            FactsFull(Box::new(fact))
        })
    }

    /// Takes nothing more, has everything written that waits, ends the driver; at the deadline it ends with what is left.
    /// Returns what is left: none of it was reported as stored. Safe to drop at await: the drain goes on.
    pub async fn drain(&self, within: Duration) -> Unflushed {
        let by = *self.shared.drain_by.get_or_init(|| Instant::now() + within);
        self.shared.closing.cancel();
        let mut done = self.shared.done.subscribe();
        let left = || {
            let now = self.shared.counters.now();
            Unflushed { rows: now.queue_rows, facts: now.queue_facts }
        };
        // The driver itself stops at `by`; the grace is for saying goodbye to the database.
        match timeout_at(by + DRAIN_GRACE, done.wait_for(Option::is_some)).await {
            Ok(Ok(done)) => done.unwrap_or_default(),
            Ok(Err(_)) | Err(_) => left(),
        }
    }

    /// The same numbers as [`crate::Storage::counters`].
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}
