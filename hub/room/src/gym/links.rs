//! Machines' connections: hello, states, faults, the end of a link.
//!
//! In: what a machine or gateway says of machines, and sessions that end. Out: `machine_ready` with the claim that holds, codes to
//! show, availability, tickets. The claim that a machine kept through a restart of the hub is believed unless the store or this room
//! knows a newer fence. The newest connection of a machine wins. A machine whose link is lost is unknown.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::frame::{
    Availability, ClaimClear, ClaimHeld, Error, EventBody, HeldClaim, MachineFault, MachineHello, MachineReady, MachineState,
    MachineStatus, OpenTicket, ReleaseReason, Severity, ShowCode, Sign,
};
use protocol::limits::{CODE_LIFE_MS, MACHINES_PER_SESSION_MAX};
use protocol::text::Text;
use protocol::{CloseReason, ErrorCode, MachineId, SessionId, TicketId};

use super::{Gym, is_machine_side};
use crate::draw::{FENCE_MAX, derived};
use crate::effect::{Effect, Lane, Persist};
use crate::input::{SourceHandle, Viewer};
use crate::machine::{Link, Machine};
use crate::rights::{Action, allows};
use crate::turn::Turn;

/// Open tickets of one machine; more of them say nothing new.
const TICKETS_MAX: usize = 16;

impl Gym {
    pub(super) fn machine_hello(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Arc<Viewer>, hello: MachineHello) {
        let id = hello.machine;
        let on_session = self.connections.get(&session).map_or(0, |connection| connection.machines.len());
        let refused = match (self.machines.get(&id), allows(viewer, Action::MachineHello, &self.machine_object(id, false))) {
            _ if !is_machine_side(viewer.role) => ErrorCode::Forbidden,
            (None, _) | (_, Err(ErrorCode::NotFound)) => ErrorCode::NoSuchMachine,
            (Some(_), Err(_)) => ErrorCode::ForeignMachine,
            (Some(machine), Ok(())) if machine.session() != Some(session) && on_session >= MACHINES_PER_SESSION_MAX => {
                ErrorCode::TooManyMachines
            }
            (Some(_), Ok(())) if self.clocks_full(session, hello.clock) => ErrorCode::TooManySlots,
            (Some(_), Ok(())) => return self.link(turn, session, &hello),
        };
        turn.refuse(session, None, refused);
    }

    fn link(&mut self, turn: &mut Turn<'_>, session: SessionId, hello: &MachineHello) {
        let (id, mono_ms) = (hello.machine, turn.now.mono_ms);
        let before = self.machines.get(&id).and_then(Machine::session);
        if let Some(before) = before.filter(|before| *before != session) {
            self.unlink(turn, before, id);
            turn.out.push(Effect::Close { session: before, reason: CloseReason::Replaced });
        }
        let connection = self.connections.entry(session).or_default();
        connection.clocks.entry(hello.clock).or_default().ask_soon();
        if !connection.machines.contains(&id) {
            connection.machines.push(id);
        }
        let at_ms = turn.now.at_ms;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.linked(session, hello, mono_ms);
        machine.heard_at_ms = Some(at_ms);
        let lost = machine.controls.cancel();
        self.control_news(turn, id, lost);
        self.reconcile(turn, id, hello.claim);
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let claim = machine.hold.as_ref().map(|hold| hold.held);
        turn.deliver(session, Lane::Event, MachineReady { machine: id, claim });
        let news = machine.stops.linked(mono_ms);
        self.stop_news(turn, id, news);
        self.availability_changed(turn, id);
        self.show_code(turn, id);
    }

    /// Compares the claim that a machine kept with what is known here. The newer fence stands.
    fn reconcile(&mut self, turn: &mut Turn<'_>, id: MachineId, kept: Option<HeldClaim>) {
        let Some(machine) = self.machines.get(&id) else { return };
        let held = machine.hold.as_ref().map(|hold| hold.held);
        match (kept, held) {
            (Some(kept), Some(held)) if kept == held => (),
            (Some(kept), held)
                if kept.fence > FENCE_MAX
                    || kept.fence < machine.fence
                    || kept.fence <= machine.ended_fence
                    || held.is_some_and(|held| held.fence == kept.fence) =>
            {
                if let Some(session) = machine.session() {
                    turn.deliver(session, Lane::Event, ClaimClear { machine: id, fence: kept.fence });
                }
            }
            (Some(kept), _) => {
                self.end_claim(turn, id, ReleaseReason::Superseded);
                self.keep_claim(turn, id, kept);
            }
            // A machine that forgot what it should keep is told again by `machine_ready`.
            (None, _) => (),
        }
    }

    /// Believes a claim from before the restart, from the store or from the machine itself.
    pub(super) fn keep_claim(&mut self, turn: &mut Turn<'_>, id: MachineId, claim: HeldClaim) {
        let Some(machine) = self.machines.get(&id) else { return };
        let stored = machine.record.claim.is_some_and(|stored| stored.fence == claim.fence);
        // What the store did not get to know before the restart is believed of the claim, but not that it may move a motor.
        let may_control = if stored { machine.record.may_control } else { machine.facts.is_some_and(|facts| !facts.powered) };
        let known = self.workouts.contains_key(&claim.workout);
        self.hold(turn, id, claim, may_control, None);
        if let Some(workout) = self.workouts.get_mut(&claim.workout).filter(|_| !known) {
            workout.start_is_guessed();
        }
    }

    pub(super) fn claim_held(&mut self, turn: &mut Turn<'_>, session: SessionId, held: &ClaimHeld) {
        let id = held.machine;
        if !self.carries(session, id) {
            return turn.refuse(session, None, ErrorCode::MachineNotHeard);
        }
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.heard_at_ms = Some(turn.now.at_ms);
        if machine.held_fence() != held.fence {
            turn.deliver(session, Lane::Event, ClaimClear { machine: id, fence: held.fence });
        }
    }

    pub(super) fn machine_state(&mut self, turn: &mut Turn<'_>, session: SessionId, state: &MachineState, heard_at_ms: i64) {
        let (id, mono_ms) = (state.machine, turn.now.mono_ms);
        if !self.carries(session, id) {
            return turn.refuse(session, None, ErrorCode::MachineNotHeard);
        }
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.heard_at_ms = Some(turn.now.at_ms);
        let before = machine.status.replace(state.state);
        machine.cause = state.cause;
        machine.user_present = state.user_present;
        let alive = state.user_present == Some(true) || (before != Some(state.state) && state.state == MachineStatus::Active);
        let news = match state.state {
            MachineStatus::Idle | MachineStatus::Paused | MachineStatus::Finishing | MachineStatus::SafetyStopped => {
                machine.stops.stands(mono_ms.saturating_sub(turn.now.at_ms.saturating_sub(heard_at_ms).max(0)), mono_ms)
            }
            MachineStatus::Booting | MachineStatus::Active | MachineStatus::Manual | MachineStatus::Faulted => Default::default(),
        };
        if matches!(state.state, MachineStatus::SafetyStopped | MachineStatus::Faulted | MachineStatus::Booting) {
            machine.motion.forget();
            let lost = machine.controls.cancel();
            self.control_news(turn, id, lost);
        }
        self.stop_news(turn, id, news);
        if alive {
            self.member_alive(turn, id);
        }
        self.workout_machine_state(turn, id, state.state);
        self.availability_changed(turn, id);
        self.show_code(turn, id);
    }

    pub(super) fn machine_fault(&mut self, turn: &mut Turn<'_>, session: SessionId, fault: MachineFault) {
        let (gym, at_ms, id) = (self.id(), turn.now.at_ms, fault.machine);
        if !self.carries(session, id) {
            return turn.refuse(session, None, ErrorCode::MachineNotHeard);
        }
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.heard_at_ms = Some(at_ms);
        let text: Text<256> =
            Text::cut(&fault.text.as_ref().map_or_else(|| fault.code.to_string(), |text| format!("{}: {text}", &*fault.code)));
        let known = machine.record.tickets.iter().any(|ticket| ticket.text == text);
        if known || machine.record.tickets.len() >= TICKETS_MAX {
            return;
        }
        let ticket = TicketId(derived(&format!("ticket:{}", &*fault.code), id.0, u64::try_from(at_ms).unwrap_or(0)));
        let severity = fault.severity;
        machine.record.tickets.push(OpenTicket { ticket, severity, text: text.clone(), opened_at_ms: at_ms });
        turn.persist(Persist::Ticket { gym, machine: id, ticket, severity, fault, at_ms });
        if severity == Severity::Error && !machine.record.maintenance {
            machine.record.maintenance = true;
            turn.persist(Persist::Maintenance { machine: id, open: true, text: text.clone(), at_ms });
        }
        self.tell_staff(turn, EventBody::Ticket { machine: id, ticket, severity, open: true, text });
        self.availability_changed(turn, id);
        self.show_code(turn, id);
    }

    /// A session ended: its rooms, its machines, its sources.
    pub(super) fn gone(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        self.leave_all(turn, session);
        self.sources_gone(turn, session);
        let machines = self.connections.get(&session).map(|connection| connection.machines.clone()).unwrap_or_default();
        for id in machines {
            self.unlink(turn, session, id);
        }
    }

    /// A machine is no longer anybody's here to speak for: its sources end with its link, and whoever spoke for it is told.
    pub(super) fn put_off(&mut self, turn: &mut Turn<'_>, id: MachineId, code: ErrorCode) {
        let of = self.sources.values().filter(|source| source.key.machine == Some(id));
        let sources: Vec<(SessionId, SourceHandle)> = of.map(|source| (source.session, source.handle)).collect();
        let link = self.machines.get(&id).and_then(Machine::session);
        let told: BTreeSet<SessionId> = sources.iter().map(|(session, _)| *session).chain(link).collect();
        for (session, handle) in sources {
            self.unbind(turn, session, handle);
        }
        if let Some(session) = link {
            self.unlink(turn, session, id);
        }
        for session in told {
            turn.deliver(session, Lane::Event, Error::new(None, code).detail(&id.to_string()));
        }
    }

    /// A machine is no longer on this session.
    pub(super) fn unlink(&mut self, turn: &mut Turn<'_>, session: SessionId, id: MachineId) {
        if let Some(connection) = self.connections.get_mut(&session) {
            connection.machines.retain(|machine| *machine != id);
            if connection.is_empty() {
                self.connections.remove(&session);
            }
        }
        let mono_ms = turn.now.mono_ms;
        let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.session() == Some(session)) else { return };
        machine.link = Link::Lost { since_mono_ms: mono_ms };
        machine.cause = protocol::frame::Cause::Unknown;
        machine.motion.forget();
        machine.stops.link_lost(mono_ms);
        let lost = machine.controls.cancel();
        self.codes.drop(id);
        self.control_news(turn, id, lost);
        self.availability_changed(turn, id);
    }

    /// Shows a code where one may be claimed, and voids it where not.
    pub(crate) fn show_code(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        let mono_ms = turn.now.mono_ms;
        let Some(machine) = self.machines.get(&id) else { return };
        let screen = machine.session().filter(|_| machine.facts.is_some_and(|facts| facts.screen));
        let Some(session) = screen.filter(|_| machine.claimable() && machine.availability() != Availability::Unknown) else {
            return self.codes.drop(id);
        };
        if !self.codes.shows(id, mono_ms) {
            let code = self.codes.rotate(id, mono_ms, turn.draw);
            let life_ms = CODE_LIFE_MS as u32;
            turn.deliver(session, Lane::Event, ShowCode { machine: id, code, life_ms });
        }
    }

    /// First movement on a machine whose sticker was scanned at rest.
    pub(crate) fn moved(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        self.signed(turn, id, Sign::Movement);
        self.member_alive(turn, id);
    }
}
