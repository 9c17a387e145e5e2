//! The events of one room: in order, without a silent gap, once each.
//!
//! In: event bodies with ids derived from their causes. Out: numbered [`Event`]s, and what a returning watcher missed. Owns
//! the epoch and the offset of the room's memory. Bounded: 256 events, 64 KiB, and nothing two minutes after the last watcher left;
//! whoever is further behind takes a snapshot. The offset goes on through that, so a watcher who missed nothing still resumes.
//! Does not know watchers, only whether there are any.

use std::collections::VecDeque;

use protocol::frame::{Event, EventBody};
use protocol::limits::{LOG_BYTES_MAX, LOG_EVENTS_MAX, LOG_LIFE_MS};
use protocol::wire::Encoding;
use protocol::{Epoch, EventId, ServerFrame};

use crate::input::Now;

/// Ids remembered, so that a cause that comes again makes no second event; longer than the log itself.
const IDS_MAX: usize = 2 * LOG_EVENTS_MAX;

/// What a returning watcher gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// The events after its offset, in order; perhaps none.
    Missed(Vec<Event>),
    /// Another epoch, or too far behind: it takes a snapshot.
    Reset,
}

/// The log of one room.
#[derive(Debug, Clone)]
pub struct EventLog {
    handle: u32,
    epoch: Epoch,
    offset: u64,
    events: VecDeque<(Event, usize)>,
    bytes: usize,
    ids: VecDeque<EventId>,
    unwatched_mono_ms: Option<i64>,
}

impl EventLog {
    /// An empty log of the room with this short number, under an epoch drawn at random by the caller.
    #[must_use]
    pub fn new(handle: u32, epoch: Epoch) -> Self {
        Self { handle, epoch, offset: 0, events: VecDeque::new(), bytes: 0, ids: VecDeque::new(), unwatched_mono_ms: None }
    }

    /// Appends what happened and returns it numbered; none where an event of this id was appended before.
    pub fn append(&mut self, id: EventId, at_ms: i64, body: EventBody) -> Option<Event> {
        if self.knows(id) {
            return None;
        }
        self.offset += 1;
        let event = Event { handle: self.handle, offset: self.offset, id, at_ms, body };
        let bytes = ServerFrame::Event(event.clone()).to_bytes(Encoding::MessagePack).len();
        self.events.push_back((event.clone(), bytes));
        self.bytes += bytes;
        while self.events.len() > LOG_EVENTS_MAX || self.bytes > LOG_BYTES_MAX {
            self.forget_oldest();
        }
        if self.ids.len() == IDS_MAX {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
        Some(event)
    }

    /// Whether an event of this id was appended, as far as remembered.
    #[must_use]
    pub fn knows(&self, id: EventId) -> bool {
        self.ids.iter().rev().any(|known| *known == id)
    }

    /// What a watcher missed that heard everything up to `offset` of `epoch`.
    #[must_use]
    pub fn recover(&self, epoch: Option<Epoch>, offset: u64) -> Recovery {
        let behind = self.offset.checked_sub(offset);
        match behind {
            Some(behind) if epoch == Some(self.epoch) && behind <= self.events.len() as u64 => {
                let from = self.events.len() - behind as usize;
                Recovery::Missed(self.events.range(from..).map(|(event, _)| event.clone()).collect())
            }
            _ => Recovery::Reset,
        }
    }

    /// Says how many watch now; call it when that changes and at each tick. The log is emptied two minutes after the last left.
    pub fn watched_by(&mut self, watchers: usize, now: Now) {
        if watchers > 0 {
            self.unwatched_mono_ms = None;
        } else if now.mono_ms - *self.unwatched_mono_ms.get_or_insert(now.mono_ms) >= LOG_LIFE_MS {
            self.events = VecDeque::new();
            self.bytes = 0;
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, bytes)) = self.events.pop_front() {
            self.bytes -= bytes;
        }
    }

    /// Whether it remembers no event: nothing was told yet, or everybody left long ago.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The epoch of this memory.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The offset of the newest event; 0 before the first.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The short number of the room.
    #[must_use]
    pub const fn handle(&self) -> u32 {
        self.handle
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::text::Text;
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> EventId {
        EventId(Uuid::from_u128(n))
    }

    fn points(points: u32) -> EventBody {
        EventBody::Points { points, reason: Text::cut("first kilometre") }
    }

    fn log() -> EventLog {
        EventLog::new(7, Epoch(42))
    }

    #[test]
    fn the_same_cause_twice_is_one_event() {
        let mut log = log();
        assert_eq!(log.append(id(1), 5, points(1)).map(|event| event.offset), Some(1));
        assert_eq!(log.append(id(1), 6, points(1)), None);
        assert_eq!(log.offset(), 1);
    }

    #[test]
    fn a_watcher_of_another_epoch_or_of_the_future_starts_over() {
        let mut log = log();
        log.append(id(1), 5, points(1));
        assert_eq!(log.recover(Some(Epoch(41)), 1), Recovery::Reset);
        assert_eq!(log.recover(None, 1), Recovery::Reset);
        assert_eq!(log.recover(Some(Epoch(42)), 2), Recovery::Reset);
    }

    #[test]
    fn two_minutes_after_the_last_watcher_only_those_who_missed_something_start_over() {
        let mut log = log();
        for n in 0..4 {
            log.append(id(n), 5, points(1));
        }
        let at = |mono_ms| Now { at_ms: 0, mono_ms };
        log.watched_by(0, at(0));
        log.watched_by(0, at(LOG_LIFE_MS - 1));
        assert!(matches!(log.recover(Some(Epoch(42)), 3), Recovery::Missed(missed) if missed.len() == 1));
        log.watched_by(0, at(LOG_LIFE_MS));
        assert_eq!(log.recover(Some(Epoch(42)), 3), Recovery::Reset);
        assert_eq!(log.recover(Some(Epoch(42)), 4), Recovery::Missed(Vec::new()));
    }

    proptest! {
        #[test]
        fn a_watcher_that_resumes_from_anywhere_has_every_event_once_or_starts_over(
            sizes in prop::collection::vec(0_usize..64, 1..600), heard in 0_u64..700,
        ) {
            let mut log = log();
            for (n, size) in sizes.iter().enumerate() {
                let body = EventBody::Points { points: n as u32, reason: Text::cut(&"x".repeat(*size)) };
                prop_assert_eq!(log.append(id(n as u128), 0, body).map(|event| event.offset), Some(n as u64 + 1));
            }
            prop_assert!(log.events.len() <= LOG_EVENTS_MAX && log.bytes <= LOG_BYTES_MAX);
            prop_assert_eq!(log.bytes, log.events.iter().map(|(_, bytes)| bytes).sum::<usize>());
            match log.recover(Some(Epoch(42)), heard) {
                Recovery::Missed(missed) => {
                    let offsets: Vec<u64> = missed.iter().map(|event| event.offset).collect();
                    prop_assert_eq!(offsets, (heard + 1..=log.offset()).collect::<Vec<_>>());
                }
                Recovery::Reset => prop_assert!(heard > log.offset() || heard + (log.events.len() as u64) < log.offset()),
            }
        }
    }
}
