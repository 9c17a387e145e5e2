//! Workouts of the gym.

use std::collections::BTreeSet;

use protocol::frame::{EndWorkout, EventBody, HeldClaim, JoinRoom, LogSet, MachineStatus, Snapshot, Totals};
use protocol::{ErrorCode, EventId, MachineId, MemberId, SeqRanges, SessionId, VisitId, WorkoutId};

use super::Gym;
use crate::input::{SourceHandle, SourceKey, Viewer, WorkoutRecord};
use crate::log::EventLog;
use crate::source::{Source, Taken};
use crate::turn::Turn;

impl Gym {
    pub(crate) fn member_of_workout(&self, id: WorkoutId) -> Option<MemberId> {
        let held = |machine: &crate::machine::Machine| machine.hold.as_ref().map(|hold| hold.held);
        self.machines.values().filter_map(held).find(|held| held.workout == id).map(|held| held.member)
    }
    pub(crate) fn visit_of_workout(&self, _id: WorkoutId) -> Option<(VisitId, i64)> {
        None
    }
    pub(super) fn admit_to_workout(&mut self, _id: WorkoutId, _join: JoinRoom) -> Result<(u8, &EventLog), ErrorCode> {
        Err(ErrorCode::NoSuchRoom)
    }
    pub(super) fn workout_class_left(&mut self, _id: WorkoutId, _class: u8) {}
    pub(super) fn workout_snapshot(&self, _turn: &Turn<'_>, _id: WorkoutId) -> Option<Snapshot> {
        None
    }
    pub(crate) fn workout_holds(&mut self, _turn: &mut Turn<'_>, _id: MachineId, _held: HeldClaim) {}
    pub(crate) fn workout_let_go(&mut self, _turn: &mut Turn<'_>, _id: MachineId, _workout: WorkoutId) {}
    pub(super) fn workout_link_back(&mut self, _turn: &mut Turn<'_>, _id: MachineId) {}
    pub(super) fn workout_link_lost(&mut self, _turn: &mut Turn<'_>, _id: MachineId) {}
    pub(super) fn workout_machine_state(&mut self, _turn: &mut Turn<'_>, _id: MachineId, _state: MachineStatus) {}
    pub(super) fn workout_source_bound(&mut self, _turn: &mut Turn<'_>, _handle: SourceHandle) {}
    pub(super) fn workout_source_gone(&mut self, _turn: &mut Turn<'_>, _source: &Source) {}
    pub(super) fn workout_takes(&mut self, _turn: &mut Turn<'_>, _source: &mut Source, _taken: &Taken) -> Option<WorkoutId> {
        None
    }
    pub(super) fn workout_stored(&mut self, _turn: &mut Turn<'_>, _key: &SourceKey, _boot: u32, _stored: &SeqRanges) {}
    pub(super) fn tell_workout(&mut self, _turn: &mut Turn<'_>, _id: WorkoutId, _event: EventId, _body: EventBody) {}
    pub(super) fn workouts_of(&self, _member: MemberId) -> Vec<WorkoutId> {
        Vec::new()
    }
    pub(super) fn members_training(&self) -> BTreeSet<MemberId> {
        BTreeSet::new()
    }
    pub(super) fn achievements_known(&mut self, _member: MemberId) {}
    pub(super) fn end_workout(&mut self, turn: &mut Turn<'_>, session: SessionId, _viewer: &Viewer, end: &EndWorkout) {
        turn.refuse(session, end.req, ErrorCode::NotFound);
    }
    pub(super) fn log_set(&mut self, turn: &mut Turn<'_>, session: SessionId, _viewer: &Viewer, log: LogSet) {
        turn.refuse(session, log.req, ErrorCode::NotFound);
    }
    pub(super) fn ceiling(&mut self, _turn: &mut Turn<'_>, _member: MemberId, _bpm: Option<u16>) {}
    pub(super) fn workout_known(&mut self, _turn: &mut Turn<'_>, _record: WorkoutRecord) {}
    pub(super) fn totals_known(&mut self, _turn: &mut Turn<'_>, _workout: WorkoutId, _revision: u32, _totals: Totals) {}
}
