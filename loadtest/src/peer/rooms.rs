//! Where a peer stands in each room it watches, and what it noticed there.
//!
//! In: the places asked for, every frame heard. Out: positions to resume from, gaps and repeats. Pure. A gap is an event whose offset is not one
//! more than the last of the same epoch without a `joined` or `reset` that said so, or a recovery that does not begin where it was asked to.

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
    /// Where each room was left before this connection.
    asked: HashMap<RoomName, (Epoch, u64)>,
    gaps: u64,
    repeats: u64,
    resets: u64,
    answered: u64,
    resumed: u64,
    recovered: u64,
}

impl Rooms {
    /// Rooms that go on from where these requests say.
    #[must_use]
    pub fn asking(joins: &[JoinRoom]) -> Self {
        let mut rooms = Self::default();
        joins.iter().for_each(|join| rooms.ask(join));
        rooms
    }

    /// A room is asked for: what is recovered must follow from here.
    pub fn ask(&mut self, join: &JoinRoom) {
        match join.epoch {
            Some(epoch) => self.asked.insert(join.room, (epoch, join.offset)),
            None => self.asked.remove(&join.room),
        };
    }

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
        // Events of a recovery lead from the place asked for up to `offset` without a hole.
        let holes = joined.events.windows(2).filter(|pair| pair[1].offset != pair[0].offset + 1).count();
        let ends_elsewhere = joined.events.last().is_some_and(|last| last.offset != joined.offset);
        self.gaps += holes as u64 + u64::from(ends_elsewhere);
        let asked = self.asked.remove(&joined.room);
        self.answered += u64::from(asked.is_some());
        if let Some((epoch, from)) = asked.filter(|_| joined.recovered) {
            let first = joined.events.first().map_or(joined.offset + 1, |event| event.offset);
            self.gaps += u64::from(joined.epoch != epoch || first != from + 1);
            self.resumed += 1;
            self.recovered += joined.events.len() as u64;
        }
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

    /// Rooms that were asked for from a place on, and answered: gone on or told anew.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Rooms that went on from the place asked for.
    #[must_use]
    pub const fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Events that came late because of it.
    #[must_use]
    pub const fn recovered(&self) -> u64 {
        self.recovered
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

    #[test]
    fn a_recovery_that_does_not_begin_where_it_was_asked_to_is_a_gap() {
        let room = RoomName::Floor(uuid::Uuid::nil().into());
        let asked = |epoch, offset| [JoinRoom { room, epoch: Some(Epoch(epoch)), offset, every_ms: 0, fields: 0 }];
        let gaps = |asked: &[JoinRoom], joined: ServerFrame| {
            let mut rooms = Rooms::asking(asked);
            rooms.hear(&joined);
            rooms.gaps()
        };
        assert_eq!(gaps(&asked(1, 2), joined(4, vec![event(3), event(4)])), 0);
        assert_eq!(gaps(&asked(1, 4), joined(4, vec![])), 0);
        assert_eq!(gaps(&asked(1, 2), joined(4, vec![event(4)])), 1, "3 is missing at the front");
        assert_eq!(gaps(&asked(1, 2), joined(7, vec![])), 1, "recovered without a word of 3 to 7");
        assert_eq!(gaps(&asked(2, 4), joined(4, vec![])), 1, "another memory cannot be recovered from");
        assert_eq!(gaps(&[], joined(7, vec![])), 0, "nothing was asked for");
    }
}
