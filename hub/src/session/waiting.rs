//! Joins that wait for a look at the store, so that a leave takes them with it.
//!
//! In: a join as its wait begins and as it ends, a leave as it comes. Out: whether the join still counts. Its lock is held from the end of a
//! wait until the order is in the shard's inbox, so that each leave either finds the join here or comes to the shard behind it. Bounded by the
//! joins that may be under way: those of one hello and a few more.

use protocol::RoomName;

/// The joins of one session that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    last: u32,
    joins: Vec<Join>,
}

#[derive(Debug)]
struct Join {
    number: u32,
    room: RoomName,
    req: Option<u32>,
}

impl Waiting {
    /// A join begins to wait; answers its number.
    pub(super) fn begin(&mut self, room: RoomName, req: Option<u32>) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.joins.push(Join { number: self.last, room, req });
        self.last
    }

    /// The wait is over: whether the room is still wanted.
    pub(super) fn end(&mut self, number: u32) -> bool {
        let before = self.joins.len();
        self.joins.retain(|join| join.number != number);
        let wanted = self.joins.len() < before;
        if self.joins.is_empty() {
            // An idle session keeps no memory for it.
            self.joins = Vec::new();
        }
        wanted
    }

    /// A leave takes every waiting join of the room with it; answers the requests that were to join.
    pub(super) fn leave(&mut self, room: RoomName) -> Vec<u32> {
        self.joins.extract_if(.., |join| join.room == room).filter_map(|join| join.req).collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::MemberId;
    use uuid::Uuid;

    use super::*;

    const ANNA: RoomName = RoomName::Member(MemberId(Uuid::from_u128(1)));
    const BORIS: RoomName = RoomName::Member(MemberId(Uuid::from_u128(2)));

    #[test]
    fn a_leave_takes_every_join_of_its_room_and_no_other() {
        let mut waiting = Waiting::default();
        let (first, other, of_hello) = (waiting.begin(ANNA, Some(7)), waiting.begin(BORIS, Some(8)), waiting.begin(ANNA, None));
        assert_eq!(waiting.leave(ANNA), [7]);
        let again = waiting.begin(ANNA, Some(7));
        assert!(!waiting.end(first), "a join after the leave does not stand for the one before");
        assert!(!waiting.end(of_hello));
        assert!(waiting.end(other) && waiting.end(again));
        assert_eq!(waiting.joins.capacity(), 0);
    }
}
