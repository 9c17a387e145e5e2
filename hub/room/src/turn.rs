//! One step's time, draw and effects, handed down through the rules.
//!
//! In: what `step` was called with. Out: effects, in order. Owns nothing.

use protocol::frame::{Error, Event, EventBody, ServerFrame};
use protocol::{ErrorCode, EventId, MemberId, RoomName, SessionId};

use crate::draw::Draw;
use crate::effect::{Audience, Counter, Effect, Lane, Persist, Tell};
use crate::input::{Input, MemberInput, Now};
use crate::log::EventLog;

/// One step on its way.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) draw: &'a mut Draw,
    pub(crate) out: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    pub(crate) fn deliver(&mut self, to: SessionId, lane: Lane, frame: impl Into<ServerFrame>) {
        self.out.push(Effect::Deliver { to, lane, frame: Box::new(frame.into()) });
    }

    pub(crate) fn refuse(&mut self, to: SessionId, req: impl Into<Option<u32>>, code: ErrorCode) {
        self.deliver(to, Lane::Event, Error::new(req.into(), code));
    }

    pub(crate) fn persist(&mut self, fact: Persist) {
        self.out.push(Effect::Persist(fact));
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.out.push(Effect::Count(counter));
    }

    pub(crate) fn tell_member(&mut self, member: MemberId, input: MemberInput) {
        self.out.push(Effect::Tell(Tell::Member { member, input: Box::new(input) }));
    }

    pub(crate) fn tell_gym(&mut self, gym: protocol::GymId, input: Input) {
        self.out.push(Effect::Tell(Tell::Gym { gym, input: Box::new(input) }));
    }

    pub(crate) fn event_id(&mut self) -> EventId {
        EventId(self.draw.uuid(self.now.at_ms))
    }
}

/// A room's name and its events.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) name: RoomName,
    pub(crate) log: EventLog,
}

impl Head {
    pub(crate) fn new(name: RoomName, draw: &mut Draw) -> Self {
        Self { name, log: EventLog::new(draw.handle(), draw.epoch()) }
    }

    /// Puts an event into the log and tells it to an audience, unless an event of this id was told before.
    pub(crate) fn tell(&mut self, turn: &mut Turn<'_>, audience: Audience, id: EventId, body: EventBody) -> Option<Event> {
        let event = self.log.append(id, turn.now.at_ms, body)?;
        turn.out.push(Effect::Broadcast { room: self.name, audience, lane: Lane::Event, frame: Box::new(event.clone().into()) });
        Some(event)
    }
}
