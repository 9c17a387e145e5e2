//! The watcher classes of one live room: who sees how much, how often.
//!
//! In: what watchers ask for (a period and a set of fields) and readings. Out: one `live` frame per class, shared by all of its
//! watchers. At most 8 distinct classes a room; asking for a ninth is `too_many_classes`. Latest wins: within a period the newer value of
//! a field replaces the older, and each frame says the age of its newest value at sending. Does not know sessions.

use protocol::frame::Live;
use protocol::limits::{CLASSES_PER_ROOM_MAX, STALE_MS};
use protocol::{ErrorCode, Reading, RoomName, ServerFrame};
use smallvec::SmallVec;

use crate::effect::{Audience, Effect, Lane};
use crate::input::Now;

/// Periods that rooms serve; a wish is rounded up to the next, or down to the last.
const SERVED_MS: [u32; 7] = [0, 250, 500, 1_000, 2_000, 5_000, 10_000];

#[derive(Debug, Clone)]
struct Class {
    every_ms: u32,
    fields: u32,
    watchers: u32,
    due: SmallVec<[Due; 2]>,
}

/// What one class still has to hear of one source.
#[derive(Debug, Clone)]
struct Due {
    source: u16,
    next_mono_ms: i64,
    waiting: Option<Value>,
}

#[derive(Debug, Clone)]
struct Value {
    seq: u32,
    taken_mono_ms: i64,
    reading: Reading,
}

/// The classes of one room.
#[derive(Debug, Clone)]
pub struct Classes {
    room: RoomName,
    handle: u32,
    classes: SmallVec<[Option<Class>; 4]>,
}

impl Classes {
    /// The classes of a room that nobody watches yet.
    #[must_use]
    pub fn new(room: RoomName, handle: u32) -> Self {
        Self { room, handle, classes: SmallVec::new() }
    }

    /// Counts a watcher in and returns the number of its class for [`Effect::Watch`].
    ///
    /// # Errors
    /// [`ErrorCode::TooManyClasses`] where the wish would be the ninth distinct one.
    pub fn join(&mut self, every_ms: u32, fields: u32) -> Result<u8, ErrorCode> {
        let every_ms = SERVED_MS.into_iter().find(|served| *served >= every_ms).unwrap_or(SERVED_MS[SERVED_MS.len() - 1]);
        let fields = if fields == 0 { u32::MAX } else { fields };
        let same = |class: &&mut Class| class.every_ms == every_ms && class.fields == fields;
        if let Some((at, class)) =
            self.classes.iter_mut().enumerate().find_map(|(at, class)| class.as_mut().filter(same).map(|class| (at, class)))
        {
            class.watchers += 1;
            return Ok(at as u8);
        }
        let class = Class { every_ms, fields, watchers: 1, due: SmallVec::new() };
        match self.classes.iter().position(Option::is_none) {
            Some(free) => {
                self.classes[free] = Some(class);
                Ok(free as u8)
            }
            None if self.classes.len() < CLASSES_PER_ROOM_MAX => {
                self.classes.push(Some(class));
                Ok(self.classes.len() as u8 - 1)
            }
            None => Err(ErrorCode::TooManyClasses),
        }
    }

    /// Counts a watcher out; the last one's class is free for another wish.
    pub fn leave(&mut self, class: u8) {
        let Some(slot) = self.classes.get_mut(usize::from(class)) else { return };
        if let Some(class) = slot {
            class.watchers = class.watchers.saturating_sub(1);
            if class.watchers == 0 {
                *slot = None;
            }
        }
    }

    /// How many watch.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.classes.iter().flatten().map(|class| class.watchers as usize).sum()
    }

    /// Takes a live reading of a source, `age_ms` old, and emits it for the classes that are due.
    pub fn live(&mut self, source: u16, seq: u32, age_ms: u32, reading: &Reading, now: Now, out: &mut Vec<Effect>) {
        let taken_mono_ms = now.mono_ms - i64::from(age_ms);
        for (at, slot) in self.classes.iter_mut().enumerate() {
            let Some(class) = slot else { continue };
            let shown = reading.only(class.fields);
            if shown.is_empty() {
                continue;
            }
            let every_ms = i64::from(class.every_ms);
            let due = class.due_of(source);
            due.wait(Value { seq, taken_mono_ms, reading: shown });
            if now.mono_ms >= due.next_mono_ms {
                due.send(self.room, self.handle, at as u8, every_ms, now, out);
            }
        }
    }

    /// Emits what waited for its period; call at each tick.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        for (at, slot) in self.classes.iter_mut().enumerate() {
            let Some(class) = slot else { continue };
            let every_ms = i64::from(class.every_ms);
            for due in class.due.iter_mut().filter(|due| now.mono_ms >= due.next_mono_ms) {
                due.send(self.room, self.handle, at as u8, every_ms, now, out);
            }
        }
    }

    /// Forgets a source that ended.
    pub fn forget(&mut self, source: u16) {
        for class in self.classes.iter_mut().flatten() {
            class.due.retain(|due| due.source != source);
        }
    }
}

impl Class {
    fn due_of(&mut self, source: u16) -> &mut Due {
        let at = self.due.iter().position(|due| due.source == source).unwrap_or_else(|| {
            self.due.push(Due { source, next_mono_ms: i64::MIN, waiting: None });
            self.due.len() - 1
        });
        &mut self.due[at]
    }
}

impl Due {
    /// Puts a newer value over what waits. A machine that says its fields in two messages is told whole; a waiting value
    /// that went stale is dropped instead.
    fn wait(&mut self, value: Value) {
        let Some(before) = self.waiting.as_mut().filter(|before| value.taken_mono_ms - before.taken_mono_ms < STALE_MS) else {
            self.waiting = Some(value);
            return;
        };
        if before.reading.mask() & !value.reading.mask() == 0 {
            *before = value;
            return;
        }
        for (field, number) in value.reading.iter() {
            before.reading.set(field, number);
        }
        if !value.reading.rr().is_empty() {
            let rr: SmallVec<[u16; 16]> = value.reading.rr().iter().map(|interval| *interval as u16).collect();
            before.reading.set_rr(&rr);
        }
        (before.seq, before.taken_mono_ms) = (value.seq, value.taken_mono_ms);
    }

    fn send(&mut self, room: RoomName, handle: u32, class: u8, every_ms: i64, now: Now, out: &mut Vec<Effect>) {
        let Some(value) = self.waiting.take() else { return };
        self.next_mono_ms = now.mono_ms + every_ms;
        let age_ms = u32::try_from((now.mono_ms - value.taken_mono_ms).max(0)).unwrap_or(u32::MAX);
        let live = Live { handle, source: self.source, seq: value.seq, age_ms, reading: value.reading };
        let lane = Lane::Live { key: live_key(handle, self.source) };
        out.push(Effect::Broadcast { room, audience: Audience::Class(class), lane, frame: Box::new(ServerFrame::Live(live)) });
    }
}

/// What makes two live frames the same thing: the room and the source.
#[must_use]
pub const fn live_key(handle: u32, source: u16) -> u64 {
    (handle as u64) << 16 | source as u64
}

#[cfg(test)]
mod tests {
    use protocol::{Field, WorkoutId};
    use uuid::Uuid;

    use super::*;

    fn now(mono_ms: i64) -> Now {
        Now { at_ms: 0, mono_ms }
    }

    fn reading(fields: &[(Field, i32)]) -> Reading {
        let mut reading = Reading::new();
        for &(field, value) in fields {
            reading.set(field, value);
        }
        reading
    }

    fn room() -> Classes {
        Classes::new(RoomName::Workout(WorkoutId(Uuid::nil())), 3)
    }

    fn sent(out: &mut Vec<Effect>) -> Vec<(u8, Live)> {
        out.drain(..)
            .map(|effect| match effect {
                Effect::Broadcast { audience: Audience::Class(class), frame, .. } => match *frame {
                    ServerFrame::Live(live) => (class, live),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn watchers_with_the_same_wish_share_a_class_and_a_ninth_wish_is_refused() {
        let mut room = room();
        assert_eq!(room.join(900, 0), Ok(0));
        assert_eq!(room.join(1_000, 0), Ok(0), "rounded up to what the room serves");
        for fields in 1..=7 {
            assert_eq!(room.join(0, fields), Ok(fields as u8));
        }
        assert_eq!(room.join(0, 99), Err(ErrorCode::TooManyClasses));
        room.leave(3);
        assert_eq!(room.join(0, 99), Ok(3));
        assert_eq!(room.watchers(), 9);
    }

    #[test]
    fn every_reading_goes_to_the_fast_class_and_the_latest_to_the_slow_one_with_its_age() {
        let (mut room, mut out) = (room(), Vec::new());
        assert_eq!((room.join(0, 0), room.join(1_000, 0)), (Ok(0), Ok(1)));
        for (ms, seq) in [(0, 1), (250, 2), (500, 3)] {
            room.live(0, seq, 20, &reading(&[(Field::Power, seq as i32)]), now(ms), &mut out);
            room.tick(now(ms), &mut out);
        }
        room.tick(now(1_000), &mut out);
        room.tick(now(2_000), &mut out);
        let seen: Vec<_> = sent(&mut out).into_iter().map(|(class, live)| (class, live.seq, live.age_ms)).collect();
        assert_eq!(seen, [(0, 1, 20), (1, 1, 20), (0, 2, 20), (0, 3, 20), (1, 3, 520)]);
    }

    #[test]
    fn fields_told_in_two_messages_arrive_together_and_unwanted_ones_not_at_all() {
        let (mut room, mut out) = (room(), Vec::new());
        let fields = Field::Power.mask() | Field::Cadence.mask();
        assert_eq!(room.join(500, fields), Ok(0));
        room.live(0, 1, 0, &reading(&[(Field::Power, 1)]), now(0), &mut out);
        room.live(0, 2, 0, &reading(&[(Field::Power, 2), (Field::HeartRate, 140)]), now(100), &mut out);
        room.live(0, 3, 0, &reading(&[(Field::Cadence, 3)]), now(200), &mut out);
        room.live(0, 4, 0, &reading(&[(Field::HeartRate, 141)]), now(300), &mut out);
        room.tick(now(500), &mut out);
        let seen = sent(&mut out);
        assert_eq!(seen[1].1.reading, reading(&[(Field::Power, 2), (Field::Cadence, 3)]));
        assert_eq!((seen.len(), seen[1].1.seq, seen[1].1.age_ms), (2, 3, 300));
    }
}
