//! Members in the gym: visits, what the store knows of them, whether a wall may name them.
//!
//! In: claims, signs of life, check-out, records from the store, time. Out: visits, handles on walls only with consent, rooms left
//! by whoever may not watch them any more.

use protocol::frame::{CheckOut, Done, Error, ReleaseReason, VisitState};
use protocol::text::Text;
use protocol::{ErrorCode, MachineId, MemberId, RoomName, SessionId, VisitId, WorkoutId};

use super::Gym;
use crate::effect::{Effect, Lane, Tell};
use crate::input::{MemberInput, MemberRecord, Viewer};
use crate::machine::Machine;
use crate::rights::{Action, allows};
use crate::turn::Turn;
use crate::visit::Visit;

impl Gym {
    /// A member holds a machine: the visit begins with the first, and their record is read.
    pub(crate) fn arrive(&mut self, turn: &mut Turn<'_>, member: MemberId, machine: MachineId, workout: WorkoutId) {
        let (gym, now) = (self.id(), turn.now);
        let known = self.visit_of_workout(workout);
        let here = self.members.entry(member).or_default();
        if here.record.is_none() {
            turn.out.push(Effect::Tell(Tell::LookUpMember { gym, member }));
        }
        let new = here.visit.is_none();
        let visit = here.visit.get_or_insert_with(|| {
            let (id, started_at_ms) = known.unwrap_or_else(|| (VisitId(turn.draw.uuid(now.at_ms)), now.at_ms));
            Visit::new(id, started_at_ms, now.mono_ms)
        });
        visit.alive(now.mono_ms);
        if visit.uses(machine) | new {
            turn.persist(visit.fact(gym, member));
        }
        if new {
            turn.tell_member(member, MemberInput::Visit { visit: visit.shown(gym) });
        }
    }

    /// A visit from before the restart goes on.
    pub(super) fn visit_known(&mut self, turn: &mut Turn<'_>, member: MemberId, known: Visit) {
        let gym = self.id();
        let visit = self.members.entry(member).or_default().visit.get_or_insert(known);
        turn.tell_member(member, MemberInput::Visit { visit: visit.shown(gym) });
    }

    /// Whoever holds the machine gave a sign of life.
    pub(crate) fn member_alive(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        let mono_ms = turn.now.mono_ms;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.alive(mono_ms);
        let visit = machine.holder().and_then(|member| self.members.get_mut(&member)).and_then(|here| here.visit.as_mut());
        if let Some(visit) = visit {
            visit.alive(mono_ms);
        }
    }

    /// The visit of a member in this gym, if one is active.
    pub(crate) fn visit_id(&self, member: MemberId) -> Option<VisitId> {
        self.members.get(&member).and_then(|here| here.visit.as_ref()).map(|visit| visit.id)
    }

    fn visit_ends(&mut self, turn: &mut Turn<'_>, member: MemberId, state: VisitState) -> bool {
        let gym = self.id();
        let Some(mut visit) = self.members.get_mut(&member).and_then(|here| here.visit.take()) else { return false };
        visit.end(state, turn.now.at_ms);
        turn.persist(visit.fact(gym, member));
        turn.tell_member(member, MemberInput::Visit { visit: visit.shown(gym) });
        true
    }

    /// A member checks out: what they hold is released, the visit is completed.
    pub(super) fn check_out(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, check_out: &CheckOut) {
        if let Err(code) = allows(viewer, Action::CheckOut, &self.object()) {
            return turn.refuse(session, check_out.req, code);
        }
        let member = MemberId(viewer.subject);
        self.end_claims_of(turn, member, ReleaseReason::CheckedOut);
        if self.visit_ends(turn, member, VisitState::Completed) {
            turn.deliver(session, Lane::Event, Done { req: check_out.req });
        } else {
            let error = Error::new(Some(check_out.req), ErrorCode::NotFound).detail("no visit is active here");
            turn.deliver(session, Lane::Event, error);
        }
    }

    /// Ends every claim of a member in this gym.
    pub(crate) fn end_claims_of(&mut self, turn: &mut Turn<'_>, member: MemberId, reason: ReleaseReason) {
        for id in self.machines_of(member) {
            self.end_claim(turn, id, reason);
        }
    }

    fn machines_of(&self, member: MemberId) -> Vec<MachineId> {
        self.machines.values().filter(|machine| machine.holder() == Some(member)).map(Machine::id).collect()
    }

    /// The store tells of a member, or something of them changed.
    pub(super) fn member_known(&mut self, turn: &mut Turn<'_>, member: MemberId, record: MemberRecord) {
        self.boards_know(turn, member, &record);
        // Only members who are here are kept; whoever comes later is read then.
        let Some(here) = self.members.get_mut(&member) else { return };
        let ceiling_bpm = record.ceiling_bpm;
        let withdrawn = here.record.as_ref().is_some_and(|before| before.wall_consent) && !record.wall_consent;
        let ceiling_before = here.record.replace(record).and_then(|record| record.ceiling_bpm);
        if ceiling_bpm != ceiling_before {
            self.ceiling(turn, member, ceiling_bpm);
        }
        for id in self.machines_of(member) {
            self.availability_changed(turn, id);
            self.recheck(turn, RoomName::Machine(id));
        }
        if withdrawn {
            for id in self.machines_of(member) {
                self.machines.get(&id).into_iter().for_each(|machine| self.floor.withdraw(machine.index));
            }
            self.forget_floor(turn);
        }
        self.achievements_known(member);
        for workout in self.workouts_of(member) {
            self.recheck(turn, RoomName::Workout(workout));
        }
    }

    /// A member is being erased: claims, visit and workouts end, whoever watches them is put out, walls lose what they were told.
    pub(super) fn member_erased(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        self.end_claims_of(turn, member, ReleaseReason::CheckedOut);
        self.visit_ends(turn, member, VisitState::Completed);
        for workout in self.workouts_of(member) {
            self.workout_forgotten(turn, workout);
        }
        self.boards_erase(turn, member);
        if self.members.remove(&member).is_some() {
            self.forget_floor(turn);
        }
        turn.tell_member(member, MemberInput::Known { record: MemberRecord::default() });
    }

    /// The handle that walls may show for a machine: only of a member who agreed to it.
    pub(crate) fn wall_name(&self, machine: &Machine) -> Option<Text<48>> {
        let record = self.members.get(&machine.holder()?)?.record.as_ref()?;
        record.handle.clone().filter(|_| record.wall_consent)
    }

    pub(super) fn people_tick(&mut self, turn: &mut Turn<'_>) {
        let mono_ms = turn.now.mono_ms;
        let silent: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, here)| here.visit.as_ref().is_some_and(|visit| visit.is_silent(mono_ms)))
            .map(|(member, _)| *member)
            .filter(|member| !self.machines.values().any(|machine| machine.holder() == Some(*member)))
            .collect();
        for member in silent {
            self.visit_ends(turn, member, VisitState::Expired);
        }
        let training = self.members_training();
        let machines = &self.machines;
        self.members.retain(|member, here| {
            here.visit.is_some() || training.contains(member) || machines.values().any(|machine| machine.holder() == Some(*member))
        });
    }
}
