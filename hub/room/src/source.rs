//! One source on one connection: from what it says under a number to what is kept and what is shown.
//!
//! In: numbered things as they come, in any order, also twice. Out: [`Taken`] things, each once, for the workout, the floor and the
//! Recorder, in the order in which they became whole. Owns the order of the boot on this connection: what is new and live, what is
//! backfill, which seqs are open, taken, refused, stored. Order is (boot, seq) and never a clock. Says nothing to anybody
//! itself: acks are packed for the whole connection ([`crate::ack`]), backfill is granted for the whole gym ([`crate::pace`]).

mod belongs;
mod content;
mod taken;

use protocol::frame::{Bind, Rejected};
use protocol::ftms::{Quirks, Row};
use protocol::text::Text;
use protocol::{ErrorCode, Reading, SeqRanges, SessionId, WorkoutId};
use smallvec::SmallVec;

use self::belongs::Belongings;
use self::content::{Recent, Repeat, whole};
pub use self::taken::Taken;
use crate::ack::Acks;
use crate::clock::{BootClock, DeviceClock};
use crate::decode::Decoder;
use crate::effect::{Counter, Effect, Keep, KeepWhat};
use crate::fresh::is_live;
use crate::input::{Now, Numbered, Said, SourceHandle, SourceKey};

/// Stretches declared lost that may wait for a clock. What is declared beyond is not taken: the source says it again.
const EARLY_LOST_MAX: usize = 64;

/// A source on a connection.
#[derive(Debug, Clone)]
pub struct Source {
    /// The session's handle.
    pub handle: SourceHandle,
    /// The connection.
    pub session: SessionId,
    /// The slot on it.
    pub slot: u16,
    /// Whose readings.
    pub key: SourceKey,
    /// The run of the source.
    pub boot: u32,
    /// Drawn at its start.
    pub nonce: u32,
    /// Which clock of the connection stamps its times.
    pub clock: u16,
    /// What may be forgotten; packed by [`crate::ack::AckClock::pack`].
    pub acks: Acks,
    /// The first number under the claim that its machine keeps, by its own word.
    pub claim_from_seq: Option<u32>,
    /// In its buffer at bind: comes as backfill.
    held: SeqRanges,
    time: BootClock,
    decoder: Decoder,
    live_through: u32,
    newest_seq: u32,
    /// The newest that was read on this connection; 0 before the first.
    newest_new: u32,
    /// The oldest that was.
    first_new: u32,
    recent: Recent,
    /// Declared lost before anything was known of the clock: kept once the boot can be anchored.
    early_lost: SeqRanges,
    belongs: Belongings,
    told_to_hold: bool,
    is_outlived: bool,
}

impl Source {
    /// The source of a `bind`, resolved to its key.
    #[must_use]
    pub fn new(handle: SourceHandle, session: SessionId, key: SourceKey, bind: &Bind) -> Self {
        Self {
            handle,
            session,
            slot: bind.slot,
            key,
            boot: bind.boot,
            nonce: bind.nonce,
            clock: bind.clock,
            acks: Acks::default(),
            claim_from_seq: bind.claim_from_seq,
            held: bind.held.clone(),
            time: BootClock::default(),
            decoder: Decoder::new(bind.quirk.as_deref().map_or(Quirks::NONE, Quirks::of_device)),
            live_through: bind.held.max(),
            newest_seq: bind.held.max(),
            newest_new: 0,
            first_new: u32::MAX,
            recent: Recent::default(),
            early_lost: SeqRanges::new(),
            belongs: Belongings::default(),
            told_to_hold: false,
            is_outlived: false,
        }
    }

    /// Takes something numbered; appends what became whole by it, perhaps nothing yet, perhaps an earlier record too.
    ///
    /// The same again is dropped quietly and acknowledged; the same number with other content goes on to the store, which decides.
    /// Returns what to count.
    ///
    /// # Errors
    /// [`ErrorCode::Malformed`] for seq 0, which no source may use.
    pub fn said(&mut self, said: Numbered, clock: &mut DeviceClock, now: Now, out: &mut Vec<Taken>) -> Result<Option<Counter>, ErrorCode> {
        if said.seq == 0 {
            return Err(ErrorCode::Malformed);
        }
        self.acks.came(said.seq);
        let repeat = self.repeat(&said);
        if repeat == Repeat::Same {
            self.acks.tell_again(said.seq);
            return Ok(Some(Counter::ReadingDuplicate));
        }
        let from_buffer = said.backfill || self.held(said.seq);
        let backfill = from_buffer || said.seq < self.newest_seq;
        self.newest_seq = self.newest_seq.max(said.seq);
        if !backfill {
            clock.heard(said.dev_ms, now);
        }
        self.take_lost(clock, now, out);
        let (seq, dev_ms) = (said.seq, said.dev_ms);
        let what = match said.what {
            Said::Raw { bytes, .. } if repeat == Repeat::Other => KeepWhat::Poison { code: ErrorCode::SeqConflict.code(), bytes },
            Said::Raw { uuid, bytes } => {
                let refused = self.decoder.raw(seq, dev_ms, uuid, &bytes, now);
                self.take_rows(clock, now, out);
                let Err(code) = refused else { return Ok(None) };
                KeepWhat::Poison { code: code.code(), bytes }
            }
            other => {
                self.decoder.pass(seq, seq);
                self.take_rows(clock, now, out);
                whole(other)
            }
        };
        let counter = self.take(seq, SmallVec::new(), dev_ms, Origin { backfill, from_buffer, derived: 0 }, what, clock, now, out);
        Ok(Some(counter))
    }

    /// The source lost these for good.
    pub fn lost(&mut self, from: u32, to: u32, clock: &mut DeviceClock, now: Now, out: &mut Vec<Taken>) {
        if from == 0 || from > to {
            return;
        }
        self.acks.came(from);
        self.decoder.pass(from, to);
        self.take_rows(clock, now, out);
        if self.early_lost.iter().len() < EARLY_LOST_MAX {
            self.early_lost.insert(from, to);
        }
        self.take_lost(clock, now, out);
    }

    /// Hands over what was declared lost, once the boot has an anchor: the store makes the boot of the first word that it gets, and
    /// a loss has no time of its own to anchor it by. A boot that is over is anchored by what it holds, if it holds anything.
    fn take_lost(&mut self, clock: &DeviceClock, now: Now, out: &mut Vec<Taken>) {
        if self.early_lost.is_empty() {
            return;
        }
        let is_to_come = self.is_outlived && !self.still_held().difference(&self.early_lost).is_empty();
        if is_to_come && self.time.anchor_at_ms().is_none() || !self.time.anchor(clock, now) {
            return;
        }
        for range in std::mem::take(&mut self.early_lost).iter() {
            let (seq, to) = (*range.start(), *range.end());
            self.acks.hand_over(seq, to);
            out.push(Taken {
                seq,
                absorbed: SmallVec::new(),
                dev_ms: 0,
                received_at_ms: now.at_ms,
                corrected_at_ms: now.at_ms,
                live_age_ms: None,
                is_backfill: true,
                is_first: false,
                is_outlived: self.is_outlived,
                is_guess: false,
                what: KeepWhat::Lost { to },
                derived: 0,
            });
        }
    }

    /// Closes records that no further part came for, and hands over losses that waited; call at each tick while [`Self::waits`].
    pub fn tick(&mut self, clock: &mut DeviceClock, now: Now, out: &mut Vec<Taken>) {
        if self.decoder.tick(now) {
            self.take_rows(clock, now, out);
        }
        self.take_lost(clock, now, out);
    }

    /// What the Recorder is asked to keep.
    #[must_use]
    pub fn keep(&self, taken: Taken, workout: Option<WorkoutId>) -> Effect {
        Effect::Keep(Keep {
            handle: self.handle,
            source: self.key.clone(),
            boot: self.boot,
            nonce: self.nonce,
            seq: taken.seq,
            absorbed: taken.absorbed.to_vec(),
            dev_ms: taken.dev_ms,
            received_at_ms: taken.received_at_ms,
            corrected_at_ms: taken.corrected_at_ms,
            anchor_at_ms: self.time.anchor_at_ms().unwrap_or(taken.received_at_ms),
            workout,
            what: taken.what,
            derived: taken.derived,
        })
    }

    /// The Recorder refused these seqs, and with them what they absorbed. Returns whether the source is to be told to `hold` now;
    /// it is told once until [`Self::go_on`].
    pub fn refuse(&mut self, seq: u32, through: u32, absorbed: &[u32]) -> bool {
        self.acks.refuse(seq, through);
        for &part in absorbed.iter().chain([&seq]) {
            self.acks.refuse(part, part);
            self.decoder.again(part);
            self.recent.forget(part);
        }
        !std::mem::replace(&mut self.told_to_hold, true)
    }

    /// The Recorder takes again. Returns what was refused meanwhile: to be asked for.
    pub fn go_on(&mut self) -> SeqRanges {
        self.told_to_hold = false;
        self.acks.refused().clone()
    }

    /// A later boot of the same source runs: whatever still comes of this one was read before that.
    pub const fn outlived(&mut self) {
        self.is_outlived = true;
    }

    /// Whether a later boot of the same source runs.
    #[must_use]
    pub const fn is_outlived(&self) -> bool {
        self.is_outlived
    }

    /// Forgets what a row in quarantine looked like, and makes the word to its source.
    #[must_use]
    pub fn rejected(&self, seq: u32, code: u16) -> Rejected {
        let text = ErrorCode::from_code(code).map_or("", ErrorCode::text);
        Rejected { slot: self.slot, seq, code, detail: Text::cut(text) }
    }

    /// From this seq on it belongs to a workout, under this index of its room.
    pub fn begin(&mut self, from_seq: u32, workout: WorkoutId, index: u16) {
        self.belongs.begin(from_seq, workout, index);
    }

    /// Up to this seq it belonged to this workout; what follows does not.
    pub fn end(&mut self, workout: WorkoutId, to_seq: u32) {
        self.belongs.end(workout, to_seq);
    }

    /// The stretch that this seq lies in ends before it.
    pub fn cut(&mut self, seq: u32) {
        self.belongs.cut(seq);
    }

    /// The workout that a seq belongs to, and the source's index in it.
    #[must_use]
    pub fn workout_of(&self, seq: u32) -> Option<(WorkoutId, u16)> {
        self.belongs.of(seq)
    }

    /// The seq that it reads next; none before it read something on this connection: what it holds does not tell where it stands.
    #[must_use]
    pub fn next_seq(&self) -> Option<u32> {
        if self.newest_new == 0 { None } else { self.newest_seq.checked_add(1) }
    }

    /// The highest seq that came or was held.
    #[must_use]
    pub const fn newest_seq(&self) -> u32 {
        self.newest_seq
    }

    /// What the source held at bind and is neither taken nor stored.
    #[must_use]
    pub fn still_held(&self) -> SeqRanges {
        self.held.difference(self.acks.stored())
    }

    /// The lowest seq of a record that still waits for parts.
    #[must_use]
    pub fn open_from(&self) -> Option<u32> {
        self.decoder.open_from()
    }

    /// Whether something waits for time to pass.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.open_from().is_some() || !self.early_lost.is_empty()
    }

    /// What is known of the number. A raw notification that is older than what is remembered by content counts as the same:
    /// its bytes alone do not make the record that was stored. Anything else of that age goes to the store, which compares.
    fn repeat(&mut self, said: &Numbered) -> Repeat {
        match self.recent.repeat(said) {
            Repeat::None if matches!(said.what, Said::Raw { .. }) && self.acks.has(said.seq) => Repeat::Same,
            repeat => repeat,
        }
    }

    /// Whether it was read before the `bind`, or before the machine was started again.
    fn held(&self, seq: u32) -> bool {
        self.is_outlived || self.held.contains(seq)
    }

    /// When a reading of a boot that is over was read at the latest: what is held behind it took its time too, a second each.
    fn read_by_ms(&self, seq: u32, now: Now) -> Option<i64> {
        self.is_outlived.then(|| now.at_ms - i64::from(self.held.max().saturating_sub(seq)) * 1_000)
    }

    fn take_rows(&mut self, clock: &DeviceClock, now: Now, out: &mut Vec<Taken>) {
        while let Some(Row { seq, dev_ms, absorbed, reading, derived }) = self.decoder.row() {
            let from_buffer = self.held(seq);
            self.take(
                seq,
                absorbed,
                dev_ms,
                Origin { backfill: from_buffer, from_buffer, derived },
                whole(Said::Reading(reading)),
                clock,
                now,
                out,
            );
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one thing, taken apart by its two callers")]
    fn take(
        &mut self,
        seq: u32,
        absorbed: SmallVec<[u32; 4]>,
        dev_ms: i64,
        Origin { backfill, from_buffer, derived }: Origin,
        what: KeepWhat,
        clock: &DeviceClock,
        now: Now,
        out: &mut Vec<Taken>,
    ) -> Counter {
        let corrected_at_ms = self.time.correct(dev_ms, clock, self.read_by_ms(seq, now), now);
        let is_backfill = backfill || seq < self.newest_new;
        // What came out of order was read on this connection too, unless it was held or came in a batch.
        let is_first = seq < self.first_new && !from_buffer;
        if is_first {
            self.first_new = seq;
        }
        if !is_backfill {
            self.newest_new = absorbed.last().copied().unwrap_or(seq).max(seq);
        }
        let live_age_ms = if backfill || seq <= self.live_through { None } else { age_if_live(&what, dev_ms, clock, now) };
        if live_age_ms.is_some() {
            self.live_through = absorbed.last().copied().unwrap_or(seq).max(seq);
        }
        self.acks.hand_over(seq, seq);
        absorbed.iter().for_each(|part| self.acks.hand_over(*part, *part));
        let counter = match (&what, live_age_ms) {
            (KeepWhat::Poison { .. }, _) => Counter::ReadingPoison,
            (_, Some(_)) => Counter::ReadingLive,
            (_, None) => Counter::ReadingStale,
        };
        out.push(Taken {
            seq,
            absorbed,
            dev_ms,
            received_at_ms: now.at_ms,
            corrected_at_ms,
            live_age_ms,
            is_backfill,
            is_first,
            is_outlived: self.is_outlived,
            is_guess: self.time.is_guess(),
            what,
            derived,
        });
        counter
    }
}

/// Where a numbered thing comes from.
#[derive(Debug, Clone, Copy)]
struct Origin {
    /// From a buffer, or later than something newer.
    backfill: bool,
    /// From a buffer.
    from_buffer: bool,
    /// Fields that were derived.
    derived: u32,
}

/// The age of something new, if it is fresh enough to be shown as now.
fn age_if_live(what: &KeepWhat, dev_ms: i64, clock: &DeviceClock, now: Now) -> Option<u32> {
    let age_ms = clock.age_ms(dev_ms, now).unwrap_or(0);
    let live = match what {
        KeepWhat::Reading(reading) => is_live(reading, age_ms),
        KeepWhat::Rep(_) | KeepWhat::Set(_) | KeepWhat::Stroke(_) => is_live(&Reading::new(), age_ms),
        KeepWhat::Poison { .. } | KeepWhat::Lost { .. } => false,
    };
    if live { u32::try_from(age_ms).ok() } else { None }
}

#[cfg(test)]
mod tests;
