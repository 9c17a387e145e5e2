//! One peer's outgoing frames.
//!
//! In: prepared frames from shards and from the peer's own read loop. Out: the write loop of that peer's socket. Lanes in the order of the
//! delivery classes: safety first, then events, then live values. Bounded in bytes, together with what the writer holds: those of the frames and the
//! memory around them ([`held`]), since of small frames that is the larger part.
//! - Safety and event frames are never dropped: a peer that cannot take them is closed `Slow` and resumes.
//! - A live frame replaces the unsent one of its key, and where it does not fit the oldest live frame makes room: old values are worth nothing.
//! - A frame of changes goes the same way, but then the outbox is torn: what the frame alone told must be told again.
//!
//! Pushing never waits: a shard must not be held by one phone. Does not know rooms, users or encodings.

use std::collections::VecDeque;

use bytes::Bytes;
use room::Lane;

/// Frames handed to the writer at once; a safety frame waits for at most this much and the kernel's buffer.
const TAKE_BYTES_MAX: usize = 16 * 1024;
/// Slices of one vectored write.
pub(crate) const TAKE_FRAMES_MAX: usize = 64;
/// A lane that grew past this many frames gives its memory back once it is empty.
const IDLE_FRAMES_MAX: usize = 8;

/// Memory that a frame takes beside its bytes: its place in a lane (32 bytes; a lane doubles, so that there may be two for each frame, and a third while
/// it moves), and the count of who shares it (32).
const FRAME_BYTES: usize = 128;
/// The allocator rounds up by at most this part of what was asked for.
const ROUNDED_PART: usize = 8;

/// Bytes that are held for a waiting frame of so many bytes, at most.
#[must_use]
pub(super) const fn held(frame_bytes: usize) -> usize {
    frame_bytes + frame_bytes / ROUNDED_PART + FRAME_BYTES
}

/// The outbox is over its bound and nothing in it may be dropped: close the peer `Slow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the outbox holds {queued_bytes} bytes and its bound is {bytes_max}")]
pub struct Full {
    /// Bytes held.
    pub queued_bytes: usize,
    /// The bound.
    pub bytes_max: usize,
}

/// Whether the writer must be woken for a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The first frame since the writer last looked.
    Needed,
    /// Somebody already promised to wake it.
    Promised,
}

/// An unsent live frame.
struct Value {
    key: u64,
    frame: Bytes,
    /// It tells what no later frame of its key tells again.
    is_changes: bool,
}

/// The lanes.
pub struct Outbox {
    safety: VecDeque<Bytes>,
    event: VecDeque<Bytes>,
    live: VecDeque<Value>,
    queued_bytes: usize,
    taken_bytes: usize,
    bytes_max: usize,
    dropped_live: u32,
    wake_promised: bool,
    torn: bool,
}

impl Outbox {
    /// An empty outbox with a bound.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            safety: VecDeque::new(),
            event: VecDeque::new(),
            live: VecDeque::new(),
            queued_bytes: 0,
            taken_bytes: 0,
            bytes_max,
            dropped_live: 0,
            wake_promised: false,
            torn: false,
        }
    }

    /// Queues a frame with its header.
    ///
    /// # Errors
    /// [`Full`] when a safety or event frame does not fit even without live values; the caller closes the peer.
    pub fn push(&mut self, lane: Lane, frame: Bytes) -> Result<Wake, Full> {
        match lane {
            Lane::Safety => {
                self.make_room(held(frame.len()))?;
                self.queued_bytes += held(frame.len());
                self.safety.push_back(frame);
            }
            Lane::Event => {
                self.make_room(held(frame.len()))?;
                self.queued_bytes += held(frame.len());
                self.event.push_back(frame);
            }
            Lane::Live { key } => self.push_live(Value { key, frame, is_changes: false }),
            Lane::Changes { key } => self.push_live(Value { key, frame, is_changes: true }),
        }
        Ok(if std::mem::replace(&mut self.wake_promised, true) { Wake::Promised } else { Wake::Needed })
    }

    /// Bytes held here and in the writer's hands.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.queued_bytes + self.taken_bytes
    }

    /// Drops everything that waits, because the session is over. Answers how many frames that were.
    pub fn clear(&mut self) -> usize {
        let frames = self.safety.len() + self.event.len() + self.live.len();
        self.safety = VecDeque::new();
        self.event = VecDeque::new();
        self.live = VecDeque::new();
        self.queued_bytes = 0;
        frames
    }

    /// Live values that made room, since last asked.
    pub fn take_dropped(&mut self) -> u32 {
        std::mem::take(&mut self.dropped_live)
    }

    /// Whether changes were dropped since last asked.
    pub fn take_torn(&mut self) -> bool {
        std::mem::take(&mut self.torn)
    }

    /// Moves the next frames to `writing`, which the writer has emptied: what it was given before counts as gone.
    ///
    /// At most 16 KiB or 64 frames at once, so that a safety frame that comes now is not behind a quarter of a megabyte.
    pub fn take(&mut self, writing: &mut VecDeque<Bytes>) {
        self.wake_promised = false;
        self.taken_bytes = 0;
        let mut taken = 0;
        while writing.len() < TAKE_FRAMES_MAX {
            let next = match self.safety.front().or_else(|| self.event.front()).or_else(|| self.live.front().map(|value| &value.frame)) {
                Some(next) if writing.is_empty() || taken + next.len() <= TAKE_BYTES_MAX => next.len(),
                _ => break,
            };
            let frame =
                self.safety.pop_front().or_else(|| self.event.pop_front()).or_else(|| self.live.pop_front().map(|value| value.frame));
            writing.extend(frame);
            taken += next;
            self.taken_bytes += held(next);
            self.queued_bytes -= held(next);
        }
        self.give_back();
    }

    fn push_live(&mut self, value: Value) {
        let bytes = held(value.frame.len());
        if let Some(unsent) = self.live.iter_mut().find(|unsent| unsent.key == value.key) {
            self.queued_bytes = self.queued_bytes - held(unsent.frame.len()) + bytes;
            self.torn |= unsent.is_changes;
            *unsent = value;
            self.dropped_live += 1;
            // A larger value than the one it replaces may not fit any more.
            self.make_room(0).ok();
            return;
        }
        if self.make_room(bytes).is_err() {
            // Full of what may not be dropped: this value goes, a newer one will come.
            self.dropped_live += 1;
            self.torn |= value.is_changes;
            return;
        }
        self.queued_bytes += bytes;
        self.live.push_back(value);
    }

    /// Drops the oldest live values until `bytes` more fit. A frame larger than the bound passes alone: it was made within the wire's limits.
    fn make_room(&mut self, bytes: usize) -> Result<(), Full> {
        while self.bytes() > 0 && self.bytes() + bytes > self.bytes_max {
            let Some(oldest) = self.live.pop_front() else {
                return Err(Full { queued_bytes: self.bytes(), bytes_max: self.bytes_max });
            };
            self.queued_bytes -= held(oldest.frame.len());
            self.dropped_live += 1;
            self.torn |= oldest.is_changes;
        }
        Ok(())
    }

    fn give_back(&mut self) {
        if self.queued_bytes == 0 {
            for lane in [&mut self.safety, &mut self.event] {
                if lane.capacity() > IDLE_FRAMES_MAX {
                    *lane = VecDeque::new();
                }
            }
            if self.live.capacity() > IDLE_FRAMES_MAX {
                self.live = VecDeque::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    fn drain(outbox: &mut Outbox) -> Vec<usize> {
        let mut all = Vec::new();
        loop {
            let mut writing = VecDeque::new();
            outbox.take(&mut writing);
            if writing.is_empty() {
                return all;
            }
            all.extend(writing.iter().map(Bytes::len));
        }
    }

    #[test]
    fn safety_goes_ahead_of_events_and_events_ahead_of_live_values() {
        let mut outbox = Outbox::new(1000);
        outbox.push(Lane::Live { key: 1 }, frame(3)).unwrap();
        outbox.push(Lane::Event, frame(2)).unwrap();
        outbox.push(Lane::Safety, frame(1)).unwrap();
        assert_eq!(drain(&mut outbox), [1, 2, 3]);
    }

    #[test]
    fn a_newer_value_replaces_the_unsent_one_of_its_key() {
        let mut outbox = Outbox::new(1000);
        for (key, len) in [(1, 10), (2, 20), (1, 11)] {
            outbox.push(Lane::Live { key }, frame(len)).unwrap();
        }
        assert_eq!(outbox.bytes(), held(11) + held(20));
        assert_eq!(drain(&mut outbox), [11, 20]);
        assert_eq!(outbox.take_dropped(), 1);
    }

    #[test]
    fn changes_that_never_left_are_to_be_told_again_and_values_are_not() {
        let mut outbox = Outbox::new(1300);
        outbox.push(Lane::Live { key: 1 }, frame(100)).unwrap();
        outbox.push(Lane::Live { key: 1 }, frame(100)).unwrap();
        outbox.push(Lane::Changes { key: 2 }, frame(100)).unwrap();
        assert!(!outbox.take_torn(), "nothing of the changes is lost yet");
        outbox.push(Lane::Changes { key: 2 }, frame(100)).unwrap();
        assert!(outbox.take_torn() && !outbox.take_torn(), "the first were replaced");
        outbox.push(Lane::Event, frame(950)).unwrap();
        assert!(outbox.take_torn(), "the second made room for an event");
        outbox.push(Lane::Changes { key: 2 }, frame(400)).unwrap();
        assert!(outbox.take_torn(), "the third did not fit");
        assert_eq!(drain(&mut outbox), [950]);
    }

    #[test]
    fn live_values_make_room_for_events_and_events_for_nobody() {
        let mut outbox = Outbox::new(1300);
        outbox.push(Lane::Live { key: 1 }, frame(600)).unwrap();
        outbox.push(Lane::Event, frame(900)).unwrap();
        assert_eq!(outbox.push(Lane::Event, frame(110)), Err(Full { queued_bytes: held(900), bytes_max: 1300 }));
        outbox.push(Lane::Live { key: 2 }, frame(110)).unwrap();
        assert_eq!(drain(&mut outbox), [900]);
    }

    #[test]
    fn a_value_that_grew_does_not_pass_the_bound() {
        let mut outbox = Outbox::new(1300);
        outbox.push(Lane::Event, frame(600)).unwrap();
        outbox.push(Lane::Live { key: 1 }, frame(200)).unwrap();
        outbox.push(Lane::Live { key: 1 }, frame(500)).unwrap();
        assert_eq!((outbox.bytes(), drain(&mut outbox)), (held(600), vec![600]));
    }

    #[test]
    fn what_the_writer_holds_counts_until_it_comes_back_for_more() {
        let mut outbox = Outbox::new(1300);
        outbox.push(Lane::Event, frame(800)).unwrap();
        let mut writing = VecDeque::new();
        outbox.take(&mut writing);
        assert!(outbox.push(Lane::Event, frame(300)).is_err());
        writing.clear();
        outbox.take(&mut writing);
        outbox.push(Lane::Event, frame(300)).unwrap();
    }

    #[test]
    fn only_the_first_push_after_a_look_asks_for_a_wake() {
        let mut outbox = Outbox::new(1000);
        assert_eq!(outbox.push(Lane::Event, frame(1)), Ok(Wake::Needed));
        assert_eq!(outbox.push(Lane::Event, frame(1)), Ok(Wake::Promised));
        outbox.take(&mut VecDeque::new());
        assert_eq!(outbox.push(Lane::Event, frame(1)), Ok(Wake::Needed));
    }

    #[test]
    fn small_frames_take_no_more_memory_than_is_counted() {
        for len in [1, 90, 400] {
            let mut outbox = Outbox::new(256 * 1024);
            let mut frames = 0;
            while outbox.push(Lane::Event, frame(len)).is_ok() {
                frames += 1;
            }
            // The places of the lane, those of the half that it grew from, and the frames as the allocator rounds them.
            let places = (outbox.event.capacity() + outbox.event.capacity() / 2) * size_of::<Bytes>();
            let memory = places + frames * (len.next_multiple_of(16) + 32);
            assert!(memory <= 256 * 1024, "{frames} frames of {len} bytes take {memory}");
        }
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_no_event_is_lost(pushes in proptest::collection::vec((0_u64..6, 1_usize..400), 1..300)) {
            let mut outbox = Outbox::new(4096);
            let (mut events, mut drained) = (Vec::new(), Vec::new());
            for (kind, len) in pushes {
                match kind {
                    0 => drained.extend(drain(&mut outbox)),
                    // Odd lengths are events, even ones live values.
                    1 => if outbox.push(Lane::Event, frame(len | 1)).is_ok() { events.push(len | 1) },
                    key => drop(outbox.push(Lane::Live { key }, frame(len & !1))),
                }
                prop_assert!(outbox.bytes() <= 4096);
            }
            drained.extend(drain(&mut outbox));
            drained.retain(|len| len % 2 == 1);
            prop_assert_eq!(drained, events);
            prop_assert_eq!(outbox.bytes(), 0);
        }
    }
}
