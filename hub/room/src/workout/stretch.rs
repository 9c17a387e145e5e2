//! What one source in one boot contributes to a workout: from which seq to which, and whether all of it is stored.
//!
//! In: what came, what is stored, what the source holds in its buffer, the fate of its link. Out: whether the stretch is reconciled, which
//! is when the workout may be added up. Where the training ended while the link was lost, the last seq is not known until the source
//! is back: what it read before the end still belongs.

use protocol::SeqRanges;
use protocol::limits::SEQ_RANGES_MAX;

use super::totals::Sums;
use crate::input::{SourceKey, WorkoutRange};
use crate::source::Taken;

/// A source that was started again binds what it holds of the boot before within this.
const GIVEN_UP_MS: i64 = 60_000;
/// A later boot of a member's own sensor may be another phone's, and says nothing of the buffer of the first, which is away somewhere.
const OWN_GIVEN_UP_MS: i64 = 900_000;

/// Ranges remembered of each kind. A source whose numbers have more holes breaks its word (G3): the lowest are forgotten here, the store
/// knows them, and amends what was added up too early.
const RANGES_MAX: usize = 1_024;

/// What a source read between its `bind` and the answer has come by then.
const SURE_AFTER_MS: i64 = 2_000;

/// Where the stretch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Goes on.
    Open,
    /// With this seq.
    At(u32),
    /// With the last reading up to this time, UTC: the link was lost. Before `below`, which is the first seq known to be later.
    ByTime { ended_at_ms: i64, below: u32 },
}

/// The way to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// On a connection.
    Up,
    /// Lost: it may hold more than is known.
    Lost,
}

/// One stretch.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) key: SourceKey,
    pub(super) boot: u32,
    pub(super) from_seq: u32,
    /// It began with what came first on its connection: what came later and was read before belongs too.
    pub(super) by_first: bool,
    pub(super) close: Close,
    pub(super) link: Link,
    /// A later boot of the source was bound then, and this one was not yet.
    pub(super) superseded_mono_ms: Option<i64>,
    pub(super) newest_seq: u32,
    /// Corrected UTC minus device time, when its clock was last the one that ran.
    offset_ms: Option<i64>,
    /// Nothing after `newest_seq` belongs that is not held. Not so after a break, until something new comes or its source was silent a while.
    pub(super) is_sure: bool,
    /// Since when a source that is back is silent; none where its `bind` could not list all that it holds.
    silent_mono_ms: Option<i64>,
    /// Came or is held, and is not stored.
    pending: SeqRanges,
    /// Held at the last bind and did not come yet.
    draining: SeqRanges,
    pub(super) stored: SeqRanges,
    /// Added to the totals so far.
    pub(super) counted: SeqRanges,
    pub(super) sums: Sums,
    /// Viewers have not heard of `stored` yet.
    pub(super) news: bool,
}

impl Stretch {
    pub(super) fn new(key: SourceKey, boot: u32, from_seq: u32) -> Self {
        Self {
            key,
            boot,
            from_seq,
            by_first: false,
            close: Close::Open,
            link: Link::Up,
            superseded_mono_ms: None,
            newest_seq: from_seq.saturating_sub(1),
            offset_ms: None,
            is_sure: true,
            silent_mono_ms: None,
            pending: SeqRanges::new(),
            draining: SeqRanges::new(),
            stored: SeqRanges::new(),
            counted: SeqRanges::new(),
            sums: Sums::default(),
            news: false,
        }
    }

    pub(super) fn is_of(&self, key: &SourceKey, boot: u32) -> bool {
        self.boot == boot && self.key == *key
    }

    pub(super) const fn to_seq(&self) -> u32 {
        match self.close {
            Close::At(to_seq) => to_seq,
            Close::ByTime { below, .. } if below < u32::MAX => below.saturating_sub(1),
            Close::Open | Close::ByTime { .. } => u32::MAX,
        }
    }

    pub(super) fn range(&self) -> WorkoutRange {
        WorkoutRange { source: self.key.clone(), boot: self.boot, from_seq: self.from_seq, to_seq: self.to_seq() }
    }

    /// When it was taken, UTC. What comes of a boot that is over is not told by the clock of the next one, where its own is remembered.
    pub(super) fn at_ms(&mut self, taken: &Taken) -> i64 {
        if !taken.is_outlived {
            self.offset_ms = Some(taken.offset_ms());
        }
        self.offset_ms.filter(|_| taken.is_outlived).map_or(taken.corrected_at_ms, |offset_ms| taken.dev_ms.saturating_add(offset_ms))
    }

    /// Whether its own clock was heard here.
    pub(super) const fn knows_its_clock(&self) -> bool {
        self.offset_ms.is_some()
    }

    /// Whether a seq of this time belongs. One that was read after the end shows where the stretch ends at the latest.
    pub(super) fn admits(&mut self, seq: u32, corrected_at_ms: i64) -> bool {
        if let Close::ByTime { ended_at_ms, .. } = self.close
            && corrected_at_ms > ended_at_ms
            && seq > self.newest_seq
        {
            self.bound(seq);
        }
        (self.from_seq..=self.to_seq()).contains(&seq)
    }

    /// From this seq on nothing belongs: it was read later, or another workout begins with it.
    pub(super) fn bound(&mut self, seq: u32) {
        match self.close {
            Close::Open => self.close_at(seq.saturating_sub(1)),
            Close::ByTime { ended_at_ms, below } => {
                self.close = Close::ByTime { ended_at_ms, below: below.min(seq) };
                self.forget_from(seq);
                self.drained();
            }
            Close::At(_) => (),
        }
    }

    /// Notes seqs that go to the Recorder; new ones show where the source stands.
    pub(super) fn take(&mut self, from: u32, to: u32, is_new: bool) {
        self.is_sure |= is_new;
        self.newest_seq = self.newest_seq.max(to);
        if from != to {
            self.pending.union(&self.stored.missing(from, to));
        } else if !self.stored.contains(from) {
            self.pending.insert(from, to);
        }
        self.draining.remove(from, to);
        self.pending.keep_highest(RANGES_MAX);
        self.drained();
    }

    /// Notes that a seq is added to the totals, with the parts that it absorbed: without them each record would be a range of its own.
    /// Returns whether it was not before.
    pub(super) fn count(&mut self, seq: u32, absorbed: &[u32]) -> bool {
        let is_new = self.counted.insert(seq, seq) == 1;
        for part in absorbed {
            self.counted.insert(*part, *part);
        }
        self.counted.keep_highest(RANGES_MAX);
        is_new
    }

    /// Notes what is stored of the boot.
    pub(super) fn store(&mut self, stored: &SeqRanges) {
        self.stored.union(stored);
        self.stored.keep_highest(RANGES_MAX);
        self.news = true;
        for range in stored.iter() {
            self.pending.remove(*range.start(), *range.end());
            self.draining.remove(*range.start(), *range.end());
        }
        self.drained();
    }

    /// These are not waited for any longer; should they come after all, they are late. Where nobody knows yet how far it reached they are:
    /// what comes with the next bind must find its place.
    pub(super) fn not_brought(&mut self, ranges: &SeqRanges) {
        if !matches!(self.close, Close::ByTime { .. }) {
            self.pending = self.pending.difference(ranges);
            self.draining = self.draining.difference(ranges);
        }
    }

    /// The store's word after a restart: what it has of the boot, and so how far the stretch reached at least.
    pub(super) fn knows(&mut self, stored: &SeqRanges) {
        let outside = stored.difference(&SeqRanges::from_iter([(self.from_seq, self.to_seq())]));
        self.newest_seq = self.newest_seq.max(stored.difference(&outside).max());
        self.stored.union(stored);
        self.news = true;
    }

    /// The source is back and holds these: what it does not hold of what is known is stored, by its own word.
    pub(super) fn back(&mut self, held: &SeqRanges, mono_ms: i64) {
        (self.link, self.superseded_mono_ms) = (Link::Up, None);
        let lists_all = held.iter().len() < SEQ_RANGES_MAX;
        self.silent_mono_ms = lists_all.then_some(mono_ms);
        // Of what ended before, it reads nothing more; of what goes on, it may have read since.
        self.is_sure = if self.close == Close::Open { false } else { self.is_sure || lists_all };
        let range = SeqRanges::from_iter([(self.from_seq, self.to_seq())]);
        let held = held.difference(&held.difference(&range));
        self.pending = held.difference(&self.stored);
        self.draining = self.pending.clone();
        self.drained();
    }

    pub(super) fn close_at(&mut self, to_seq: u32) {
        self.close = Close::At(to_seq);
        if let Some(after) = to_seq.checked_add(1) {
            self.forget_from(after);
        }
    }

    fn forget_from(&mut self, seq: u32) {
        self.pending.remove(seq, u32::MAX);
        self.draining.remove(seq, u32::MAX);
    }

    /// Ends it with this seq, or by time where the link is lost or nobody knows where the source stands. What was closed stays as it is.
    pub(super) fn end(&mut self, to_seq: u32, at_ms: i64) {
        match (self.close, self.link) {
            (Close::Open, Link::Up) if self.is_sure => self.close_at(to_seq.max(self.newest_seq)),
            (Close::Open, link) => {
                // What it held when it was bound, it had read before: whatever the clock of that boot says.
                if link == Link::Up {
                    self.newest_seq = self.newest_seq.max(self.pending.max());
                }
                self.close = Close::ByTime { ended_at_ms: at_ms, below: u32::MAX };
            }
            (Close::At(_) | Close::ByTime { .. }, _) => (),
        }
    }

    /// Its training had left before its source was heard of here, and what it read until then is still to come.
    pub(super) fn was_left(&mut self, ended_at_ms: i64) {
        (self.close, self.is_sure) = (Close::ByTime { ended_at_ms, below: u32::MAX }, false);
    }

    /// The workout is forgotten: what is not known of its end by now never is.
    pub(super) fn forget(&mut self) {
        if let Close::ByTime { .. } = self.close {
            self.close_at(self.newest_seq.min(self.to_seq()));
        }
    }

    /// A source that brought all it held knows no reading after the newest, or none from the bound on.
    fn drained(&mut self) {
        if let Close::ByTime { below, .. } = self.close
            && self.link == Link::Up
            && self.draining.is_empty()
            && (self.is_sure || below < u32::MAX)
        {
            self.close_at(if self.is_sure { self.newest_seq } else { below.saturating_sub(1) });
        }
    }

    /// A source that is back and says nothing new stands where its `bind` and the store say. Returns whether that is news.
    pub(super) fn listens(&mut self, mono_ms: i64) -> bool {
        let sure = self.link == Link::Up && self.silent_mono_ms.is_some_and(|since| mono_ms - since >= SURE_AFTER_MS);
        if self.is_sure || !sure {
            return false;
        }
        self.is_sure = true;
        self.drained();
        true
    }

    /// Whether its source bound a later boot that long ago and never this one: it holds nothing of it.
    pub(super) fn is_given_up(&self, mono_ms: i64) -> bool {
        let after_ms = if self.key.machine.is_some() { GIVEN_UP_MS } else { OWN_GIVEN_UP_MS };
        self.link == Link::Lost && self.superseded_mono_ms.is_some_and(|since| mono_ms - since >= after_ms)
    }

    /// Whether its lost link is worth waiting for.
    pub(super) fn is_missed(&self) -> bool {
        self.link == Link::Lost && self.superseded_mono_ms.is_none()
    }

    pub(super) fn is_draining(&self) -> bool {
        !self.draining.is_empty()
    }

    /// Everything up to the last seq that the source said is stored.
    pub(super) fn is_reconciled(&self) -> bool {
        self.link == Link::Up && self.pending.is_empty() && matches!(self.close, Close::At(_))
    }
}
