//! What one source may forget: taken, stored, refused; told honestly.
//!
//! In: seqs as they go to the Recorder, its refusals, its commits. Out: the news of one slot, packed with those of its connection into
//! one [`Ack`] each second or 64 readings. `accepted` is told one tick later than the reading was handed over, so that a refusal, which comes
//! back as an input, is known before. Owns no readings and sends nothing itself.

use protocol::SeqRanges;
use protocol::frame::{Ack, SlotAck};
use protocol::limits::{ACK_INTERVAL_MS, ACK_READINGS, SEQ_RANGES_MAX};

use crate::input::Now;

/// Stretches remembered of one source. A source whose seqs have more gaps has its lowest forgotten: the store knows them.
const RANGES_MAX: usize = 1_024;

/// What is known of the seqs of one source on one connection.
#[derive(Debug, Clone, Default)]
pub struct Acks {
    /// The first seq of this connection: `accepted_through` counts from here.
    first: Option<u32>,
    /// Handed to the Recorder and not refused, or stored.
    taken: SeqRanges,
    /// Handed over since the last tick: a refusal may still come.
    fresh: SeqRanges,
    stored: SeqRanges,
    /// Stored and not told yet.
    news: SeqRanges,
    refused: SeqRanges,
    told_through: u32,
}

impl Acks {
    /// Notes that a seq came on this connection, before anything is made of it.
    pub fn came(&mut self, seq: u32) {
        self.first.get_or_insert(seq);
    }

    /// Whether the seq was handed over or is stored.
    #[must_use]
    pub fn has(&self, seq: u32) -> bool {
        self.fresh.contains(seq) || self.taken.contains(seq)
    }

    /// Notes seqs that go to the Recorder now.
    pub fn hand_over(&mut self, from: u32, to: u32) {
        self.fresh.insert(from, to);
        self.refused.remove(from, to);
    }

    /// The Recorder refused these seqs.
    pub fn refuse(&mut self, from: u32, to: u32) {
        self.fresh.remove(from, to);
        self.taken.remove(from, to);
        self.refused.insert(from, to);
    }

    /// The Recorder committed these, or put them into quarantine.
    pub fn store(&mut self, stored: &SeqRanges) {
        self.taken.union(stored);
        self.stored.union(stored);
        self.news.union(stored);
        for range in stored.iter() {
            self.refused.remove(*range.start(), *range.end());
        }
    }

    /// The source sent again what is stored: it did not hear, so it is told again.
    pub fn tell_again(&mut self, seq: u32) {
        if self.stored.contains(seq) {
            self.news.insert(seq, seq);
        }
    }

    /// Seqs that the Recorder refused and that did not come again.
    #[must_use]
    pub fn refused(&self) -> &SeqRanges {
        &self.refused
    }

    /// Seqs known to be stored.
    #[must_use]
    pub fn stored(&self) -> &SeqRanges {
        &self.stored
    }

    /// Every seq of this connection up to here was taken; 0 before the first.
    #[must_use]
    pub fn accepted_through(&self) -> u32 {
        let Some(first) = self.first else { return 0 };
        self.taken.iter().find(|range| range.contains(&first)).map_or(first - 1, |range| *range.end())
    }

    /// The news since the last call, if any: at most 64 ranges, the rest comes next time.
    fn news(&mut self, slot: u16) -> Option<SlotAck> {
        let accepted_through = self.accepted_through();
        if self.news.is_empty() && accepted_through == self.told_through {
            return None;
        }
        let stored: SeqRanges = self.news.iter().take(SEQ_RANGES_MAX).map(|range| (*range.start(), *range.end())).collect();
        self.news = self.news.difference(&stored);
        self.told_through = accepted_through;
        Some(SlotAck { slot, accepted_through, stored })
    }

    /// A tick passes: the news where they are due, and what was handed over before counts as accepted.
    pub fn tick(&mut self, slot: u16, due: bool) -> Option<SlotAck> {
        let news = if due { self.news(slot) } else { None };
        self.settle();
        news
    }

    /// What was handed over before this tick counts as accepted from now on.
    fn settle(&mut self) {
        self.taken.union(&self.fresh);
        self.fresh.clear();
        for ranges in [&mut self.taken, &mut self.stored, &mut self.news, &mut self.refused] {
            ranges.keep_highest(RANGES_MAX);
        }
    }
}

/// When one connection is to hear its next [`Ack`].
#[derive(Debug, Clone, Default)]
pub struct AckClock {
    told_mono_ms: i64,
    readings: u32,
}

impl AckClock {
    /// Counts something numbered that came.
    pub fn count(&mut self) {
        self.readings += 1;
    }

    /// Packs the news of a connection's slots where they are due. Call at each tick with all of its sources.
    pub fn pack<'a>(&mut self, sources: impl Iterator<Item = (u16, &'a mut Acks)>, now: Now) -> Option<Ack> {
        let due = self.is_due(now);
        let acks = sources.filter_map(|(slot, source)| source.tick(slot, due)).collect();
        self.packed(acks, now)
    }

    /// Whether the news of its slots go out at this tick.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        self.readings >= ACK_READINGS || now.mono_ms - self.told_mono_ms >= ACK_INTERVAL_MS
    }

    /// The news of its slots as one frame, if there are any.
    pub fn packed(&mut self, acks: Vec<SlotAck>, now: Now) -> Option<Ack> {
        if acks.is_empty() {
            return None;
        }
        (self.told_mono_ms, self.readings) = (now.mono_ms, 0);
        Some(Ack { acks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(mono_ms: i64) -> Now {
        Now { at_ms: 0, mono_ms }
    }

    #[test]
    fn a_reading_is_accepted_one_tick_after_it_was_handed_over() {
        let (mut acks, mut clock) = (Acks::default(), AckClock::default());
        acks.came(7);
        acks.hand_over(7, 7);
        assert_eq!(clock.pack([(1, &mut acks)].into_iter(), at(2_000)).map(|ack| ack.acks[0].accepted_through), Some(6));
        assert_eq!(clock.pack([(1, &mut acks)].into_iter(), at(3_000)).map(|ack| ack.acks[0].accepted_through), Some(7));
        assert_eq!(clock.pack([(1, &mut acks)].into_iter(), at(4_000)), None, "no news");
    }

    #[test]
    fn sixty_four_readings_are_acknowledged_before_the_second_is_over() {
        let (mut acks, mut clock) = (Acks::default(), AckClock { told_mono_ms: 1_000, readings: 0 });
        acks.came(1);
        for seq in 1..=64 {
            acks.hand_over(seq, seq);
            clock.count();
        }
        acks.settle();
        assert_eq!(clock.pack([(1, &mut acks)].into_iter(), at(1_050)).map(|ack| ack.acks[0].accepted_through), Some(64));
    }

    #[test]
    fn a_refused_reading_is_not_accepted_until_it_came_again() {
        let mut acks = Acks::default();
        acks.came(1);
        acks.hand_over(1, 3);
        acks.refuse(2, 2);
        acks.settle();
        assert_eq!((acks.accepted_through(), acks.has(2), acks.refused().contains(2)), (1, false, true));
        acks.hand_over(2, 2);
        acks.settle();
        assert_eq!((acks.accepted_through(), acks.refused().is_empty()), (3, true));
    }

    #[test]
    fn stored_is_told_once_and_again_to_a_source_that_did_not_hear() {
        let (mut acks, mut clock) = (Acks::default(), AckClock::default());
        acks.came(1);
        acks.hand_over(1, 2);
        acks.store(&SeqRanges::from_iter([(1, 2)]));
        let told =
            |acks: &mut Acks, clock: &mut AckClock, ms| clock.pack([(1, acks)].into_iter(), at(ms)).map(|ack| ack.acks[0].stored.clone());
        assert_eq!(told(&mut acks, &mut clock, 1_000), Some(SeqRanges::from_iter([(1, 2)])));
        assert_eq!(told(&mut acks, &mut clock, 2_000), None);
        acks.tell_again(2);
        assert_eq!(told(&mut acks, &mut clock, 3_000), Some(SeqRanges::from_iter([(2, 2)])));
    }

    proptest! {
        #[test]
        fn nothing_is_told_that_did_not_happen_and_everything_stored_is_told(
            steps in prop::collection::vec((0_u8..5, 1_u32..400), 1..400),
        ) {
            let (mut acks, mut clock) = (Acks::default(), AckClock::default());
            let (mut stored, mut told) = (SeqRanges::new(), SeqRanges::new());
            let mut refused = SeqRanges::new();
            for (tick, (what, seq)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => { acks.came(seq); acks.hand_over(seq, seq); refused.remove(seq, seq); }
                    2 if acks.has(seq) && !stored.contains(seq) => { acks.refuse(seq, seq); refused.insert(seq, seq); }
                    3 if acks.has(seq) => { stored.insert(seq, seq); acks.store(&SeqRanges::from_iter([seq])); }
                    _ => if let Some(ack) = clock.pack([(1, &mut acks)].into_iter(), at(tick as i64 * 2_000)) {
                        let news = &ack.acks[0];
                        prop_assert!(news.stored.iter().len() <= SEQ_RANGES_MAX);
                        prop_assert!(news.stored.difference(&stored).is_empty());
                        prop_assert!(refused.iter().all(|range| acks.first.is_none_or(|first| *range.start() < first) || *range.start() > news.accepted_through));
                        told.union(&news.stored);
                    },
                }
            }
            for tick in 0..10 {
                if let Some(ack) = clock.pack([(1, &mut acks)].into_iter(), at(1_000_000 + tick * 2_000)) { told.union(&ack.acks[0].stored); }
            }
            prop_assert_eq!(told, stored);
        }
    }
}
