//! Who watches which room of a gym.
//!
//! In: joins, leaves, ends of sessions. Out: who is where. A watcher costs its place in the room's list and its room in the session's
//! index, about a hundred bytes together; the map from session to outbox is the shard's.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{RoomName, SessionId};
use smallvec::SmallVec;

use crate::input::Viewer;

/// One session in one room.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    pub(crate) session: SessionId,
    pub(crate) viewer: Arc<Viewer>,
    pub(crate) class: u8,
}

/// All watchers of a gym.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    rooms: BTreeMap<RoomName, Vec<Watcher>>,
    sessions: BTreeMap<SessionId, SmallVec<[RoomName; 1]>>,
}

impl Watchers {
    /// Puts a session into a room, or replaces it there. Returns the class it had there before.
    pub(crate) fn join(&mut self, room: RoomName, watcher: Watcher) -> Option<u8> {
        let session = watcher.session;
        let (watchers, rooms) = (self.rooms.entry(room).or_default(), self.sessions.entry(session).or_default());
        // The session's own short list says whether it is there: a class start brings thousands into one room.
        if rooms.contains(&room)
            && let Some(before) = watchers.iter_mut().find(|before| before.session == session)
        {
            return Some(std::mem::replace(before, watcher).class);
        }
        watchers.push(watcher);
        rooms.push(room);
        None
    }

    /// Takes a session out of a room. Returns the class it had, if it was there.
    pub(crate) fn leave(&mut self, room: RoomName, session: SessionId) -> Option<u8> {
        let watchers = self.rooms.get_mut(&room)?;
        let at = watchers.iter().position(|watcher| watcher.session == session)?;
        let class = watchers.swap_remove(at).class;
        if watchers.is_empty() {
            self.rooms.remove(&room);
        }
        if let Some(rooms) = self.sessions.get_mut(&session) {
            rooms.retain(|other| *other != room);
            if rooms.is_empty() {
                self.sessions.remove(&session);
            }
        }
        Some(class)
    }

    /// Rooms that a session watches.
    pub(crate) fn rooms_of(&self, session: SessionId) -> &[RoomName] {
        self.sessions.get(&session).map_or(&[], SmallVec::as_slice)
    }

    pub(crate) fn watches(&self, session: SessionId, room: RoomName) -> bool {
        self.rooms_of(session).contains(&room)
    }

    /// Who watches a room.
    pub(crate) fn of(&self, room: RoomName) -> &[Watcher] {
        self.rooms.get(&room).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::frame::Role;
    use protocol::{GymId, MachineId, TenantId};
    use uuid::Uuid;

    #[test]
    fn a_session_is_once_in_a_room_and_leaves_no_trace() {
        let viewer =
            Arc::new(Viewer { tenant: TenantId(Uuid::nil()), role: Role::Display, subject: Uuid::nil(), gyms: vec![], teams: vec![] });
        let session = SessionId(Uuid::from_u128(1));
        let (floor, machine) = (RoomName::Floor(GymId(Uuid::nil())), RoomName::Machine(MachineId(Uuid::nil())));
        let mut watchers = Watchers::default();
        let watcher = |class| Watcher { session, viewer: Arc::clone(&viewer), class };
        assert_eq!(watchers.join(floor, watcher(0)), None);
        assert_eq!(watchers.join(floor, watcher(3)), Some(0));
        assert_eq!(watchers.join(machine, watcher(1)), None);
        assert_eq!((watchers.of(floor).len(), watchers.rooms_of(session).len()), (1, 2));
        assert_eq!(watchers.leave(floor, session), Some(3));
        assert_eq!(watchers.leave(floor, session), None);
        assert_eq!(watchers.leave(machine, session), Some(1));
        assert!(watchers.rooms.is_empty() && watchers.sessions.is_empty());
    }

    #[test]
    fn an_idle_watcher_costs_little() {
        assert!(size_of::<Watcher>() <= 32 && size_of::<(SessionId, SmallVec<[RoomName; 1]>)>() <= 64);
    }
}
