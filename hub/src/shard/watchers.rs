//! Who watches what on one shard, and the fan-out to them.
//!
//! In: attach and detach of sessions, watch and unwatch of rooms, frames to deliver. Out: prepared frames in outboxes, each frame encoded
//! once per encoding, and the list of sessions to wake: each once per batch. Nothing is allocated per delivery.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use protocol::wire::Encoding;
use protocol::{CloseReason, MemberId, RoomName, ServerFrame, SessionId, TenantId};
use room::{Audience, Lane};

use crate::metrics::Metrics;
use crate::session::{Peer, Wake};
use crate::transport::wsframe;

struct Watcher {
    session: SessionId,
    peer: Arc<Peer>,
    class: u8,
    staff: bool,
}

struct Attached {
    peer: Arc<Peer>,
    rooms: Vec<RoomName>,
}

/// Sessions and the rooms that they watch.
pub struct Watchers {
    sessions: HashMap<SessionId, Attached, RandomState>,
    rooms: HashMap<RoomName, Vec<Watcher>, RandomState>,
    touched: Vec<Arc<Peer>>,
    metrics: Arc<Metrics>,
}

impl Watchers {
    /// Nobody yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { sessions: HashMap::default(), rooms: HashMap::default(), touched: Vec::new(), metrics }
    }

    /// Effects may name this session from now on.
    pub fn attach(&mut self, peer: Arc<Peer>) {
        if let Entry::Vacant(entry) = self.sessions.entry(peer.session) {
            entry.insert(Attached { peer, rooms: Vec::new() });
        }
    }

    /// Forgets a session and all that it watches. Answers the members whose rooms it watched, which have yet to hear of it.
    pub fn detach(&mut self, session: SessionId) -> Vec<(TenantId, MemberId)> {
        let Some(attached) = self.sessions.remove(&session) else { return Vec::new() };
        let tenant = attached.peer.viewer.tenant;
        let mut members = Vec::new();
        for room in attached.rooms {
            if let RoomName::Member(member) = room {
                members.push((tenant, member));
            }
            self.forget(room, session);
        }
        members
    }

    /// Whether effects may name the session.
    #[must_use]
    pub fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// A safety input of the session was taken from the lane.
    pub fn taken_urgent(&mut self, session: SessionId) {
        if let Some(attached) = self.sessions.get(&session) {
            attached.peer.safety_pending.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// The session gets what is broadcast in the room, from now on; again changes its class.
    pub fn watch(&mut self, room: RoomName, session: SessionId, class: u8, staff: bool) {
        let Some(attached) = self.sessions.get_mut(&session) else { return };
        let watchers = self.rooms.entry(room).or_default();
        if attached.rooms.contains(&room) {
            if let Some(watcher) = watchers.iter_mut().find(|watcher| watcher.session == session) {
                (watcher.class, watcher.staff) = (class, staff);
            }
            return;
        }
        attached.rooms.reserve_exact(1);
        attached.rooms.push(room);
        attached.peer.watches();
        watchers.push(Watcher { session, peer: attached.peer.clone(), class, staff });
    }

    /// The session gets nothing of the room any more.
    pub fn unwatch(&mut self, room: RoomName, session: SessionId) {
        if let Some(attached) = self.sessions.get_mut(&session) {
            let before = attached.rooms.len();
            attached.rooms.retain(|watched| *watched != room);
            if attached.rooms.len() < before {
                attached.peer.unwatches();
            }
        }
        self.forget(room, session);
    }

    /// Ends a session for a reason. A device's older socket that was asked whether anybody is there stays until it answers or does not.
    pub fn close(&mut self, session: SessionId, reason: CloseReason) {
        if let Some(attached) = self.sessions.get(&session)
            && !(reason == CloseReason::Replaced && attached.peer.is_asked())
        {
            attached.peer.close(reason);
        }
    }

    /// One frame to one session.
    pub fn deliver(&mut self, to: SessionId, lane: Lane, frame: &ServerFrame) {
        let Some(attached) = self.sessions.get(&to) else { return };
        let bytes = wsframe::prepare(frame, attached.peer.encoding);
        self.metrics.frames_out(lane, 1, bytes.len());
        push(&mut self.touched, &attached.peer, lane, bytes);
    }

    /// One frame to all watchers of a room that the audience names; with a tenant to those of the tenant only.
    pub fn broadcast(&mut self, room: RoomName, of: Option<TenantId>, audience: Audience, lane: Lane, frame: &ServerFrame) {
        let Some(watchers) = self.rooms.get(&room) else { return };
        let mut prepared: [Option<Bytes>; Encoding::ALL.len()] = [None, None];
        let mut receivers = [0_u64; Encoding::ALL.len()];
        for watcher in watchers {
            let wanted = match audience {
                Audience::All => true,
                Audience::Staff => watcher.staff,
                Audience::Class(class) => watcher.class == class,
            };
            if wanted && of.is_none_or(|tenant| watcher.peer.viewer.tenant == tenant) {
                let encoding = watcher.peer.encoding;
                let bytes = prepared[encoding as usize].get_or_insert_with(|| wsframe::prepare(frame, encoding));
                push(&mut self.touched, &watcher.peer, lane, bytes.clone());
                receivers[encoding as usize] += 1;
            }
        }
        for (bytes, receivers) in prepared.iter().zip(receivers) {
            if let Some(bytes) = bytes {
                self.metrics.frames_out(lane, receivers, bytes.len());
            }
        }
    }

    /// Wakes every session that got something since the last call, once.
    pub fn wake(&mut self) {
        for peer in self.touched.drain(..) {
            peer.wake();
        }
    }

    fn forget(&mut self, room: RoomName, session: SessionId) {
        if let Entry::Occupied(mut entry) = self.rooms.entry(room) {
            let watchers = entry.get_mut();
            if let Some(at) = watchers.iter().position(|watcher| watcher.session == session) {
                watchers.swap_remove(at);
            }
            if watchers.is_empty() {
                entry.remove();
            }
        }
    }
}

fn push(touched: &mut Vec<Arc<Peer>>, peer: &Arc<Peer>, lane: Lane, frame: Bytes) {
    if peer.push(lane, frame) == Wake::Needed {
        touched.push(peer.clone());
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::Role;
    use protocol::{GymId, MachineId};
    use room::Viewer;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_room_counts_while_it_is_watched_and_whoever_ended_it() {
        let mut watchers = Watchers::new(Arc::new(Metrics::new()));
        let session = SessionId(Uuid::from_u128(1));
        let tenant = TenantId(Uuid::from_u128(2));
        let viewer = Viewer { tenant, role: Role::Coach, subject: Uuid::nil(), gyms: vec![], teams: vec![] };
        let peer = Arc::new(Peer::new(session, Encoding::Json, Arc::new(viewer), i64::MAX, 4096));
        watchers.attach(peer.clone());
        let rooms =
            [RoomName::Floor(GymId(Uuid::nil())), RoomName::Machine(MachineId(Uuid::nil())), RoomName::Member(MemberId(Uuid::nil()))];
        for room in rooms.into_iter().chain(rooms) {
            watchers.watch(room, session, 0, true);
        }
        assert_eq!(peer.rooms(), 3);
        watchers.unwatch(rooms[1], session);
        watchers.unwatch(rooms[1], session);
        assert_eq!(peer.rooms(), 2);
        assert_eq!(watchers.detach(session), [(tenant, MemberId(Uuid::nil()))]);
    }
}
