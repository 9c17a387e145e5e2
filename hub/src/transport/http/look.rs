//! A look at a floor as it is now, for answers over HTTP.
//!
//! In: a gym or a machine. Out: its snapshot, within a deadline, or nothing. Looks as a wall does: a peer without a socket joins the room, takes its first
//! answer and leaves, so that there is one way to look at a room and not two. Reads a floor as a display, the least of viewers: no tickets, no
//! names without consent; a machine for the code on its screen as its staff.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use protocol::frame::{FloorSnapshot, JoinRoom, Role, Snapshot};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{GymId, MachineId, RoomName, ServerFrame, SessionId, TenantId};
use room::{Input, Viewer};
use uuid::Uuid;

use super::Api;
use crate::hub::Hub;
use crate::session::Peer;
use crate::shard::Order;

/// A floor that does not answer within this time is answered for without its live part.
const LOOK_TIME: Duration = Duration::from_secs(1);

impl Api {
    /// The floor of a gym of the tenant now; nothing where its shard does not answer in time.
    pub(super) async fn floor(&self, tenant: TenantId, gym: GymId) -> Option<FloorSnapshot> {
        match self.look(tenant, gym, Role::Display, RoomName::Floor(gym)).await? {
            Snapshot::Floor(floor) => Some(floor),
            _ => None,
        }
    }

    /// The code on a machine's screen now, for its staff.
    pub(super) async fn screen_code(&self, tenant: TenantId, gym: GymId, machine: MachineId) -> Option<Text<16>> {
        match self.look(tenant, gym, Role::Operator, RoomName::Machine(machine)).await? {
            Snapshot::Machine(machine) => machine.code,
            _ => None,
        }
    }

    async fn look(&self, tenant: TenantId, gym: GymId, role: Role, room: RoomName) -> Option<Snapshot> {
        let place = self.registry.gym(gym).filter(|place| place.tenant == tenant)?;
        let session = SessionId(Uuid::now_v7());
        let viewer = Viewer { tenant, role, subject: session.0, gyms: vec![gym], teams: Vec::new() };
        let glance = Glance::begin(self, Arc::new(viewer), session, Home { gym, shard: place.shard }, room)?;
        tokio::time::timeout(LOOK_TIME, glance.answer()).await.ok().flatten()
    }
}

/// Where a look goes.
struct Home {
    gym: GymId,
    shard: usize,
}

/// A peer without a socket, for as long as the look takes.
struct Glance<'a> {
    hub: &'a Hub,
    peer: Arc<Peer>,
    gym: GymId,
    shard: usize,
}

impl<'a> Glance<'a> {
    fn begin(hub: &'a Hub, viewer: Arc<Viewer>, session: SessionId, Home { gym, shard }: Home, room: RoomName) -> Option<Self> {
        let bytes_max = hub.config.session.outbox_bytes;
        let peer = Arc::new(Peer::new(session, Encoding::MessagePack, viewer.clone(), i64::MAX, bytes_max));
        let glance = Self { hub, peer: peer.clone(), gym, shard };
        hub.shards.attach(shard, peer);
        let join = JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 };
        let input = Input::Join { session, viewer, req: None, join };
        hub.shards.push(shard, Order::Gym { gym, from: Some(session), input }).ok()?;
        Some(glance)
    }

    async fn answer(&self) -> Option<Snapshot> {
        let mut frames = VecDeque::new();
        std::future::poll_fn(|cx| {
            self.peer.register(cx.waker());
            if self.peer.closing().is_some() {
                return Poll::Ready(None);
            }
            loop {
                self.peer.lock().take(&mut frames);
                if frames.is_empty() {
                    return Poll::Pending;
                }
                for frame in frames.drain(..) {
                    match answer_of(&frame) {
                        Heard::Shown(shown) => return Poll::Ready(Some(*shown)),
                        Heard::Refused => return Poll::Ready(None),
                        Heard::Else => (),
                    }
                }
            }
        })
        .await
    }
}

impl Drop for Glance<'_> {
    fn drop(&mut self) {
        let session = self.peer.session;
        self.hub.shards.owe(self.shard, Order::Gym { gym: self.gym, from: Some(session), input: Input::Gone { session } });
        self.hub.shards.owe(self.shard, Order::Detach(session));
    }
}

enum Heard {
    Shown(Box<Snapshot>),
    Refused,
    Else,
}

fn answer_of(frame: &Bytes) -> Heard {
    let Some(payload) = payload(frame) else { return Heard::Else };
    match ServerFrame::decode(Encoding::MessagePack, payload) {
        Ok(ServerFrame::Joined(joined)) => match joined.snapshot {
            Some(snapshot) => Heard::Shown(Box::new(snapshot)),
            None => Heard::Refused,
        },
        Ok(ServerFrame::Error(_) | ServerFrame::Left(_)) => Heard::Refused,
        Ok(_) | Err(_) => Heard::Else,
    }
}

/// What stands behind the header of a frame that the hub wrote itself: unmasked, whole (RFC 6455 section 5.2).
fn payload(frame: &[u8]) -> Option<&[u8]> {
    let header = match frame.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame.get(header..)
}
