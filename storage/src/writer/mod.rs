//! The one task that writes what rooms decide: gathers, commits, reports.
//!
//! In: the Recorder's queues. Out: rows and facts in the database, [`Report`]s after the commit. Owns the writing connection and drops it
//! at the first doubt: a batch whose commit is unknown is simply written again, the ranges make that harmless. Memory is bounded by
//! the queues plus one batch. Does not look into readings beyond their bounds.

mod apart;
pub(crate) mod batch;
mod boots;
mod copy;
mod erased;
pub(crate) mod facts;
mod insert;
mod late;
pub(crate) mod months;
mod plan;
mod sources;
mod sums;
mod suspects;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::Instrument as _;

pub(crate) use self::boots::Known;
pub(crate) use self::insert::{Care, Kind};
pub(crate) use self::sources::{key_of, parts as key_parts};
use self::sums::{AddUp, Sums};
use crate::counters::Counters;
use crate::db::{Address, Db, Wire};
use crate::error::StoreError;
use crate::history::History;
use crate::model::{Fact, Report, Row};
use crate::open::now_ms;
use crate::options::Options;
use crate::recorder::{Queues, Shared};

/// While a batch fills, the queue is looked at this often: often enough for a full batch, seldom enough to cost nothing.
const FILL_LOOK: Duration = Duration::from_millis(5);
/// First pause after a failed try; doubles up to `retry_max`.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Facts in one transaction at most.
const FACTS_MAX: usize = 512;

/// What was left when the driver ended; nothing of it was reported as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unflushed {
    /// Rows.
    pub rows: usize,
    /// Facts.
    pub facts: usize,
}

/// The writer, the adder of totals, and what packs and forgets. Run it as one task; it ends after [`crate::Recorder::drain`] or when all handles are gone.
pub struct Driver {
    writer: Writer,
    sums: Sums,
    history: History,
    sums_in: mpsc::Sender<AddUp>,
    shared: Arc<Shared>,
}

impl Driver {
    pub(crate) fn new(
        options: Options,
        address: Address,
        db: Db,
        queues: Queues,
        reports: mpsc::Sender<Report>,
        counters: Arc<Counters>,
    ) -> Self {
        let (sums_in, asked) = mpsc::channel(options.queue_facts);
        let shared = Arc::clone(&queues.shared);
        let history = History::new(db.clone(), &options, Arc::clone(&shared));
        let sums = Sums::new(db.clone(), asked, reports.clone(), &options, Arc::clone(&shared));
        Self { writer: Writer::new(options, address, queues, reports, counters), sums, history, sums_in, shared }
    }

    /// Writes until drained. Not to be dropped half-way: a dropped driver loses what was accepted and not stored (which its sources still
    /// have, since they heard no `stored`).
    pub async fn run(self) -> Unflushed {
        let Self { mut writer, sums, history, sums_in, shared } = self;
        let write = async move {
            let left = writer.run(&sums_in).await;
            if let Some(wire) = writer.wire.take() {
                wire.close().await;
            }
            left
        };
        let (left, db, ()) = tokio::join!(write, sums.run(), history.run());
        db.close().await;
        shared.done.send_replace(Some(left));
        left
    }
}

pub(crate) struct Writer {
    options: Options,
    address: Address,
    queues: Queues,
    reports: mpsc::Sender<Report>,
    counters: Arc<Counters>,
    wire: Option<Wire>,
    known: Known,
    away: bool,
    /// What waited while the database was away is not written yet.
    backlog: bool,
    not_before: Instant,
}

/// The drain's deadline passed before the database took it.
struct GaveUp;

impl Writer {
    fn new(options: Options, address: Address, queues: Queues, reports: mpsc::Sender<Report>, counters: Arc<Counters>) -> Self {
        let (known, not_before) = (Known::default(), Instant::now());
        Self { options, address, queues, reports, counters, wire: None, known, away: false, backlog: false, not_before }
    }

    async fn run(&mut self, sums: &mpsc::Sender<AddUp>) -> Unflushed {
        let (mut rows, mut facts) = (Vec::new(), Vec::new());
        while self.gather(&mut rows, &mut facts).await {
            let written = async {
                self.write_facts_before(&rows, &mut facts, sums).await?;
                self.write_rows(&rows).await?;
                rows.clear();
                Ok::<_, GaveUp>(())
            };
            if written.await.is_err() {
                break;
            }
            self.tell_room().await;
        }
        Unflushed { rows: rows.len() + self.queues.rows.len(), facts: facts.len() + self.queues.facts.len() }
    }

    /// Waits for work, then for more of it, and takes it. False when there will be none.
    async fn gather(&mut self, rows: &mut Vec<Row>, facts: &mut Vec<Fact>) -> bool {
        let closing = self.queues.shared.closing.clone();
        if closing.is_cancelled() {
            self.queues.rows.close();
            self.queues.facts.close();
        }
        tokio::select! {
            biased;
            taken = self.queues.rows.recv_many(rows, 1) => if taken == 0 && self.queues.facts.is_empty() { return false },
            taken = self.queues.facts.recv_many(facts, 1) => if taken == 0 && self.queues.rows.is_empty() { return false },
            () = closing.cancelled(), if !closing.is_cancelled() => {}
        }
        let full_at = Instant::now() + self.options.batch_wait;
        // Rows are turned away while facts are owed: then there is nothing to wait for.
        let is_full =
            |queues: &Queues| rows.len() + queues.rows.len() >= self.options.batch_rows || facts.len() + queues.facts.len() >= FACTS_MAX;
        while !is_full(&self.queues) && Instant::now() < full_at && !closing.is_cancelled() {
            sleep(FILL_LOOK.min(self.options.batch_wait)).await;
        }
        sleep_until(self.not_before).await;
        take(&mut self.queues.rows, rows, self.options.batch_rows);
        take(&mut self.queues.facts, facts, FACTS_MAX);
        let weight: usize = rows.iter().map(Row::weight).sum();
        self.counters.queue_rows.fetch_sub(rows.len(), Relaxed);
        self.counters.queue_bytes.fetch_sub(weight, Relaxed);
        self.counters.queue_facts.fetch_sub(facts.len(), Relaxed);
        self.not_before = Instant::now() + self.pause_after(rows.len());
        true
    }

    /// What keeps the writer under its rate. A backlog is over when a batch left nothing behind.
    fn pause_after(&mut self, rows: usize) -> Duration {
        self.backlog = self.backlog && (self.away || !self.queues.rows.is_empty());
        let rate = if self.backlog { self.options.drain_rows_per_s.min(self.options.rows_per_s_max) } else { self.options.rows_per_s_max };
        Duration::from_secs(1).mul_f64(rows as f64 / f64::from(rate.max(1)))
    }

    async fn write_rows(&mut self, rows: &[Row]) -> Result<(), GaveUp> {
        if rows.is_empty() {
            return Ok(());
        }
        match self.until_answered(rows).await? {
            Ok(()) => Ok(()),
            Err(why) => {
                tracing::warn!(why, "a batch was refused: writing it in parts");
                self.write_apart(rows).await
            }
        }
    }

    /// Tries until the database takes these rows, or refuses something of them: then why.
    async fn until_answered(&mut self, rows: &[Row]) -> Result<Result<(), String>, GaveUp> {
        let mut pause = RETRY_FIRST;
        let outcome = loop {
            let span = tracing::info_span!(target: crate::TRACED, "store.batch", rows = rows.len(), committed = tracing::field::Empty);
            let tried = self.try_rows(rows).instrument(span.clone()).await;
            span.record("committed", tried.is_ok());
            drop(span);
            match tried {
                Ok(outcome) => break outcome,
                Err(StoreError::Refused { operation, source }) => return Ok(Err(format!("{operation}: {source}"))),
                Err(error) => self.failed("a batch of rows", &error, &mut pause).await?,
            }
        };
        self.came_back().await;
        self.count(rows, &outcome);
        for report in outcome.into_reports() {
            self.report(report).await;
        }
        Ok(Ok(()))
    }

    async fn try_rows(&mut self, rows: &[Row]) -> Result<plan::Outcome, StoreError> {
        if !self.address.is_postgres() {
            match self.try_with(rows, Care::Whole).await {
                Err(StoreError::Refused { .. }) => {}
                other => return other,
            }
        }
        self.try_with(rows, Care::Row).await
    }

    async fn try_with(&mut self, rows: &[Row], care: Care) -> Result<plan::Outcome, StoreError> {
        let mut wire = self.take_wire().await?;
        let outcome = batch::write(&mut wire, &mut self.known, rows, care).await?;
        self.wire = Some(wire);
        Ok(outcome)
    }

    /// Writes these facts and, a transaction at a time, all others that were queued when the rows were taken: a row must not be stored before the
    /// stretch that says whose it is. What is queued meanwhile is none of these rows' and waits, so there is an end to it.
    async fn write_facts_before(&mut self, rows: &[Row], facts: &mut Vec<Fact>, sums: &mpsc::Sender<AddUp>) -> Result<(), GaveUp> {
        let mut waiting = if rows.is_empty() { 0 } else { self.queues.facts.len() };
        loop {
            self.write_facts(facts, sums).await?;
            facts.clear();
            if waiting == 0 {
                return Ok(());
            }
            take(&mut self.queues.facts, facts, waiting.min(FACTS_MAX));
            self.counters.queue_facts.fetch_sub(facts.len(), Relaxed);
            waiting = waiting.saturating_sub(FACTS_MAX);
        }
    }

    async fn write_facts(&mut self, facts: &[Fact], sums: &mpsc::Sender<AddUp>) -> Result<(), GaveUp> {
        if facts.is_empty() {
            return Ok(());
        }
        let mut pause = RETRY_FIRST;
        loop {
            let span = tracing::info_span!(target: crate::TRACED, "store.facts", facts = facts.len(), committed = tracing::field::Empty);
            let tried = self.try_facts(facts).instrument(span.clone()).await;
            span.record("committed", tried.is_ok());
            drop(span);
            match tried {
                Ok(refused) => {
                    self.counters.facts.fetch_add((facts.len() - refused) as u64, Relaxed);
                    self.counters.facts_refused.fetch_add(refused as u64, Relaxed);
                    break;
                }
                Err(error) => self.failed("a batch of facts", &error, &mut pause).await?,
            }
        }
        self.came_back().await;
        for fact in facts {
            if let Fact::AddUp { workout, revision } = *fact {
                // The adder lives as long as this loop: an error would mean that it panicked, and then the join ends us too.
                sums.send(AddUp { workout, revision }).await.ok();
            }
        }
        Ok(())
    }

    async fn try_facts(&mut self, facts: &[Fact]) -> Result<usize, StoreError> {
        let mut wire = self.take_wire().await?;
        match facts::write_all(&mut wire, &mut self.known, facts).await {
            Ok(()) => {
                self.wire = Some(wire);
                Ok(0)
            }
            Err(StoreError::Refused { operation, source }) => {
                tracing::warn!(operation, error = %source, "a fact was refused: writing them one by one");
                let mut wire = self
                    .address
                    .wire(self.options.connect_deadline, self.options.write_deadline)
                    .await
                    .map_err(|source| StoreError::Away { operation, source })?;
                let refused = facts::write_each(&mut wire, &mut self.known, facts).await?;
                self.wire = Some(wire);
                Ok(refused)
            }
            Err(error) => Err(error),
        }
    }

    /// The connection, taken out: whoever fails does not put it back.
    async fn take_wire(&mut self) -> Result<Wire, StoreError> {
        const DO: &str = "connect the writer";
        if let Some(wire) = self.wire.take() {
            return Ok(wire);
        }
        self.known.clear();
        let mut wire = self
            .address
            .wire(self.options.connect_deadline, self.options.write_deadline)
            .await
            .map_err(|source| StoreError::Away { operation: DO, source })?;
        wire.prefer_indexes().await?;
        Ok(wire)
    }

    /// Notes a failure and pauses. Ends only when a drain's deadline has passed.
    async fn failed(&mut self, what: &'static str, error: &StoreError, pause: &mut Duration) -> Result<(), GaveUp> {
        self.counters.retries.fetch_add(1, Relaxed);
        if !self.away {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "{what} was not stored: it is kept and tried again");
            (self.away, self.backlog) = (true, true);
            self.counters.away.store(true, Relaxed);
            self.report(Report::Away).await;
        }
        let shared = Arc::clone(&self.queues.shared);
        let wake = Instant::now() + *pause;
        *pause = (*pause * 2).min(self.options.retry_max);
        tokio::select! {
            () = sleep_until(wake) => Ok(()),
            () = shared.given_up() => Err(GaveUp),
        }
    }

    async fn came_back(&mut self) {
        if self.away {
            self.away = false;
            self.counters.away.store(false, Relaxed);
            tracing::info!("the database takes rows again");
            self.report(Report::Back).await;
        }
    }

    /// Tells once that there is room again, when half of each queue is free; while facts fill theirs, more wait outside, and their rows with them.
    async fn tell_room(&mut self) {
        let room = self.counters.queue_rows.load(Relaxed) <= self.options.queue_rows / 2
            && self.counters.queue_facts.load(Relaxed) <= self.options.queue_facts / 2
            && self.counters.queue_bytes.load(Relaxed) <= self.options.queue_bytes / 2;
        if room && self.queues.shared.refused.swap(false, Relaxed) {
            self.report(Report::Ready).await;
        }
    }

    /// A hub that no longer listens is going down: the rows are stored all the same.
    async fn report(&self, report: Report) {
        let by = self.queues.shared.drain_deadline();
        match by {
            Some(by) => timeout_at(by, self.reports.send(report)).await.map_or((), |sent| sent.unwrap_or(())),
            None => self.reports.send(report).await.unwrap_or(()),
        }
    }

    fn count(&self, rows: &[Row], outcome: &plan::Outcome) {
        let counters = &self.counters;
        counters.batches.fetch_add(1, Relaxed);
        counters.stored.fetch_add(outcome.stored, Relaxed);
        counters.duplicates.fetch_add(outcome.duplicates, Relaxed);
        counters.lost.fetch_add(outcome.lost, Relaxed);
        counters.quarantined.fetch_add(outcome.quarantined, Relaxed);
        let oldest = rows.iter().map(|row| row.received_at_ms).min().unwrap_or_default();
        counters.lag_ms.store((now_ms() - oldest).max(0), Relaxed);
    }
}

fn take<T>(queue: &mut mpsc::Receiver<T>, into: &mut Vec<T>, most: usize) {
    while into.len() < most {
        let Ok(item) = queue.try_recv() else { break };
        into.push(item);
    }
}
