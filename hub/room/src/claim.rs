//! Claims: how a member comes to hold a machine, and how the hold ends.
//!
//! In: codes and stickers, second signs, the member room's word on reservations, releases, time. Out: grants with a fence, or a
//! catalogued refusal. A code proves that somebody stands before the screen; a sticker needs a second sign within 60 s and never
//! controls a powered machine. One member holds a machine, a member holds one machine: the member room decides, and what it
//! reserved ends after 2 s. A hold without a sign of life for ten minutes ends; that clock stands still while the link is lost.

use std::sync::Arc;

use protocol::frame::{
    Claim, ClaimBy, ClaimClear, ClaimSet, ClaimState, Claimed, Done, Error, EventBody, HeldClaim, Release, ReleaseReason, Sign,
};
use protocol::limits::{ABANDONED_AFTER_MS, CODE_LIFE_MS, RESERVATION_LIFE_MS};
use protocol::{ErrorCode, MachineId, MemberId, SessionId, WorkoutId};

use crate::code::CodeError;
use crate::draw::claim_event;
use crate::effect::{Audience, Counter, Lane, Persist};
use crate::gym::Gym;
use crate::input::{MemberInput, Reservation, Viewer};
use crate::machine::{Hold, Link};
use crate::rights::{Action, allows};
use crate::turn::Turn;

/// A grant must reach the member room within the reservation: the gym takes no answer later than this after asking.
const ANSWER_WITHIN_MS: i64 = RESERVATION_LIFE_MS / 2;

/// A claim that is being decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asking {
    pub(crate) member: MemberId,
    session: SessionId,
    req: u32,
    hand_over: Option<u64>,
    by_sticker: bool,
    /// At the scan of the sticker the machine stood: movement after that is a sign.
    rested: bool,
    sign: Option<Sign>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A sticker was scanned; until when the sign may come.
    AwaitingSign { until_mono_ms: i64 },
    /// The member room was asked; until when its answer counts.
    Reserving { until_mono_ms: i64 },
}

impl Asking {
    fn is_due(&self, mono_ms: i64) -> bool {
        match self.stage {
            Stage::AwaitingSign { until_mono_ms } | Stage::Reserving { until_mono_ms } => mono_ms >= until_mono_ms,
        }
    }

    fn awaits_sign(&self) -> bool {
        matches!(self.stage, Stage::AwaitingSign { .. })
    }
}

impl Gym {
    /// A member points at a machine.
    pub(crate) fn claim(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Arc<Viewer>, claim: &Claim) {
        if let Err(code) = allows(viewer, Action::Claim, &self.object()) {
            return turn.refuse(session, claim.req, code);
        }
        let member = MemberId(viewer.subject);
        let (machine, by_sticker) = match &claim.by {
            ClaimBy::Sticker(machine) => (*machine, true),
            ClaimBy::Code(code) => match self.codes.take(code, viewer.subject, turn.now.mono_ms) {
                Ok(machine) => (machine, false),
                Err(CodeError::Wrong) => return self.deny(turn, session, claim.req, ErrorCode::CodeWrong),
                Err(CodeError::TooMany { retry_after_ms }) => {
                    turn.count(Counter::ClaimDenied);
                    let error = Error::new(Some(claim.req), ErrorCode::TooFast).retry_after_ms(retry_after_ms);
                    return turn.deliver(session, Lane::Event, error);
                }
            },
        };
        let Err(code) = self.point_at(turn, session, claim, machine, member, by_sticker) else { return };
        self.deny(turn, session, claim.req, code);
        self.show_code(turn, machine);
    }

    fn deny(&mut self, turn: &mut Turn<'_>, session: SessionId, req: u32, code: ErrorCode) {
        turn.count(Counter::ClaimDenied);
        turn.refuse(session, req, code);
    }

    fn point_at(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        claim: &Claim,
        id: MachineId,
        member: MemberId,
        by_sticker: bool,
    ) -> Result<(), ErrorCode> {
        let mono_ms = turn.now.mono_ms;
        let machine = self.machines.get_mut(&id).ok_or(ErrorCode::NoSuchMachine)?;
        if let Some(hold) = machine.hold.as_ref().filter(|hold| hold.held.member == member) {
            let claimed = granted(Some(claim.req), id, hold);
            turn.deliver(session, Lane::Event, claimed);
            return Ok(());
        }
        if machine.hold.is_some() {
            return Err(ErrorCode::MachineBusy);
        }
        if !machine.claimable() {
            return Err(ErrorCode::MachineNotAvailable);
        }
        match &machine.asking {
            Some(asking) if asking.member != member && (by_sticker || !asking.awaits_sign()) => return Err(ErrorCode::MachineBusy),
            Some(asking) if !asking.awaits_sign() => return Err(ErrorCode::ClaimPending),
            Some(asking) if asking.member != member => {
                // A code is the stronger proof: whoever only scanned the sticker has to wait.
                let (other, req) = (asking.session, asking.req);
                turn.refuse(other, req, ErrorCode::MachineBusy);
            }
            _ => (),
        }
        let rested = machine.rests(mono_ms);
        let stage = Stage::AwaitingSign { until_mono_ms: mono_ms + CODE_LIFE_MS };
        let asking = Asking { member, session, req: claim.req, hand_over: claim.hand_over, by_sticker, rested, sign: None, stage };
        machine.asking = Some(asking);
        if by_sticker {
            self.await_sign(turn, id, member);
        } else {
            self.reserve(turn, id);
        }
        Ok(())
    }

    /// Tells that a sticker waits for its second sign; a member has one such wait.
    fn await_sign(&mut self, turn: &mut Turn<'_>, id: MachineId, member: MemberId) {
        for machine in self.machines.values_mut().filter(|machine| machine.id() != id) {
            if let Some(asking) = machine.asking.take_if(|asking| asking.member == member && asking.awaits_sign()) {
                turn.refuse(asking.session, asking.req, ErrorCode::SignMissing);
            }
        }
        let until_at_ms = turn.now.at_ms + CODE_LIFE_MS;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let Some(asking) = &machine.asking else { return };
        let claimed = Claimed {
            req: Some(asking.req),
            machine: id,
            state: ClaimState::AwaitingSign,
            fence: 0,
            workout: None,
            may_control: false,
            until_at_ms: Some(until_at_ms),
        };
        turn.deliver(asking.session, Lane::Event, claimed);
        let body = EventBody::SignAwaited { machine: id, until_at_ms };
        turn.tell_member(member, MemberInput::Happened { body: Box::new(body.clone()) });
        let event = turn.event_id();
        machine.head.tell(turn, Audience::All, event, body.clone());
        self.tell_staff(turn, body);
    }

    fn reserve(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        let gym = self.id();
        let Some(asking) = self.machines.get_mut(&id).and_then(|machine| machine.asking.as_mut()) else { return };
        asking.stage = Stage::Reserving { until_mono_ms: turn.now.mono_ms + ANSWER_WITHIN_MS };
        let (member, hand_over) = (asking.member, asking.hand_over);
        turn.tell_member(member, MemberInput::Reserve { gym, machine: id, hand_over });
    }

    /// Somebody showed to be at the machine.
    pub(crate) fn signed(&mut self, turn: &mut Turn<'_>, id: MachineId, sign: Sign) {
        let Some(asking) = self.machines.get_mut(&id).and_then(|machine| machine.asking.as_mut()) else { return };
        let counts = asking.awaits_sign() && (sign != Sign::Movement || asking.rested);
        if counts {
            asking.sign = Some(sign);
            self.reserve(turn, id);
        }
    }

    /// Staff vouches.
    pub(crate) fn approve(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, req: u32, id: MachineId) {
        let awaits = self.machines.get(&id).map(|machine| machine.asking.as_ref().is_some_and(Asking::awaits_sign));
        let refused = match (allows(viewer, Action::Approve, &self.object()), awaits) {
            (Err(code), _) => code,
            (Ok(()), None) => ErrorCode::NoSuchMachine,
            (Ok(()), Some(false)) => ErrorCode::NotClaimed,
            (Ok(()), Some(true)) => {
                turn.deliver(session, Lane::Event, Done { req });
                return self.signed(turn, id, Sign::Staff);
            }
        };
        turn.refuse(session, req, refused);
    }

    /// The member room answers a reservation.
    pub(crate) fn reserved(&mut self, turn: &mut Turn<'_>, id: MachineId, member: MemberId, answer: Reservation) {
        let gym = self.id();
        let asked = self.machines.get_mut(&id).and_then(|machine| {
            let mono_ms = turn.now.mono_ms;
            machine.asking.take_if(|asking| asking.member == member && !asking.awaits_sign() && !asking.is_due(mono_ms))
        });
        let Some(asking) = asked else {
            if answer == Reservation::Granted {
                turn.tell_member(member, MemberInput::Cancel { gym, machine: id });
            }
            return;
        };
        let refused = match answer {
            Reservation::Busy => ErrorCode::MemberBusy,
            Reservation::Pending => ErrorCode::ClaimPending,
            Reservation::Granted => match self.grant(turn, id, &asking) {
                Ok(()) => return,
                Err(code) => {
                    turn.tell_member(member, MemberInput::Cancel { gym, machine: id });
                    code
                }
            },
        };
        self.deny(turn, asking.session, asking.req, refused);
        self.show_code(turn, id);
    }

    fn grant(&mut self, turn: &mut Turn<'_>, id: MachineId, asking: &Asking) -> Result<(), ErrorCode> {
        let machine = self.machines.get(&id).filter(|machine| machine.claimable()).ok_or(ErrorCode::MachineNotAvailable)?;
        let fence = turn.draw.fence(machine.fence).ok_or(ErrorCode::Overloaded)?;
        let may_control = !(asking.by_sticker && machine.powered());
        let left = asking.hand_over.and_then(|fence| self.held_by(asking.member, fence));
        let workout = match left {
            Some((_, held)) => held.workout,
            None => WorkoutId(turn.draw.uuid(turn.now.at_ms)),
        };
        let held = HeldClaim { member: asking.member, fence, workout };
        self.hold(turn, id, held, may_control, asking.sign);
        if let Some((left, _)) = left {
            self.end_claim(turn, left, ReleaseReason::HandedOver);
        }
        let Some(hold) = self.machines.get(&id).and_then(|machine| machine.hold.as_ref()) else { return Ok(()) };
        turn.deliver(asking.session, Lane::Event, granted(Some(asking.req), id, hold));
        turn.count(Counter::ClaimGranted);
        Ok(())
    }

    /// The claim that a member leaves for another machine of this gym.
    fn held_by(&self, member: MemberId, fence: u64) -> Option<(MachineId, HeldClaim)> {
        let held = |machine: &crate::machine::Machine| Some((machine.id(), machine.hold.as_ref()?.held));
        self.machines.values().filter_map(held).find(|(_, held)| held.member == member && held.fence == fence)
    }

    /// Makes a claim stand: new, or kept by its machine through a restart of the hub.
    pub(crate) fn hold(&mut self, turn: &mut Turn<'_>, id: MachineId, held: HeldClaim, may_control: bool, sign: Option<Sign>) {
        let (gym, member) = (self.id(), held.member);
        self.codes.drop(id);
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.asking = None;
        machine.fence = machine.fence.max(held.fence);
        machine.controls.forget();
        let dropped = machine.stops.claim_began(held.fence, turn.now.mono_ms);
        let since_offset = machine.head.log.offset();
        // What it named in its last hello counts no more once another claim stands: it is told this one, or says hello again.
        machine.kept = machine.kept.filter(|kept| kept.fence == held.fence);
        machine.hold = Some(Hold { held, may_control, sign, alive_mono_ms: turn.now.mono_ms, since_offset });
        let body = EventBody::Claimed { machine: id, claim: held, sign, may_control };
        machine.head.tell(turn, Audience::All, claim_event("claimed", id, held.fence), body);
        if let Some(link) = machine.session() {
            turn.deliver(link, Lane::Event, ClaimSet { machine: id, claim: held });
        }
        let at_ms = turn.now.at_ms;
        turn.persist(Persist::Claim { gym, machine: id, member, fence: held.fence, workout: held.workout, may_control, at_ms });
        turn.tell_member(member, MemberInput::Confirm { gym, machine: id, claim: held, may_control });
        self.stop_news(turn, id, dropped);
        self.arrive(turn, member, id, held.workout);
        self.workout_holds(turn, id, held);
        self.availability_changed(turn, id);
    }

    /// A member, or staff, gives a machine back.
    pub(crate) fn release(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, release: &Release) {
        let object = self.machine_object(release.machine, false);
        let machine = self.machines.get(&release.machine);
        let refused = match machine.map(|machine| (machine.held_fence(), allows(viewer, Action::Release, &object))) {
            None => ErrorCode::NoSuchMachine,
            Some((0, _)) => ErrorCode::NotClaimed,
            Some((_, Err(ErrorCode::Forbidden))) if viewer.role == protocol::frame::Role::Member => ErrorCode::NotClaimed,
            Some((_, Err(code))) => code,
            Some((fence, Ok(()))) if fence != release.fence => ErrorCode::StaleFence,
            Some(_) => {
                let staff = viewer.role == protocol::frame::Role::Operator;
                let reason = if staff { ReleaseReason::Staff } else { ReleaseReason::Released };
                self.member_alive(turn, release.machine);
                self.end_claim(turn, release.machine, reason);
                return turn.deliver(session, Lane::Event, Done { req: release.req });
            }
        };
        turn.refuse(session, release.req, refused);
    }

    /// The member room, or a newer word, ends a claim.
    pub(crate) fn revoke(&mut self, turn: &mut Turn<'_>, id: MachineId, fence: u64, reason: ReleaseReason) {
        if self.machines.get(&id).is_some_and(|machine| machine.held_fence() == fence && fence != 0) {
            self.end_claim(turn, id, reason);
        }
    }

    /// Ends the claim that stands. The machine forgets its member; the workout ends with it unless it moved on.
    pub(crate) fn end_claim(&mut self, turn: &mut Turn<'_>, id: MachineId, reason: ReleaseReason) {
        let at_ms = turn.now.at_ms;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let Some(hold) = machine.hold.take() else { return };
        let HeldClaim { member, fence, workout } = hold.held;
        machine.ended_fence = machine.ended_fence.max(fence);
        let lost = machine.controls.cancel();
        machine.motion.forget();
        self.floor.clear(machine.index);
        let body = EventBody::Released { machine: id, fence, reason };
        machine.head.tell(turn, Audience::All, claim_event("released", id, fence), body);
        if let Some(link) = machine.session() {
            turn.deliver(link, Lane::Event, ClaimClear { machine: id, fence });
        }
        turn.persist(Persist::ClaimEnded { machine: id, fence, reason, at_ms });
        turn.tell_member(member, MemberInput::Released { machine: id, fence, reason });
        if let Some(here) = self.members.get_mut(&member).and_then(|here| here.visit.as_mut()) {
            here.alive(hold.alive_mono_ms);
        }
        self.control_news(turn, id, lost);
        self.workout_let_go(turn, id, workout);
        self.recheck_machine(turn, id);
        self.availability_changed(turn, id);
        self.show_code(turn, id);
    }

    /// Claims that ran out: signs that did not come, answers that did not come, members who walked away.
    pub(crate) fn claims_tick(&mut self, turn: &mut Turn<'_>) {
        let mono_ms = turn.now.mono_ms;
        let mut walked = Vec::new();
        let mut reopened = Vec::new();
        for machine in self.machines.values_mut() {
            if let Some(asking) = machine.asking.take_if(|asking| asking.is_due(mono_ms)) {
                let code = if asking.awaits_sign() { ErrorCode::SignMissing } else { ErrorCode::Unavailable };
                turn.count(Counter::ClaimDenied);
                turn.refuse(asking.session, asking.req, code);
                reopened.push(machine.id());
            }
            let up = matches!(machine.link, Link::Up { .. });
            if up && machine.hold.as_ref().is_some_and(|hold| mono_ms - hold.alive_mono_ms >= ABANDONED_AFTER_MS) {
                walked.push(machine.id());
            }
        }
        for id in walked {
            self.end_claim(turn, id, ReleaseReason::WalkedAway);
        }
        for id in reopened.into_iter().chain(self.codes.expired(mono_ms)) {
            self.show_code(turn, id);
        }
    }
}

/// The answer to whoever claims, and to whoever claims again what they hold.
fn granted(req: Option<u32>, machine: MachineId, hold: &Hold) -> Claimed {
    let HeldClaim { fence, workout, .. } = hold.held;
    let state = ClaimState::Granted;
    Claimed { req, machine, state, fence, workout: Some(workout), may_control: hold.may_control, until_at_ms: None }
}
