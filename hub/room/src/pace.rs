//! Backfill, paced: which source may send its buffer when, and how fast.
//!
//! In: what sources hold, what came of it, time, and jitter drawn by the caller. Out: `resend {from, to, rate}` grants. After an
//! outage a whole gym comes back at once, and live goes first: grants start after a pause and a jitter, and their rates add up to
//! no more than a bound for each connection and for the gym. While the Recorder is full nothing is granted. A grant
//! that brings nothing is repeated twice, then the stretch is left to the next `bind`; after three more so is everything else of its source.

use std::collections::BTreeMap;

use protocol::frame::Resend;
use protocol::{SeqRanges, ServerFrame, SessionId};

use crate::effect::{Effect, Lane};
use crate::input::{Now, SourceHandle};

/// Readings a second granted to one connection: a gateway of 120 machines drains ten minutes of 60 active ones in 18 s.
const CONNECTION_RATE: u32 = 2_000;
/// Readings a second granted in one gym.
const GYM_RATE: u32 = 4_000;
/// The least and the most that one source is granted.
const SOURCE_RATES: (u32, u32) = (100, 1_000);
/// A grant is for this much time at its rate, so that rates follow who is still waiting.
const GRANT_S: u32 = 4;
/// And is over this long after it should have been filled.
const GRACE_MS: i64 = 10_000;
/// Live goes first after a reconnect.
const LIVE_FIRST_MS: i64 = 1_000;
/// Fruitless grants in a row until their stretch is given up on this connection, and each fruitless one after it.
const FRUITLESS_MAX: u8 = 3;
/// And until everything that the source said to hold is: others wait for the same rates.
const HOPELESS_MAX: u8 = 6;

const _: () = assert!(CONNECTION_RATE <= GYM_RATE && SOURCE_RATES.1 <= CONNECTION_RATE && SOURCE_RATES.0 < SOURCE_RATES.1);

#[derive(Debug, Clone)]
struct Grant {
    from: u32,
    to: u32,
    rate: u32,
    until_mono_ms: i64,
    brought: u32,
}

#[derive(Debug, Clone)]
struct Wanted {
    session: SessionId,
    slot: u16,
    ranges: SeqRanges,
    not_before_mono_ms: i64,
    grant: Option<Grant>,
    fruitless: u8,
}

/// The backfill of one gym.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    sources: BTreeMap<SourceHandle, Wanted>,
    /// Whoever was granted last; the next one after it is asked first.
    last: Option<SourceHandle>,
    full: bool,
}

impl Pace {
    /// Wants these seqs of a source, from `jitter_ms` after the pause that live has for itself.
    pub fn want(&mut self, handle: SourceHandle, session: SessionId, slot: u16, ranges: &SeqRanges, jitter_ms: i64, now: Now) {
        if ranges.is_empty() {
            return;
        }
        let not_before_mono_ms = now.mono_ms + LIVE_FIRST_MS + jitter_ms;
        let wanted = self.sources.entry(handle).or_insert_with(|| Wanted {
            session,
            slot,
            ranges: SeqRanges::new(),
            not_before_mono_ms,
            grant: None,
            fruitless: 0,
        });
        wanted.ranges.union(ranges);
    }

    /// Notes that these seqs came, were lost or are stored, and need not be asked for.
    pub fn came(&mut self, handle: SourceHandle, from: u32, to: u32) {
        let Some(wanted) = self.sources.get_mut(&handle) else { return };
        let brought = u32::try_from(wanted.ranges.remove(from, to)).unwrap_or(u32::MAX);
        if let Some(grant) = wanted.grant.as_mut() {
            grant.brought = grant.brought.saturating_add(brought);
            if wanted.ranges.missing(grant.from, grant.to).count() == u64::from(grant.to - grant.from) + 1 {
                wanted.fruitless = 0;
                wanted.grant = None;
            }
        }
        if wanted.ranges.is_empty() {
            self.sources.remove(&handle);
        }
    }

    /// Forgets a source that was unbound.
    pub fn forget(&mut self, handle: SourceHandle) {
        self.sources.remove(&handle);
    }

    /// Forgets the sources of a connection that ended.
    pub fn gone(&mut self, session: SessionId) {
        self.sources.retain(|_, wanted| wanted.session != session);
    }

    /// The Recorder is full, or can take again.
    pub fn recorder_is_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Whether everything that was wanted of a source came, or was given up.
    #[must_use]
    pub fn is_done(&self, handle: SourceHandle) -> bool {
        !self.sources.contains_key(&handle)
    }

    /// Grants what the rates allow; call at each tick. Returns what was given up: nobody needs to wait for it before the next `bind`.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) -> Vec<(SourceHandle, SeqRanges)> {
        let mut given_up = Vec::new();
        self.sources.retain(|handle, wanted| {
            let ranges = wanted.expire(now);
            if !ranges.is_empty() {
                given_up.push((*handle, ranges));
            }
            !wanted.ranges.is_empty()
        });
        if self.full {
            return given_up;
        }
        let mut free = GYM_RATE.saturating_sub(self.granted(|_| true));
        let waiting: Vec<SourceHandle> = self.waiting(now).collect();
        for (at, handle) in waiting.iter().enumerate() {
            let Some(session) = self.sources.get(handle).map(|wanted| wanted.session) else { continue };
            let connection = CONNECTION_RATE.saturating_sub(self.granted(|wanted| wanted.session == session)).min(free);
            let share = (connection / (waiting.len() - at) as u32).clamp(SOURCE_RATES.0, SOURCE_RATES.1);
            if share > connection {
                continue;
            }
            if let Some(wanted) = self.sources.get_mut(handle) {
                wanted.send(share, now, out);
            }
            free -= share;
            self.last = Some(*handle);
        }
        given_up
    }

    fn granted(&self, of: impl Fn(&Wanted) -> bool) -> u32 {
        self.sources.values().filter(|wanted| of(wanted)).filter_map(|wanted| wanted.grant.as_ref()).map(|grant| grant.rate).sum()
    }

    /// Who waits for a grant, beginning after whoever had the last one.
    fn waiting(&self, now: Now) -> impl Iterator<Item = SourceHandle> {
        let waits = move |(_, wanted): &(&SourceHandle, &Wanted)| wanted.grant.is_none() && now.mono_ms >= wanted.not_before_mono_ms;
        let after = self.last.map_or(SourceHandle(0), |last| SourceHandle(last.0.saturating_add(1)));
        self.sources.range(after..).chain(self.sources.range(..after)).filter(waits).map(|(handle, _)| *handle)
    }
}

impl Wanted {
    /// Ends a grant that ran out. Returns what is not asked for again.
    fn expire(&mut self, now: Now) -> SeqRanges {
        let Some(grant) = self.grant.take_if(|grant| now.mono_ms >= grant.until_mono_ms) else { return SeqRanges::new() };
        self.fruitless = if grant.brought == 0 { self.fruitless + 1 } else { 0 };
        if self.fruitless >= HOPELESS_MAX {
            return std::mem::take(&mut self.ranges);
        }
        if self.fruitless < FRUITLESS_MAX {
            return SeqRanges::new();
        }
        let before = self.ranges.clone();
        self.ranges.remove(grant.from, grant.to);
        before.difference(&self.ranges)
    }

    fn send(&mut self, rate: u32, now: Now, out: &mut Vec<Effect>) {
        let Some(range) = self.ranges.iter().next() else { return };
        let (from, to) = (*range.start(), (*range.end()).min(range.start().saturating_add(rate * GRANT_S - 1)));
        let fill_ms = i64::from(to - from + 1) * 1_000 / i64::from(rate);
        self.grant = Some(Grant { from, to, rate, until_mono_ms: now.mono_ms + fill_ms + GRACE_MS, brought: 0 });
        let frame = ServerFrame::Resend(Resend { slot: self.slot, from, to, rate });
        out.push(Effect::Deliver { to: self.session, lane: Lane::Event, frame: Box::new(frame) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(mono_ms: i64) -> Now {
        Now { at_ms: 0, mono_ms }
    }

    fn session(n: u128) -> SessionId {
        SessionId(Uuid::from_u128(n))
    }

    fn resends(out: &mut Vec<Effect>) -> Vec<(SessionId, Resend)> {
        out.drain(..)
            .map(|effect| match effect {
                Effect::Deliver { to, frame, .. } => match *frame {
                    ServerFrame::Resend(resend) => (to, resend),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn live_goes_first_and_a_full_recorder_is_asked_for_nothing() {
        let (mut pace, mut out) = (Pace::default(), Vec::new());
        pace.want(SourceHandle(1), session(1), 9, &SeqRanges::from_iter([(5, 700)]), 250, at(0));
        pace.tick(at(1_249), &mut out);
        assert!(out.is_empty());
        pace.recorder_is_full(true);
        pace.tick(at(1_250), &mut out);
        assert!(out.is_empty());
        pace.recorder_is_full(false);
        pace.tick(at(1_300), &mut out);
        assert_eq!(resends(&mut out), [(session(1), Resend { slot: 9, from: 5, to: 700, rate: 1_000 })]);
        pace.came(SourceHandle(1), 5, 700);
        assert!(pace.is_done(SourceHandle(1)));
    }

    #[test]
    fn a_source_that_brings_nothing_is_asked_three_times() {
        let (mut pace, mut out) = (Pace::default(), Vec::new());
        pace.want(SourceHandle(1), session(1), 9, &SeqRanges::from_iter([(1, 10)]), 0, at(0));
        for second in 0..100 {
            pace.tick(at(second * 1_000), &mut out);
        }
        assert_eq!(resends(&mut out).len(), 3);
        assert!(pace.is_done(SourceHandle(1)));
    }

    #[test]
    fn a_source_that_holds_everything_and_brings_nothing_does_not_wait_in_the_way_for_ever() {
        let (mut pace, mut out) = (Pace::default(), Vec::new());
        pace.want(SourceHandle(1), session(1), 9, &SeqRanges::from_iter([(1, u32::MAX)]), 0, at(0));
        let mut given_up = SeqRanges::new();
        for second in 0..300 {
            pace.tick(at(second * 1_000), &mut out).iter().for_each(|(_, ranges)| given_up.union(ranges));
        }
        assert_eq!((resends(&mut out).len(), given_up), (usize::from(HOPELESS_MAX), SeqRanges::from_iter([(1, u32::MAX)])));
        assert!(pace.is_done(SourceHandle(1)));
    }

    #[test]
    fn a_whole_gym_that_comes_back_drains_within_half_a_minute() {
        let (mut pace, mut out) = (Pace::default(), Vec::new());
        for machine in 0..60 {
            pace.want(
                SourceHandle(machine),
                session(u128::from(machine % 2)),
                machine as u16,
                &SeqRanges::from_iter([(1, 600)]),
                machine as i64 * 30,
                at(0),
            );
        }
        // Each source sends what it was granted at the granted rate.
        let mut sending: Vec<(SourceHandle, Resend, i64)> = Vec::new();
        let mut done_ms = None;
        for ms in (0..60_000).step_by(50) {
            pace.tick(at(ms), &mut out);
            sending.extend(resends(&mut out).into_iter().map(|(_, resend)| (SourceHandle(u64::from(resend.slot)), resend, ms)));
            for (handle, resend, since) in &sending {
                let sent = resend.from + ((ms - since) as u32 * resend.rate / 1_000);
                pace.came(*handle, resend.from, sent.min(resend.to));
            }
            if pace.sources.is_empty() {
                done_ms = Some(ms);
                break;
            }
        }
        assert!(done_ms.is_some_and(|ms| ms <= 30_000), "{done_ms:?}");
    }

    proptest! {
        #[test]
        fn the_rates_never_add_up_to_more_than_their_bounds(
            wants in prop::collection::vec((0_u64..40, 0_u128..4, 1_u32..50_000, 0_i64..3_000), 1..60),
            came in prop::collection::vec((0_u64..40, 1_u32..50_000, 0_u32..3_000), 0..200),
        ) {
            let (mut pace, mut out) = (Pace::default(), Vec::new());
            for (handle, _, to, jitter) in &wants {
                // One source is on one connection.
                pace.want(SourceHandle(*handle), session(u128::from(handle % 4)), *handle as u16, &SeqRanges::from_iter([(1, *to)]), *jitter, at(0));
            }
            let mut came = came.into_iter();
            for ms in (0..30_000).step_by(100) {
                pace.tick(at(ms), &mut out);
                prop_assert!(pace.granted(|_| true) <= GYM_RATE);
                for n in 0..4 {
                    prop_assert!(pace.granted(|wanted| wanted.session == session(n)) <= CONNECTION_RATE);
                }
                if let Some((handle, from, span)) = came.next() { pace.came(SourceHandle(handle), from, from + span); }
            }
        }
    }
}
