//! Where a peer stands in each room it watches, and what it noticed there.
//!
//! In: every frame heard. Out: positions to resume from, gaps and repeats. Pure. A gap is an event whose offset is not one more
//! than the last of the same epoch without a `joined` or `reset` that said so.

use std::collections::HashMap;

use protocol::frame::{Event, JoinRoom, Joined, Snapshot};
use protocol::{Epoch, RoomName, ServerFrame};

/// Where a peer stands in one room.
#[derive(Debug, Clone)]
pub struct Position {
    /// The room.
    pub room: RoomName,
    /// Its handle on this connection.
    pub handle: u32,
    /// Epoch of its log.
    pub epoch: Epoch,
    /// Last offset known.
    pub offset: u64,
    /// The last snapshot heard.
    pub snapshot: Option<Snapshot>,
}

impl Position {
    /// The request that resumes here, with rate and fields as asked for in `asked`.
    #[must_use]
    pub fn join(&self, asked: &[JoinRoom]) -> JoinRoom {
        let as_before = asked.iter().find(|join| join.room == self.room);
        JoinRoom {
            room: self.room,
            epoch: Some(self.epoch),
            offset: self.offset,
            every_ms: as_before.map_or(0, |join| join.every_ms),
            fields: as_before.map_or(0, |join| join.fields),
        }
    }
}

/// All rooms of one connection.
#[derive(Debug, Default)]
pub struct Rooms {
    by_handle: HashMap<u32, Position>,
    gaps: u64,
    repeats: u64,
    resets: u64,
}

impl Rooms {
    /// Takes note of one frame.
    pub fn hear(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Joined(joined) => self.joined(joined),
            ServerFrame::Left(left) => self.by_handle.retain(|_, position| position.room != left.room),
            ServerFrame::Event(event) => self.event(event),
            ServerFrame::Reset(reset) => {
                self.resets += 1;
                if let Some(position) = self.by_handle.get_mut(&reset.handle) {
                    (position.epoch, position.offset) = (reset.epoch, reset.offset);
                    position.snapshot = Some(reset.snapshot.clone());
                }
            }
            _ => (),
        }
    }

    fn joined(&mut self, joined: &Joined) {
        // Events of a recovery lead up to `offset` without a hole; the first one follows what the peer asked from.
        let holes = joined.events.windows(2).filter(|pair| pair[1].offset != pair[0].offset + 1).count();
        let ends_elsewhere = joined.events.last().is_some_and(|last| last.offset != joined.offset);
        self.gaps += holes as u64 + u64::from(ends_elsewhere);
        let position = Position {
            room: joined.room,
            handle: joined.handle,
            epoch: joined.epoch,
            offset: joined.offset,
            snapshot: joined.snapshot.clone(),
        };
        self.by_handle.insert(joined.handle, position);
    }

    fn event(&mut self, event: &Event) {
        let Some(position) = self.by_handle.get_mut(&event.handle) else {
            self.gaps += 1;
            return;
        };
        match event.offset.checked_sub(position.offset) {
            Some(1) => position.offset = event.offset,
            Some(0) | None => self.repeats += 1,
            Some(_) => {
                self.gaps += 1;
                position.offset = event.offset;
            }
        }
    }

    /// The position in a room, if it is watched.
    #[must_use]
    pub fn get(&self, room: RoomName) -> Option<&Position> {
        self.by_handle.values().find(|position| position.room == room)
    }

    /// The room of a handle.
    #[must_use]
    pub fn by_handle(&self, handle: u32) -> Option<&Position> {
        self.by_handle.get(&handle)
    }

    /// Every position.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.by_handle.values()
    }

    /// Holes in event logs that nobody announced.
    #[must_use]
    pub const fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Events heard twice.
    #[must_use]
    pub const fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Resets heard.
    #[must_use]
    pub const fn resets(&self) -> u64 {
        self.resets
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::EventBody;

    use super::*;

    fn joined(offset: u64, events: Vec<Event>) -> ServerFrame {
        let room = RoomName::Floor(uuid::Uuid::nil().into());
        Joined { req: None, room, handle: 7, epoch: Epoch(1), offset, recovered: true, events, snapshot: None }.into()
    }

    fn event(offset: u64) -> Event {
        let body = EventBody::Points { points: 1, reason: protocol::text::Text::cut("test") };
        Event { handle: 7, offset, id: uuid::Uuid::nil().into(), at_ms: 0, body }
    }

    #[test]
    fn a_hole_is_a_gap_and_an_old_offset_a_repeat() {
        let mut rooms = Rooms::default();
        rooms.hear(&joined(4, vec![event(3), event(4)]));
        for offset in [5, 6, 6, 9, 10] {
            rooms.hear(&event(offset).into());
        }
        assert_eq!((rooms.gaps(), rooms.repeats()), (1, 1));
        assert_eq!(rooms.by_handle(7).unwrap().offset, 10);
    }

    #[test]
    fn a_recovery_with_a_hole_is_a_gap() {
        let mut rooms = Rooms::default();
        rooms.hear(&joined(6, vec![event(3), event(5)]));
        assert_eq!(rooms.gaps(), 2, "3 to 5, and 5 to the offset 6");
    }
}
