//! The long run: packs what is sealed, adds up days, forgets what may be forgotten. One slow loop beside the writer.
//!
//! In: the database as rooms and sources left it. Out: chunks of packed readings, days, free space. Each step is one bounded transaction that
//! is right at any time and changes nothing when it is repeated, so that a kill at any instant leaves nothing half done and several
//! nodes may work at once. It rests as long as it worked, so that it takes at most half of a connection. Does not decide what is stored: the rows of `boots` do.

mod days;
mod due;
mod forget;
pub(crate) mod pack;
pub(crate) mod read;
pub(crate) mod rollup;
mod zone;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::db::Db;
use crate::error::StoreError;
use crate::open::now_ms;
use crate::options::{History as Rules, Options};
use crate::recorder::Shared;

pub(crate) use self::days::other_days;
pub(crate) use self::zone::Zone;

/// A step that worked is followed by a rest of at least this.
const REST_MIN: Duration = Duration::from_millis(2);

/// The loop.
pub(crate) struct History {
    db: Db,
    rules: Rules,
    shared: Arc<Shared>,
    /// Where the walk over boots with raw rows stands; none between two walks.
    walk: Option<due::Walk>,
    walked_at: Option<Instant>,
    /// Since when the schema is one that older binaries do not read whole; packing waits as long after it as after a seal.
    since_at_ms: Option<i64>,
    told_older: bool,
    /// When nothing was found to forget; the first look is a while after the start.
    forgot_at: Option<Instant>,
}

impl History {
    pub(crate) fn new(db: Db, options: &Options, shared: Arc<Shared>) -> Self {
        Self {
            db,
            rules: options.history.clone(),
            shared,
            walk: None,
            walked_at: None,
            since_at_ms: None,
            told_older: false,
            forgot_at: Some(Instant::now()),
        }
    }

    /// Until a drain is asked for. A step under way is dropped then: its transaction is taken back.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shared.closing.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        loop {
            let began = Instant::now();
            let rest = match self.step().await {
                Ok(true) => began.elapsed().max(REST_MIN),
                Ok(false) => self.rules.look_every,
                Err(error) => {
                    if !error.is_away() {
                        self.shared.counters.history_failed.fetch_add(1, Relaxed);
                        tracing::warn!(error = &error as &dyn std::error::Error, "a step of packing failed: tried again at the next look");
                    }
                    self.rules.look_every
                }
            };
            sleep(rest).await;
        }
    }

    /// One step of each kind of work; whether any found something to do.
    async fn step(&mut self) -> Result<bool, StoreError> {
        let mut busy = days::step(&self.db).await?;
        busy |= self.pack_sealed().await?;
        busy |= self.pack_loose().await?;
        busy |= self.forget().await?;
        Ok(busy)
    }

    /// Packs workouts that were sealed long enough ago.
    async fn pack_sealed(&mut self) -> Result<bool, StoreError> {
        let Some(before) = self.packing_before(self.rules.pack_after).await? else { return Ok(false) };
        let found = due::sealed(&self.db, before).await?;
        for due in &found {
            for span in &due.spans {
                let mut from_seq = Some(span.from_seq);
                while let Some(from) = from_seq {
                    from_seq = self.pack(pack::Span { from_seq: from, ..*span }, i64::MAX).await?.filter(|&next| next <= span.to_seq);
                }
            }
            due::packed(&self.db, due).await?;
        }
        Ok(!found.is_empty())
    }

    /// Packs readings of whole days that belong to no workout, or to one that never sealed.
    async fn pack_loose(&mut self) -> Result<bool, StoreError> {
        let Some(before) = self.packing_before(self.rules.loose_after).await? else { return Ok(false) };
        let before = before - before.rem_euclid(pack::DAY_MS);
        if self.walk.is_none() && self.walked_at.is_some_and(|at| at.elapsed() < self.rules.walk_every) {
            return Ok(false);
        }
        let (span, next) = match due::loose(&self.db, self.walk.unwrap_or_default(), before).await? {
            due::Found::Rows(span, next) => (span, next),
            due::Found::Nothing(next) => {
                self.walk = Some(next);
                return Ok(true);
            }
            due::Found::End => {
                (self.walk, self.walked_at) = (None, Some(Instant::now()));
                return Ok(false);
            }
        };
        // The same boot again until it has nothing left; then the next.
        self.walk = Some(match self.pack(span, before).await? {
            Some(from_seq) => due::Walk { source: span.source, boot: span.boot, from_seq },
            None => next,
        });
        Ok(true)
    }

    /// One transaction, and a rest as long. Returns where to go on.
    async fn pack(&mut self, span: pack::Span, before_at_ms: i64) -> Result<Option<u32>, StoreError> {
        let began = Instant::now();
        let Some(packed) = pack::span(&self.db, span, before_at_ms).await? else { return Ok(None) };
        let counters = &self.shared.counters;
        counters.packed_samples.fetch_add(packed.samples, Relaxed);
        counters.packed_bytes.fetch_add(packed.bytes, Relaxed);
        counters.packed_chunks.fetch_add(packed.chunks, Relaxed);
        if !std::mem::replace(&mut self.told_older, true) {
            // From the first chunk on a binary that reads raw rows only would read too little.
            let sql = "update schema_versions set agrees = 2 where version = 2 and agrees < 2";
            self.db.execute("tell older binaries", sql, &[]).await?;
        }
        sleep(began.elapsed().max(REST_MIN)).await;
        Ok(packed.next_seq)
    }

    /// What is older than this may be packed: never within the same time after the migration, while an older binary may still run beside.
    async fn packing_before(&mut self, after: Option<Duration>) -> Result<Option<i64>, StoreError> {
        const DO: &str = "read since when the schema packs";
        let Some(after_ms) = after.map(millis) else { return Ok(None) };
        let since_at_ms = match self.since_at_ms {
            Some(since) => since,
            None => {
                let row = self.db.fetch_one(DO, "select at_ms from schema_versions where version = 2", &[]).await?;
                row.map_or(Ok(i64::MAX), |row| row.get(DO, 0))?
            }
        };
        self.since_at_ms = Some(since_at_ms);
        let before = now_ms().saturating_sub(after_ms);
        Ok((before >= since_at_ms).then_some(before))
    }

    /// Looks at most once in a while whether something may be forgotten, and then does it step by step.
    async fn forget(&mut self) -> Result<bool, StoreError> {
        if self.forgot_at.is_some_and(|at| at.elapsed() < self.rules.forget_every) {
            return Ok(false);
        }
        let forgotten = forget::step(&self.db, &self.rules, now_ms()).await?;
        let counters = &self.shared.counters;
        counters.forgotten_chunks.fetch_add(forgotten.chunks, Relaxed);
        counters.forgotten_rows.fetch_add(forgotten.rows, Relaxed);
        counters.forgotten_partitions.fetch_add(forgotten.partitions, Relaxed);
        let any = forgotten != forget::Forgotten::default();
        if !any {
            self.forgot_at = Some(Instant::now());
        }
        Ok(any)
    }
}

pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
