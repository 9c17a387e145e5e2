//! What is true of one member across gyms: the one claim, the visit, and the room that all their devices watch.
//!
//! In: [`MemberInput`], mostly from gyms. Out: answers to reservations, revocations of claims that were left or superseded, events for
//! the member's devices. One claim per member: a gym asks (reserve), decides (grant) and tells (confirm); a reservation
//! ends after 2 s. Where two machines say after a restart that they are held, the newer fence stands. Knows no machine's state.

use std::sync::Arc;

use protocol::frame::{
    EventBody, HeldClaim, JoinRoom, Joined, Left, MemberClaim, MemberSnapshot, MemberVisit, ReleaseReason, Snapshot, VisitState,
};
use protocol::limits::RESERVATION_LIFE_MS;
use protocol::{ErrorCode, GymId, MachineId, MemberId, RoomName, SessionId, TenantId};

use crate::draw::{Draw, claim_event};
use crate::effect::{Audience, Effect, Lane};
use crate::input::{Input, MemberInput, MemberRecord, Now, Reservation, Viewer};
use crate::log::Recovery;
use crate::rights::{Action, Object, allows};
use crate::turn::{Head, Turn};

/// Who the member is when their memory is made.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberSeed {
    /// The member.
    pub member: MemberId,
    /// Their tenant.
    pub tenant: TenantId,
    /// What the store knows, if it was asked already.
    pub record: Option<MemberRecord>,
}

/// A machine that is kept for the member while its gym decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reserved {
    machine: MachineId,
    until_mono_ms: i64,
    hand_over: Option<u64>,
}

/// One member.
#[derive(Debug)]
pub struct Member {
    seed: MemberSeed,
    head: Head,
    watchers: Vec<(SessionId, Arc<Viewer>)>,
    holding: Option<MemberClaim>,
    reserved: Option<Reserved>,
    visit: Option<MemberVisit>,
}

impl Member {
    /// A member of whom nothing is known yet but who they are.
    #[must_use]
    pub fn new(seed: MemberSeed, draw: &mut Draw) -> Self {
        let head = Head::new(RoomName::Member(seed.member), draw);
        Self { seed, head, watchers: Vec::new(), holding: None, reserved: None, visit: None }
    }

    /// The member.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.seed.member
    }

    /// The machine that the member holds, and its fence.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn holds(&self) -> Option<(MachineId, u64)> {
        self.holding.as_ref().map(|held| (held.machine, held.claim.fence))
    }

    /// Whether nothing is lost by forgetting the member: nobody watches or did lately, nothing is held, no visit is active.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let visits = self.visit.as_ref().is_some_and(|visit| visit.state == VisitState::Active);
        self.watchers.is_empty() && self.holding.is_none() && self.reserved.is_none() && !visits && self.head.log.is_empty()
    }

    /// Applies one input and appends what must happen next, in order.
    pub fn step(&mut self, now: Now, input: MemberInput, draw: &mut Draw, out: &mut Vec<Effect>) {
        let turn = &mut Turn { now, draw, out };
        match input {
            MemberInput::Join { session, viewer, req, join } => self.join(turn, session, &viewer, req, join),
            MemberInput::Leave { session, req, room } => self.leave(turn, session, req, room),
            MemberInput::Gone { session } => {
                if self.unwatch(session) {
                    turn.out.push(Effect::Unwatch { room: self.head.name, session });
                }
            }
            MemberInput::Reserve { gym, machine, hand_over } => self.reserve(turn, gym, machine, hand_over),
            MemberInput::Confirm { gym, machine, claim, may_control } => self.confirm(turn, gym, machine, claim, may_control),
            MemberInput::Cancel { machine, .. } => {
                self.reserved.take_if(|reserved| reserved.machine == machine);
            }
            MemberInput::Released { machine, fence, reason } => self.released(turn, machine, fence, reason),
            MemberInput::Happened { body } => {
                let id = turn.event_id();
                self.head.tell(turn, Audience::All, id, *body);
            }
            MemberInput::Visit { visit } => self.visited(turn, visit),
            MemberInput::Known { record } => self.known(turn, record),
            MemberInput::Tick => self.tick(turn),
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.reserved.take_if(|reserved| turn.now.mono_ms >= reserved.until_mono_ms);
        self.head.log.watched_by(self.watchers.len(), turn.now);
    }

    fn may_watch(&self, viewer: &Viewer) -> Result<(), ErrorCode> {
        let teams = self.seed.record.as_ref().map_or(&[][..], |record| &record.teams);
        let object = Object { tenant: Some(self.seed.tenant), member: Some(self.seed.member), teams, ..Object::default() };
        allows(viewer, Action::RoomMember, &object)
    }

    fn join(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Arc<Viewer>, req: Option<u32>, join: JoinRoom) {
        let room = self.head.name;
        if let Err(code) = self.may_watch(viewer) {
            let code = if code == ErrorCode::NotFound { ErrorCode::NoSuchRoom } else { code };
            return match req {
                Some(_) => turn.refuse(session, req, code),
                None => turn.deliver(session, Lane::Event, Left { req: None, room, code: Some(code.code()) }),
            };
        }
        self.unwatch(session);
        self.watchers.push((session, Arc::clone(viewer)));
        turn.out.push(Effect::Watch { room, session, class: 0, staff: false });
        let log = &self.head.log;
        let (events, snapshot) = match log.recover(join.epoch, join.offset) {
            Recovery::Missed(events) => (events, None),
            Recovery::Reset => (Vec::new(), Some(Snapshot::Member(self.snapshot()))),
        };
        let (handle, epoch, offset, recovered) = (log.handle(), log.epoch(), log.offset(), snapshot.is_none());
        turn.deliver(session, Lane::Event, Joined { req, room, handle, epoch, offset, recovered, events, snapshot });
    }

    fn leave(&mut self, turn: &mut Turn<'_>, session: SessionId, req: u32, room: RoomName) {
        if self.unwatch(session) {
            turn.out.push(Effect::Unwatch { room, session });
            turn.deliver(session, Lane::Event, Left { req: Some(req), room, code: None });
        } else {
            turn.refuse(session, req, ErrorCode::NotJoined);
        }
    }

    fn unwatch(&mut self, session: SessionId) -> bool {
        let before = self.watchers.len();
        self.watchers.retain(|(watcher, _)| *watcher != session);
        self.watchers.len() != before
    }

    fn snapshot(&self) -> MemberSnapshot {
        let own = self.watchers.iter().filter(|(_, viewer)| viewer.subject == self.seed.member.0).count();
        MemberSnapshot {
            member: self.seed.member,
            claim: self.holding.clone(),
            visit: self.visit.clone(),
            sessions: u16::try_from(own).unwrap_or(u16::MAX),
        }
    }

    fn reserve(&mut self, turn: &mut Turn<'_>, gym: GymId, machine: MachineId, hand_over: Option<u64>) {
        let mono_ms = turn.now.mono_ms;
        self.reserved.take_if(|reserved| mono_ms >= reserved.until_mono_ms);
        let leaves = |claim: &MemberClaim| claim.machine == machine || hand_over == Some(claim.claim.fence);
        let answer = if self.reserved.is_some_and(|reserved| reserved.machine != machine) {
            Reservation::Pending
        } else if self.holding.as_ref().is_none_or(leaves) {
            self.reserved = Some(Reserved { machine, until_mono_ms: mono_ms + RESERVATION_LIFE_MS, hand_over });
            Reservation::Granted
        } else {
            Reservation::Busy
        };
        turn.tell_gym(gym, Input::Reserved { machine, member: self.seed.member, answer });
    }

    fn confirm(&mut self, turn: &mut Turn<'_>, gym: GymId, machine: MachineId, claim: HeldClaim, may_control: bool) {
        let reserved = self.reserved.take_if(|reserved| reserved.machine == machine);
        if let Some(held) = self.holding.as_ref().filter(|held| held.machine != machine) {
            let handed_over = reserved.is_some_and(|reserved| reserved.hand_over == Some(held.claim.fence));
            if claim.fence < held.claim.fence {
                let reason = ReleaseReason::Superseded;
                return turn.tell_gym(gym, Input::Revoke { machine, fence: claim.fence, reason });
            }
            let reason = if handed_over { ReleaseReason::HandedOver } else { ReleaseReason::Superseded };
            turn.tell_gym(held.gym, Input::Revoke { machine: held.machine, fence: held.claim.fence, reason });
        }
        self.holding = Some(MemberClaim { gym, machine, claim, may_control });
        let body = EventBody::Claimed { machine, claim, sign: None, may_control };
        self.head.tell(turn, Audience::All, claim_event("claimed", machine, claim.fence), body);
    }

    fn released(&mut self, turn: &mut Turn<'_>, machine: MachineId, fence: u64, reason: ReleaseReason) {
        self.holding.take_if(|held| held.machine == machine && held.claim.fence == fence);
        let body = EventBody::Released { machine, fence, reason };
        self.head.tell(turn, Audience::All, claim_event("released", machine, fence), body);
    }

    fn visited(&mut self, turn: &mut Turn<'_>, visit: MemberVisit) {
        let MemberVisit { visit: id, gym, state, .. } = visit;
        if self.visit.as_ref() == Some(&visit) {
            return;
        }
        self.visit = Some(visit);
        let event = turn.event_id();
        self.head.tell(turn, Audience::All, event, EventBody::Visit { visit: id, gym, state });
    }

    fn known(&mut self, turn: &mut Turn<'_>, record: MemberRecord) {
        self.seed.record = Some(record);
        let watchers = std::mem::take(&mut self.watchers);
        let (stay, out): (Vec<_>, Vec<_>) = watchers.into_iter().partition(|(_, viewer)| self.may_watch(viewer).is_ok());
        self.watchers = stay;
        let room = self.head.name;
        for (session, _) in out {
            turn.out.push(Effect::Unwatch { room, session });
            turn.deliver(session, Lane::Event, Left { req: None, room, code: Some(ErrorCode::Forbidden.code()) });
        }
    }
}

#[cfg(test)]
mod tests;
