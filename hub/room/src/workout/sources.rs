//! Which sources contribute to a workout: attached, lost, back, stored, detached.
//!
//! In: sources by key and boot, with what they hold and what of theirs is stored. Out: their indexes in the room, their stretches for the store.

use std::ops::RangeInclusive;

use protocol::frame::{EventBody, RoomSource};
use protocol::{MachineId, SeqRanges};

use super::stretch::{Close, Link, Stretch};
use super::{SOURCES_MAX, Workout};
use crate::effect::Effect;
use crate::input::{Now, SourceKey};

impl Workout {
    /// A source contributes from this seq on. Returns its index in the room; none where the workout has as many as it may.
    pub fn attach(&mut self, key: &SourceKey, boot: u32, from_seq: u32, now: Now, out: &mut Vec<Effect>) -> Option<u16> {
        let going_on = self.stretches.iter().rposition(|stretch| stretch.is_of(key, boot) && stretch.to_seq() >= from_seq);
        if let Some(index) = going_on {
            return u16::try_from(index).ok();
        }
        if self.stretches.len() == SOURCES_MAX {
            return None;
        }
        let index = u16::try_from(self.stretches.len()).ok()?;
        self.stretches.push(Stretch::new(key.clone(), boot, from_seq.max(1)));
        self.persist_range(index, out);
        let body = EventBody::Source(self.room_source(index)?);
        self.tell(self.cause(format_args!("source:{:?}:{}:{boot}:{from_seq}", key.machine, key.sensor)), body, now, out);
        Some(index)
    }

    /// Whether a stretch began with what came first on its connection, though perhaps not first in order.
    pub fn began_by_first(&mut self, index: u16, by_first: bool) {
        if let Some(stretch) = self.stretches.get_mut(usize::from(index)) {
            stretch.by_first |= by_first;
        }
    }

    /// A stretch that began with what came first takes what was read before that and came after. Returns its index, if there is one.
    pub fn reaches_back(&mut self, key: &SourceKey, boot: u32, seq: u32, out: &mut Vec<Effect>) -> Option<u16> {
        let began = |stretch: &Stretch| stretch.is_of(key, boot) && stretch.by_first && stretch.from_seq > seq;
        let index = self.stretches.iter().rposition(began)?;
        self.stretches[index].from_seq = seq;
        let index = u16::try_from(index).ok()?;
        self.persist_range(index, out);
        Some(index)
    }

    /// The stretch that goes on takes what was read before it under the same claim. Returns its index where that is news.
    pub fn reaches_claim(&mut self, key: &SourceKey, boot: u32, from_seq: u32, out: &mut Vec<Effect>) -> Option<u16> {
        let open = |stretch: &Stretch| stretch.is_of(key, boot) && stretch.close == Close::Open;
        let index = self.stretches.iter().rposition(open)?;
        let own_end = self.stretches.iter().filter(|stretch| stretch.is_of(key, boot) && !open(stretch)).map(Stretch::to_seq).max();
        let from_seq = own_end.map_or(from_seq, |to_seq| from_seq.max(to_seq.saturating_add(1)));
        if self.stretches[index].from_seq <= from_seq {
            return None;
        }
        self.stretches[index].from_seq = from_seq;
        let index = u16::try_from(index).ok()?;
        self.persist_range(index, out);
        Some(index)
    }

    /// Stretches of a source in one boot: (index, from seq, to seq). A source that is bound again goes on in them.
    pub fn stretches_of(&self, key: &SourceKey, boot: u32) -> impl Iterator<Item = (u16, u32, u32)> {
        let of = move |(_, stretch): &(usize, &Stretch)| stretch.is_of(key, boot);
        self.stretches.iter().enumerate().filter(of).map(|(at, stretch)| (at as u16, stretch.from_seq, stretch.to_seq()))
    }

    /// Whether an earlier boot of this source contributes and was not seen to end.
    #[must_use]
    pub fn goes_on_before(&self, key: &SourceKey, boot: u32) -> bool {
        self.stretches.iter().any(|stretch| stretch.key == *key && stretch.boot < boot && stretch.close == Close::Open)
    }

    /// The connection of a source is gone; it may go on reading into its buffer, unless it was started again and a later boot is bound.
    pub fn link_lost(&mut self, key: &SourceKey, boot: u32, is_superseded: bool, now: Now, out: &mut Vec<Effect>) {
        for stretch in self.stretches.iter_mut().filter(|stretch| stretch.key == *key) {
            if stretch.boot == boot {
                (stretch.link, stretch.superseded_mono_ms) = (Link::Lost, is_superseded.then_some(now.mono_ms));
            } else if stretch.boot < boot {
                // Nobody is there to bind it.
                stretch.superseded_mono_ms = None;
            }
        }
        self.restage(now, out);
    }

    /// A source is bound again and holds these seqs. Of an older boot that it does not bind within a minute it holds nothing.
    pub fn link_back(&mut self, key: &SourceKey, boot: u32, held: &SeqRanges, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            let was = stretch.close;
            if stretch.is_of(key, boot) {
                stretch.back(held, now.mono_ms);
            } else if stretch.key == *key && stretch.boot < boot {
                stretch.superseded_mono_ms.get_or_insert(now.mono_ms);
            }
            if was != self.stretches[index].close {
                self.persist_range(index as u16, out);
            }
        }
        self.restage(now, out);
    }

    /// Closes boots that their sources started after and hold nothing of, and what ended while nobody knew where its source stands.
    pub(super) fn give_up(&mut self, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            let was = stretch.close;
            if stretch.listens(now.mono_ms) && stretch.close != was {
                self.persist_range(index as u16, out);
            }
            let stretch = &mut self.stretches[index];
            if stretch.is_given_up(now.mono_ms) {
                stretch.back(&SeqRanges::new(), now.mono_ms);
                stretch.close_at(stretch.newest_seq.min(stretch.to_seq()));
                self.persist_range(index as u16, out);
            }
        }
    }

    /// These seqs of a boot are stored.
    pub fn stored(&mut self, key: &SourceKey, boot: u32, stored: &SeqRanges, now: Now, out: &mut Vec<Effect>) {
        let mut matched = false;
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            if stretch.is_of(key, boot) {
                matched = true;
                let was = stretch.close;
                stretch.store(stored);
                if was != stretch.close {
                    self.persist_range(index as u16, out);
                }
            }
        }
        if matched {
            self.restage(now, out);
        }
    }

    /// The source holds these by its own word and does not bring them, however often it is asked.
    pub fn not_brought(&mut self, key: &SourceKey, boot: u32, ranges: &SeqRanges, now: Now, out: &mut Vec<Effect>) {
        self.stretches.iter_mut().filter(|stretch| stretch.is_of(key, boot)).for_each(|stretch| stretch.not_brought(ranges));
        self.restage(now, out);
    }

    /// Another workout begins with this seq of a boot: where the end of a stretch of it here is not known, it is before that.
    pub fn gives_way(&mut self, key: &SourceKey, boot: u32, from_seq: u32, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            let was = stretch.close;
            if stretch.is_of(key, boot) && stretch.from_seq < from_seq {
                stretch.bound(from_seq);
            }
            if was != self.stretches[index].close {
                self.persist_range(index as u16, out);
            }
        }
        self.restage(now, out);
    }

    /// A source contributed up to this seq and no further: the member left its machine.
    pub fn detach(&mut self, key: &SourceKey, boot: u32, to_seq: u32, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            if stretch.is_of(key, boot) && stretch.close == Close::Open {
                stretch.end(to_seq, now.at_ms);
                self.persist_range(index as u16, out);
            }
        }
        self.restage(now, out);
    }

    /// The training left a machine: sources of it whose link is lost contribute what they read until now.
    pub fn leaves(&mut self, machine: MachineId, now: Now, out: &mut Vec<Effect>) {
        self.end_open(|stretch| stretch.key.machine == Some(machine), now, out);
        self.restage(now, out);
    }

    /// A source of a machine that the workout left is back, and did not hear of that: what it holds of that claim, some of `seqs`, belongs, up
    /// to the time of the leaving.
    pub fn attach_left(
        &mut self,
        key: &SourceKey,
        boot: u32,
        left: (MachineId, u64),
        seqs: RangeInclusive<u32>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let Some(left) = self.left.iter().find(|known| (known.machine, known.fence) == left) else { return };
        let ended_at_ms = left.at_ms;
        let index = match self.stretches.iter().rposition(|stretch| stretch.is_of(key, boot) && stretch.to_seq() >= *seqs.start()) {
            // Closed while its link was down and nobody knew that yet.
            Some(index) if matches!(self.stretches[index].close, Close::At(to_seq) if to_seq < *seqs.end()) => index as u16,
            Some(_) => return,
            None => match self.attach(key, boot, *seqs.start(), now, out) {
                Some(index) => index,
                None => return,
            },
        };
        self.stretches[usize::from(index)].was_left(ended_at_ms);
        self.persist_range(index, out);
    }

    /// It is forgotten here: its stretches end where they are known to.
    pub(crate) fn forget(&mut self, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let was = self.stretches[index].close;
            self.stretches[index].forget();
            if was != self.stretches[index].close {
                self.persist_range(index as u16, out);
            }
        }
    }

    /// This machine was left and cannot be heard: the workout is not added up before its sources are back.
    pub fn waits_for(&mut self, machine: MachineId) {
        self.left.iter_mut().filter(|left| left.machine == machine).for_each(|left| left.is_awaited = true);
    }

    /// A source of this machine is back.
    pub fn is_back(&mut self, machine: MachineId) {
        self.left.iter_mut().filter(|left| left.machine == machine).for_each(|left| left.is_awaited = false);
    }

    /// Ends what goes on, with the newest that is known of it.
    pub(super) fn end_open(&mut self, of: impl Fn(&Stretch) -> bool, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            if stretch.close == Close::Open && of(stretch) {
                stretch.end(stretch.newest_seq, now.at_ms);
                self.persist_range(index as u16, out);
            }
        }
    }

    pub(super) fn room_source(&self, index: u16) -> Option<RoomSource> {
        let Stretch { key, boot, .. } = self.stretches.get(usize::from(index))?;
        Some(RoomSource { source: index, machine: key.machine, sensor: key.sensor.clone(), boot: *boot, workout: None })
    }
}
