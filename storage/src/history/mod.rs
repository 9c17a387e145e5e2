//! The long run: packs what is sealed, adds up days, forgets what may be forgotten. One slow loop beside the writer.
//!
//! In: the database as rooms and sources left it. Out: chunks of packed readings, days, free space. Each step is one bounded transaction that
//! is right at any time and changes nothing when it is repeated, so that a kill at any instant leaves nothing half done and several
//! nodes may work at once. It rests as long as it worked, so that it takes at most half of a connection. What fails is noted, counted and left alone
//! for a while: it holds up nothing else. Does not decide what is stored: the rows of `boots` do.

mod days;
mod due;
mod forget;
pub(crate) mod pack;
pub(crate) mod read;
pub(crate) mod rollup;
mod zone;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::WorkoutId;
use tokio::time::{Instant, sleep};

use crate::db::Db;
use crate::error::StoreError;
use crate::open::now_ms;
use crate::options::{History as Rules, Options};
use crate::recorder::Shared;

pub(crate) use self::days::other_days;
pub(crate) use self::zone::Zone;
pub use self::zone::is_time_zone;

/// A step that worked is followed by a rest of at least this.
const REST_MIN: Duration = Duration::from_millis(2);

/// A workout that cannot be packed or added up is left alone so long.
const PUT_OFF: Duration = Duration::from_secs(3_600);
/// So many of them are remembered; others are tried at each look.
const PUT_OFF_MAX: usize = 1_024;
/// Before every workout.
const FIRST: WorkoutId = WorkoutId(uuid::Uuid::nil());

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Days,
    Sealed,
    Loose,
    Forget,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Days => "adding up days",
            Self::Sealed => "packing of sealed workouts",
            Self::Loose => "packing of other readings",
            Self::Forget => "forgetting",
        }
    }
}

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
    older: pack::Older,
    /// Days and packing go through the workouts in order of their ids, a few at a time: here they stand.
    days_behind: WorkoutId,
    sealed_behind: WorkoutId,
    /// Workouts that failed, until when they are left alone.
    put_off: BTreeMap<(Kind, WorkoutId), Instant>,
    /// When each kind of work failed last.
    failed_at: [Option<Instant>; 4],
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
            older: pack::Older::Untold,
            days_behind: FIRST,
            sealed_behind: FIRST,
            put_off: BTreeMap::new(),
            failed_at: [None; 4],
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
            let busy = self.step().await;
            sleep(if busy { began.elapsed().max(REST_MIN) } else { self.rules.look_every }).await;
        }
    }

    /// One step of each kind of work; whether any found something to do. A kind that failed rests until the next look, and holds up no other.
    async fn step(&mut self) -> bool {
        let mut busy = false;
        for kind in [Kind::Days, Kind::Sealed, Kind::Loose, Kind::Forget] {
            if self.failed_at[kind as usize].is_some_and(|at| at.elapsed() < self.rules.look_every) {
                continue;
            }
            let done = match kind {
                Kind::Days => self.make_days().await,
                Kind::Sealed => self.pack_sealed().await,
                Kind::Loose => self.pack_loose().await,
                Kind::Forget => self.forget().await,
            };
            self.failed_at[kind as usize] = done.is_err().then(Instant::now);
            match done {
                Ok(found) => busy |= found,
                Err(error) => self.note(&error, kind),
            }
        }
        busy
    }

    /// A database that is away is told of elsewhere; a statement that ran out of time is not: it may do so at each look.
    fn note(&self, error: &StoreError, kind: Kind) {
        if matches!(error, StoreError::Away { .. }) {
            return;
        }
        self.shared.counters.history_failed.fetch_add(1, Relaxed);
        tracing::warn!(error = error as &dyn std::error::Error, "{} failed: tried again at the next look", kind.name());
    }

    /// Notes what is wrong with one workout, which is left alone for a while; the others go on. An absent database is nobody's fault.
    fn put_off(&mut self, workout: WorkoutId, kind: Kind, error: StoreError) -> Result<(), StoreError> {
        if matches!(error, StoreError::Away { .. }) {
            return Err(error);
        }
        self.shared.counters.history_failed.fetch_add(1, Relaxed);
        tracing::warn!(error = &error as &dyn std::error::Error, workout.id = %workout, "{} failed for a workout: tried again in an hour", kind.name());
        let now = Instant::now();
        self.put_off.retain(|_, until| *until > now);
        if self.put_off.len() < PUT_OFF_MAX {
            self.put_off.insert((kind, workout), now + PUT_OFF);
        }
        Ok(())
    }

    fn is_put_off(&self, workout: WorkoutId, kind: Kind) -> bool {
        self.put_off.get(&(kind, workout)).is_some_and(|until| *until > Instant::now())
    }

    /// Makes the days of a few workouts that were sealed or amended.
    async fn make_days(&mut self) -> Result<bool, StoreError> {
        let found = days::undone(&self.db, self.days_behind).await?;
        let mut made = false;
        for undone in found.iter().filter(|undone| !self.is_put_off(undone.workout, Kind::Days)).collect::<Vec<_>>() {
            match days::make(&self.db, undone).await {
                Ok(()) => made = true,
                Err(error) => self.put_off(undone.workout, Kind::Days, error)?,
            }
        }
        let more = found.len() == due::AT_ONCE as usize;
        self.days_behind = found.last().filter(|_| more).map_or(FIRST, |last| last.workout);
        Ok(made || more)
    }

    /// Packs workouts that were sealed long enough ago.
    async fn pack_sealed(&mut self) -> Result<bool, StoreError> {
        let Some(before) = self.packing_before(self.rules.pack_after).await? else { return Ok(false) };
        let found = due::sealed(&self.db, before, self.sealed_behind).await?;
        let mut packed = false;
        for due in found.iter().filter(|due| !self.is_put_off(due.workout, Kind::Sealed)).collect::<Vec<_>>() {
            match self.pack_workout(due).await {
                Ok(()) => packed = true,
                Err(error) => self.put_off(due.workout, Kind::Sealed, error)?,
            }
        }
        let more = found.len() == due::AT_ONCE as usize;
        self.sealed_behind = found.last().filter(|_| more).map_or(FIRST, |last| last.workout);
        Ok(packed || more)
    }

    async fn pack_workout(&mut self, due: &due::Due) -> Result<(), StoreError> {
        for span in &due.spans {
            let mut from_seq = Some(span.from_seq);
            while let Some(from) = from_seq {
                from_seq = self.pack(pack::Span { from_seq: from, ..*span }, i64::MAX).await?.filter(|&next| next <= span.to_seq);
            }
        }
        due::packed(&self.db, due).await
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
        // The same boot again until it has nothing left; then the next. A boot that cannot be packed is left for the next walk.
        let packed = self.pack(span, before).await;
        if !matches!(packed, Err(StoreError::Away { .. })) {
            self.walk = Some(match packed {
                Ok(Some(from_seq)) => due::Walk { source: span.source, boot: span.boot, from_seq },
                _ => next,
            });
        }
        packed.map(|_| true)
    }

    /// One transaction, and a rest as long. Returns where to go on.
    async fn pack(&mut self, span: pack::Span, before_at_ms: i64) -> Result<Option<u32>, StoreError> {
        let began = Instant::now();
        let Some(packed) = pack::span(&self.db, span, before_at_ms, self.older).await? else { return Ok(None) };
        self.older = pack::Older::Told;
        let counters = &self.shared.counters;
        counters.packed_samples.fetch_add(packed.samples, Relaxed);
        counters.packed_bytes.fetch_add(packed.bytes, Relaxed);
        counters.packed_chunks.fetch_add(packed.chunks, Relaxed);
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
        let (forgotten, failed) = forget::step(&self.db, &self.rules, now_ms()).await;
        let counters = &self.shared.counters;
        counters.forgotten_chunks.fetch_add(forgotten.chunks, Relaxed);
        counters.forgotten_rows.fetch_add(forgotten.rows, Relaxed);
        counters.forgotten_partitions.fetch_add(forgotten.partitions, Relaxed);
        let any = forgotten != forget::Forgotten::default();
        if !any {
            self.forgot_at = Some(Instant::now());
        }
        failed.map_or(Ok(any), Err)
    }
}

pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
