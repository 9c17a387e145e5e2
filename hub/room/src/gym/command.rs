//! Control and stop: from whoever asks to the machine and back.
//!
//! In: targets, proposals, stops, the machine's answers, time. Out: commands and stops to the machine's link, results to issuers, events in
//! the rooms of the machine and of its workout. What may be sent is decided in `control`; how long a stop lives, in `stop`.

use protocol::frame::{
    Command, CommandAnswer, Control, ControlResult, Done, Error, EventBody, Propose, Role, Stop, StopAnswer, StopMachine, StopOutcome,
    StopResult, Target,
};
use protocol::limits::COMMAND_LIFE_MS;
use protocol::{ErrorCode, MachineId, ProposalId, RoomName, SessionId, WorkoutId};

use super::Gym;
use crate::control::{ControlNews, Known, Refusal, Situation, admit, aim};
use crate::effect::{Audience, Counter, Lane, Persist};
use crate::input::Viewer;
use crate::machine::Link;
use crate::rights::{Action, allows};
use crate::stop::{News, StopNews};
use crate::turn::Turn;

/// Proposals that wait for a member; a newer one takes the place of the oldest.
const PROPOSALS_MAX: usize = 8;
/// A proposal that was not taken is over after this time.
const PROPOSAL_LIFE_MS: i64 = 120_000;

/// A coach's proposal that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proposal {
    id: ProposalId,
    workout: WorkoutId,
    target: Target,
    until_mono_ms: i64,
}

impl Proposal {
    pub(super) fn workout(&self) -> WorkoutId {
        self.workout
    }
}

impl Gym {
    pub(super) fn control(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, control: &Control) {
        let id = control.machine;
        let refused = match self.may_control(turn, viewer, control) {
            Err(refusal) => refusal,
            Ok(None) => return self.known_command(turn, session, control),
            Ok(Some((link, expires_dev_ms))) => {
                let Some(machine) = self.machines.get_mut(&id) else { return };
                machine.controls.sent(session, control.id, control.target, turn.now.mono_ms);
                let Control { id: command, fence, target, .. } = *control;
                // In the lane of stops: a command that went before a stop does not come after it.
                turn.deliver(link, Lane::Safety, Command { machine: id, id: command, fence, target, expires_dev_ms });
                turn.count(Counter::CommandSent);
                self.proposals.retain(|proposal| Some(proposal.id) != control.proposal);
                return self.member_alive(turn, id);
            }
        };
        let mut error = Error::new(Some(control.req), refused.code);
        if let Some(detail) = refused.detail {
            error = error.detail(&detail);
        }
        turn.deliver(session, Lane::Event, error);
    }

    /// The same command again: what is known of it by now.
    fn known_command(&mut self, turn: &mut Turn<'_>, session: SessionId, control: &Control) {
        let known = self.machines.get(&control.machine).map(|machine| machine.controls.known(control.id));
        if let Some(Known::Repeat(Some(result))) = known {
            let result = ControlResult { machine: control.machine, id: control.id, result, code: None };
            turn.deliver(session, Lane::Event, result);
        }
    }

    /// The link and the expiry of a command that may be sent; none for one that was sent before.
    fn may_control(&self, turn: &Turn<'_>, viewer: &Viewer, control: &Control) -> Result<Option<(SessionId, i64)>, Refusal> {
        let (id, now) = (control.machine, turn.now);
        let machine = self.machines.get(&id).ok_or(ErrorCode::NoSuchMachine)?;
        match allows(viewer, Action::Control, &self.machine_object(id, false)) {
            Err(ErrorCode::Forbidden) if viewer.role == Role::Member => return Err(ErrorCode::NotClaimed.into()),
            Err(ErrorCode::NotFound) => return Err(ErrorCode::NoSuchMachine.into()),
            allowed => allowed?,
        }
        let hold = machine.hold.as_ref().ok_or(ErrorCode::NotClaimed)?;
        if hold.held.fence != control.fence {
            return Err(ErrorCode::StaleFence.into());
        }
        let known = machine.controls.known(control.id);
        if let Known::Repeat(_) = known {
            return Ok(None);
        }
        if !hold.may_control {
            return Err(ErrorCode::NotControllable.into());
        }
        let Link::Up { session, clock } = machine.link else { return Err(ErrorCode::MachineUnreachable.into()) };
        if known == Known::Busy || machine.stops.is_pending() {
            return Err(ErrorCode::CommandPending.into());
        }
        self.proposed(control, hold.held.workout, now.mono_ms)?;
        let device = self.connections.get(&session).and_then(|connection| connection.clocks.get(&clock));
        let expires_dev_ms = admit(
            control.target,
            &Situation {
                powered: machine.powered(),
                status: machine.status,
                ranges: machine.facts.and_then(|facts| facts.ranges),
                moves: machine.motion.moves(now.mono_ms),
                current: aim(control.target).and_then(|(field, _)| machine.motion.fresh(field, now.mono_ms)),
                // A machine that says hello again was perhaps started again: a pair from before that is of another clock.
                sure: device.is_some_and(|device| device.is_sure(now) && device.is_asked_since(machine.hello_mono_ms))
                    && !machine.controls.is_calm(now.mono_ms),
                expires_dev_ms: device.and_then(|device| device.to_dev(now.at_ms + COMMAND_LIFE_MS, now)),
            },
        )?;
        Ok(Some((session, expires_dev_ms)))
    }

    /// Whether the proposal that a member accepts is there and is this.
    fn proposed(&self, control: &Control, workout: WorkoutId, mono_ms: i64) -> Result<(), Refusal> {
        let Some(id) = control.proposal else { return Ok(()) };
        let stands = |proposal: &&Proposal| proposal.id == id && proposal.workout == workout && proposal.until_mono_ms > mono_ms;
        match self.proposals.iter().find(stands) {
            None => Err(ErrorCode::NotFound.into()),
            Some(proposal) if proposal.target != control.target => Err(ErrorCode::Conflict.into()),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn propose(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, propose: Propose) {
        let Propose { req, id, workout, target, text } = propose;
        let allowed = match self.member_of_workout(workout) {
            Some(member) => allows(viewer, Action::Propose, &self.member_object(member)),
            None => Err(ErrorCode::NotFound),
        };
        if let Err(code) = allowed {
            return turn.refuse(session, req, code);
        }
        self.proposals.retain(|proposal| proposal.id != id);
        if self.proposals.iter().filter(|proposal| proposal.workout == workout).count() >= PROPOSALS_MAX
            && let Some(oldest) = self.proposals.iter().position(|proposal| proposal.workout == workout)
        {
            self.proposals.remove(oldest);
        }
        self.proposals.push(Proposal { id, workout, target, until_mono_ms: turn.now.mono_ms + PROPOSAL_LIFE_MS });
        self.tell_workout(turn, workout, protocol::EventId(id.0), EventBody::Proposed { proposal: id, target, text });
        turn.deliver(session, Lane::Event, Done { req });
    }

    pub(super) fn command_answer(&mut self, turn: &mut Turn<'_>, session: SessionId, answer: &CommandAnswer) {
        let id = answer.machine;
        if !self.carries(session, id) {
            return turn.refuse(session, None, ErrorCode::MachineNotHeard);
        }
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.heard_at_ms = Some(turn.now.at_ms);
        let news = machine.controls.answered(answer.id, answer.stage, answer.result, turn.now.mono_ms);
        self.control_news(turn, id, news);
    }

    /// Tells the issuer, and at the end the rooms, what is known of a command.
    pub(crate) fn control_news(&mut self, turn: &mut Turn<'_>, id: MachineId, news: Option<ControlNews>) {
        let Some(news) = news else { return };
        let ControlNews { session, id: command, target, outcome, code } = news;
        turn.deliver(session, Lane::Event, ControlResult { machine: id, id: command, result: outcome, code });
        if news.is_last() {
            let body = EventBody::Control { machine: id, command, target, outcome };
            self.tell_machine_and_workout(turn, id, body);
        }
    }

    pub(super) fn controls_tick(&mut self, turn: &mut Turn<'_>) {
        let mono_ms = turn.now.mono_ms;
        self.proposals.retain(|proposal| proposal.until_mono_ms > mono_ms);
        let late: Vec<(MachineId, ControlNews)> =
            self.machines.values_mut().filter_map(|machine| Some((machine.id(), machine.controls.tick(mono_ms)?))).collect();
        for (id, news) in late {
            self.control_news(turn, id, Some(news));
        }
    }

    pub(super) fn stop(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, stop: &Stop) {
        let id = stop.machine;
        let watching = self.watches_machine(session, id);
        let refused = match (self.machines.contains_key(&id), allows(viewer, Action::Stop, &self.machine_object(id, watching))) {
            (false, _) | (_, Err(ErrorCode::NotFound)) => ErrorCode::NoSuchMachine,
            (true, Err(code)) => code,
            (true, Ok(())) => return self.ask_stop(turn, session, stop),
        };
        turn.deliver(session, Lane::Safety, Error::new(None, refused).detail(&stop.id.to_string()));
    }

    /// Whether the session watches the machine or the workout on it.
    fn watches_machine(&self, session: SessionId, id: MachineId) -> bool {
        let workout = self.machines.get(&id).and_then(|machine| machine.hold.as_ref()).map(|hold| hold.held.workout);
        self.watchers.watches(session, RoomName::Machine(id))
            || workout.is_some_and(|workout| self.watchers.watches(session, RoomName::Workout(workout)))
    }

    fn ask_stop(&mut self, turn: &mut Turn<'_>, session: SessionId, stop: &Stop) {
        let id = stop.machine;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let was_pending = machine.stops.is_pending();
        let news = machine.stops.ask(session, stop.id, machine.held_fence(), turn.now.mono_ms);
        let new = !was_pending && machine.stops.is_pending();
        self.stop_news(turn, id, news);
        if !new {
            return;
        }
        turn.count(Counter::StopAsked);
        let lost = self.machines.get_mut(&id).and_then(|machine| machine.controls.cancel());
        self.control_news(turn, id, lost);
        self.tell_machine_and_workout(turn, id, EventBody::Stop { machine: id, stop: stop.id, outcome: None });
    }

    pub(super) fn stop_answer(&mut self, turn: &mut Turn<'_>, session: SessionId, answer: &StopAnswer) {
        let id = answer.machine;
        if !self.carries(session, id) {
            return turn.refuse(session, None, ErrorCode::MachineNotHeard);
        }
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let news = machine.stops.answered(answer.id, answer.answer, answer.result, turn.now.mono_ms);
        self.stop_news(turn, id, news);
    }

    /// Does what a stop needs done, the machine first.
    pub(crate) fn stop_news(&mut self, turn: &mut Turn<'_>, id: MachineId, news: News) {
        let (gym, at_ms) = (self.id(), turn.now.at_ms);
        for one in news {
            match one {
                StopNews::Send { id: stop, fence } => {
                    if let Some(link) = self.machines.get(&id).and_then(|machine| machine.session()) {
                        turn.deliver(link, Lane::Safety, StopMachine { machine: id, id: stop, fence });
                    }
                }
                StopNews::Result { session, id: stop, outcome, code } => {
                    turn.deliver(session, Lane::Safety, StopResult { machine: id, id: stop, result: outcome, code });
                }
                StopNews::Alert { id: stop } => {
                    turn.count(Counter::StopUnconfirmed);
                    turn.persist(Persist::Stop { gym, machine: id, stop, outcome: StopOutcome::Unconfirmed, code: None, at_ms });
                    self.tell_staff(turn, EventBody::StopUnconfirmed { machine: id, stop });
                    let body = EventBody::Stop { machine: id, stop, outcome: Some(StopOutcome::Unconfirmed) };
                    self.tell_machine_and_workout(turn, id, body);
                }
                StopNews::Over { id: stop, outcome, code } => {
                    turn.count(if outcome == StopOutcome::Refused { Counter::StopRefused } else { Counter::StopStopped });
                    turn.persist(Persist::Stop { gym, machine: id, stop, outcome, code, at_ms });
                    let body = EventBody::Stop { machine: id, stop, outcome: Some(outcome) };
                    self.tell_staff(turn, body.clone());
                    self.tell_machine_and_workout(turn, id, body);
                    self.calm(turn, id, outcome);
                }
            }
        }
    }

    /// After a stop: a target that waited behind it raises nothing, and what was read before it says nothing of now.
    fn calm(&mut self, turn: &Turn<'_>, id: MachineId, outcome: StopOutcome) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.controls.calm(turn.now.mono_ms);
        if outcome == StopOutcome::Stopped {
            machine.motion.forget();
        }
    }

    pub(super) fn stops_tick(&mut self, turn: &mut Turn<'_>) {
        let mono_ms = turn.now.mono_ms;
        let due: Vec<(MachineId, News)> = self
            .machines
            .values_mut()
            .filter(|machine| machine.stops.is_pending())
            .map(|machine| (machine.id(), machine.stops.tick(mono_ms)))
            .collect();
        for (id, news) in due {
            self.stop_news(turn, id, news);
        }
    }

    /// Tells the machine's room and the room of the workout that runs on it.
    fn tell_machine_and_workout(&mut self, turn: &mut Turn<'_>, id: MachineId, body: EventBody) {
        let event = turn.event_id();
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.head.tell(turn, Audience::All, event, body.clone());
        if let Some(workout) = machine.hold.as_ref().map(|hold| hold.held.workout) {
            self.tell_workout(turn, workout, event, body);
        }
    }
}
