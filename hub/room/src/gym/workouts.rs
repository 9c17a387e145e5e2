//! Workouts of the gym: which sources contribute, where they run, when they end.
//!
//! In: claims that begin and end, sources bound and gone, whole readings, what the store tells. Out: what [`Workout`] says. A workout begins with a claim, goes
//! on at another machine by hand-over, and ends with the claim, by its member's word, or in silence. A reading belongs to the workout whose
//! stretch it lies in, also when it comes late or after a restart.

use std::collections::BTreeSet;

use protocol::frame::{
    Done, EndWorkout, EventBody, HeldClaim, JoinRoom, LogSet, MachineStatus, ReleaseReason, Snapshot, Totals, WorkoutStage,
};
use protocol::{ErrorCode, EventId, MachineId, MemberId, RoomName, SeqRanges, SessionId, VisitId, WorkoutId};

use super::Gym;
use crate::effect::{Audience, Effect, Lane};
use crate::input::{SourceHandle, SourceKey, Viewer, WorkoutRecord};
use crate::log::EventLog;
use crate::rights::{Action, allows};
use crate::source::{Source, Taken};
use crate::turn::Turn;
use crate::workout::{Station, Workout, WorkoutSeed};

/// Whether the training goes on.
fn runs(workout: &Workout) -> bool {
    !matches!(workout.stage(), WorkoutStage::Ended | WorkoutStage::Sealed)
}

/// A source contributes no longer. Where nobody knows its last seq yet, its next reading shows it.
fn part(workout: &mut Workout, source: &mut Source, turn: &mut Turn<'_>) {
    workout.detach(&source.key, source.boot, source.newest_seq(), turn.now, turn.out);
    if workout.stretches_of(&source.key, source.boot).all(|(_, _, to)| to < u32::MAX) {
        source.end(workout.seed().workout, source.newest_seq());
    }
}

impl Gym {
    pub(crate) fn member_of_workout(&self, id: WorkoutId) -> Option<MemberId> {
        self.workouts.get(&id).map(|workout| workout.seed().member)
    }

    /// The visit that a workout from before a restart belongs to, and since when it runs.
    pub(super) fn visit_of_workout(&self, id: WorkoutId) -> Option<(VisitId, i64)> {
        self.workouts.get(&id).map(|workout| (workout.seed().visit, workout.seed().started_at_ms))
    }

    pub(super) fn workouts_of(&self, member: MemberId) -> Vec<WorkoutId> {
        self.workouts.values().filter(|workout| workout.seed().member == member).map(|workout| workout.seed().workout).collect()
    }

    fn running(&self, member: MemberId) -> Option<WorkoutId> {
        let mut own = self.workouts.values().filter(|workout| workout.seed().member == member && runs(workout));
        own.next().map(|workout| workout.seed().workout)
    }

    /// Members with a workout that is not forgotten yet.
    pub(super) fn members_training(&self) -> BTreeSet<MemberId> {
        self.workouts.values().map(|workout| workout.seed().member).collect()
    }

    pub(super) fn admit_to_workout(&mut self, id: WorkoutId, join: JoinRoom) -> Result<(u8, &EventLog), ErrorCode> {
        let workout = self.workouts.get_mut(&id).ok_or(ErrorCode::NoSuchRoom)?;
        let class = workout.classes.join(join.every_ms, join.fields)?;
        Ok((class, &workout.log))
    }

    pub(super) fn workout_class_left(&mut self, id: WorkoutId, class: u8) {
        if let Some(workout) = self.workouts.get_mut(&id) {
            workout.classes.leave(class);
        }
    }

    pub(super) fn workout_snapshot(&self, id: WorkoutId) -> Option<Snapshot> {
        self.workouts.get(&id).map(|workout| Snapshot::Workout(Box::new(workout.snapshot())))
    }

    /// A claim stands: its workout begins there, or goes on there.
    pub(crate) fn workout_holds(&mut self, turn: &mut Turn<'_>, id: MachineId, held: HeldClaim) {
        let may_control = self.machines.get(&id).and_then(|machine| machine.hold.as_ref()).is_some_and(|hold| hold.may_control);
        let station = Station { machine: Some(id), fence: held.fence, may_control };
        if let Some(workout) = self.workouts.get_mut(&held.workout) {
            workout.move_to(station, turn.now, turn.out);
        } else {
            let seed = self.workout_seed(turn, held.workout, held.member, None);
            let workout = Workout::begin(seed, station, turn.now, turn.out);
            self.workouts.insert(held.workout, workout);
        }
        if let Some(status) = self.machines.get(&id).and_then(|machine| machine.status) {
            self.workout_machine_state(turn, id, status);
        }
        for handle in self.sources_at(id, held.member) {
            self.attach(turn, handle, held.workout);
        }
    }

    /// Sources that contribute to a member's workout: those of the machine, and the member's own.
    fn sources_at(&self, id: MachineId, member: MemberId) -> Vec<SourceHandle> {
        let of = |source: &Source| source.key.machine == Some(id) || source.key.member == Some(member);
        self.sources.values().filter(|source| of(source)).map(|source| source.handle).collect()
    }

    fn workout_seed(&mut self, turn: &mut Turn<'_>, workout: WorkoutId, member: MemberId, record: Option<&WorkoutRecord>) -> WorkoutSeed {
        let at_ms = turn.now.at_ms;
        let known = self.members.get(&member).and_then(|here| here.record.as_ref());
        let achievements = known.map(|known| known.achievements.clone()).unwrap_or_default();
        let ceiling_bpm = known.and_then(|known| known.ceiling_bpm);
        let visit = record.map(|record| record.visit).or_else(|| self.visit_id(member));
        WorkoutSeed {
            workout,
            gym: self.id(),
            member,
            visit: visit.unwrap_or_else(|| VisitId(turn.draw.uuid(at_ms))),
            started_at_ms: record.map_or(at_ms, |record| record.started_at_ms),
            handle: turn.draw.handle(),
            epoch: turn.draw.epoch(),
            achievements,
            ceiling_bpm,
        }
    }

    /// From the next reading on, a source contributes; a boot that came after one that does contributes whole, and one that is over to
    /// nothing new. Where the source stands is not known before it read something on its connection: then it begins with that
    /// ([`Self::joins`]), unless its machine kept from which number on its claim counts.
    fn attach(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, id: WorkoutId) {
        let (Some(source), Some(workout)) = (self.sources.get(&handle), self.workouts.get(&id)) else { return };
        let claimed = self.claimed_from(source);
        let from_seq = match claimed {
            Some(from_seq) => Some(from_seq),
            // Also one that is over itself: there may have been more than one start while nobody heard it.
            None if workout.goes_on_before(&source.key, source.boot) && !self.is_elsewhere(source) => Some(1),
            None if source.is_outlived() => None,
            None => source.next_seq(),
        };
        if let Some(from_seq) = from_seq
            && let Some(mut source) = self.sources.remove(&handle)
        {
            let began = self.attach_from(turn, &mut source, id, from_seq, false);
            if claimed.is_some() {
                self.attach_claimed(turn, &mut source, id, from_seq, began.is_some());
            }
            self.sources.insert(handle, source);
        }
    }

    /// Whether an earlier boot of a member's own sensor is bound on another connection: two phones, not one that was started again.
    fn is_elsewhere(&self, source: &Source) -> bool {
        let earlier = |known: &Source| known.key == source.key && known.boot < source.boot && known.session != source.session;
        source.key.machine.is_none() && self.sources.values().any(|known| earlier(known))
    }

    /// A machine said from which number on its claim counts. What it holds of that belongs, also before what is known of the stretch.
    fn attach_claimed(&mut self, turn: &mut Turn<'_>, source: &mut Source, id: WorkoutId, from_seq: u32, began: bool) {
        let Some(workout) = self.workouts.get_mut(&id).filter(|workout| runs(workout)) else { return };
        if !began {
            let Some(index) = workout.reaches_claim(&source.key, source.boot, from_seq, turn.out) else { return };
            source.begin(from_seq, id, index);
        }
        workout.link_back(&source.key, source.boot, &source.still_held(), turn.now, turn.out);
    }

    fn attach_from(
        &mut self,
        turn: &mut Turn<'_>,
        source: &mut Source,
        id: WorkoutId,
        from_seq: u32,
        by_first: bool,
    ) -> Option<(WorkoutId, u16)> {
        let workout = self.workouts.get_mut(&id).filter(|workout| runs(workout))?;
        if workout.stretches_of(&source.key, source.boot).any(|(_, _, to)| to == u32::MAX) {
            return None;
        }
        let index = workout.attach(&source.key, source.boot, from_seq, turn.now, turn.out)?;
        workout.began_by_first(index, by_first);
        source.begin(from_seq, id, index);
        for (_, other) in self.workouts.iter_mut().filter(|(other, _)| **other != id) {
            other.gives_way(&source.key, source.boot, from_seq, turn.now, turn.out);
        }
        Some((id, index))
    }

    /// The workout that a source contributes to now: that of its machine's claim, or the one that its member is at.
    fn workout_at(&self, key: &SourceKey) -> Option<WorkoutId> {
        match (key.machine, key.member) {
            (Some(id), _) => self.machines.get(&id).and_then(|machine| machine.hold.as_ref()).map(|hold| hold.held.workout),
            (None, Some(member)) => self.running(member),
            (None, None) => None,
        }
    }

    /// A source that belongs to no workout says something new: it joins the one that runs. Where its first readings came in another order
    /// than they were read, the workout begins with the earliest.
    fn joins(&mut self, turn: &mut Turn<'_>, source: &mut Source, taken: &Taken) -> Option<(WorkoutId, u16)> {
        if taken.is_backfill && !taken.is_first {
            return None;
        }
        let id = self.workout_at(&source.key)?;
        if taken.is_backfill {
            let index = self.workouts.get_mut(&id)?.reaches_back(&source.key, source.boot, taken.seq, turn.out)?;
            source.begin(taken.seq, id, index);
            return Some((id, index));
        }
        self.attach_from(turn, source, id, taken.seq, taken.is_first)
    }

    /// A source is on a connection: it goes on in the stretches that it had, and begins in the workout that runs.
    pub(super) fn workout_source_bound(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, held: &SeqRanges) {
        self.kept_by_who_left(turn, handle, held);
        let Some(source) = self.sources.get_mut(&handle) else { return };
        let (key, boot) = (source.key.clone(), source.boot);
        for workout in self.workouts.values_mut() {
            // First, because it may show where a stretch ended.
            workout.link_back(&key, boot, held, turn.now, turn.out);
            let (id, stretches): (_, Vec<(u16, u32, u32)>) = (workout.seed().workout, workout.stretches_of(&key, boot).collect());
            for (index, from_seq, to_seq) in stretches {
                source.begin(from_seq, id, index);
                if to_seq < u32::MAX {
                    source.end(id, to_seq);
                }
            }
        }
        if let Some(workout) = self.workout_at(&key) {
            self.attach(turn, handle, workout);
        }
    }

    /// A source left its connection; it may go on into its buffer, unless the same is here on another connection.
    pub(super) fn workout_source_gone(&mut self, turn: &mut Turn<'_>, source: &Source) {
        if self.sources.values().any(|other| other.key == source.key && other.boot == source.boot) {
            return;
        }
        let is_superseded = self.sources.values().any(|known| known.key == source.key && known.boot > source.boot);
        for workout in self.workouts.values_mut() {
            workout.link_lost(&source.key, source.boot, is_superseded, turn.now, turn.out);
        }
    }

    /// A source does not bring what it said to hold: its workout does not wait for that before the next `bind`.
    pub(super) fn workout_source_fails(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, ranges: &SeqRanges) {
        let Some(source) = self.sources.get(&handle) else { return };
        for workout in self.workouts.values_mut() {
            workout.not_brought(&source.key, source.boot, ranges, turn.now, turn.out);
        }
    }

    /// One whole thing of a source. Returns the workout that it belongs to.
    pub(super) fn workout_takes(&mut self, turn: &mut Turn<'_>, source: &mut Source, taken: &Taken) -> Option<WorkoutId> {
        // What is forgotten here takes nothing more: it must not stand in the way of the workout that runs.
        let known = source.workout_of(taken.seq).filter(|(id, _)| self.workouts.contains_key(id));
        let (id, index) = known.or_else(|| self.joins(turn, source, taken))?;
        if self.workouts.get_mut(&id)?.take(index, taken, turn.now, turn.out) {
            self.alive_by(turn, source, id, taken);
            return Some(id);
        }
        // Read after the end of a workout whose last seq was not known: of nobody, or of the next one.
        source.cut(taken.seq);
        let (id, index) = self.joins(turn, source, taken)?;
        self.workouts.get_mut(&id)?.take(index, taken, turn.now, turn.out).then_some(id)
    }

    /// A heart that beats under a member's own strap is a sign of life at the machine.
    fn alive_by(&mut self, turn: &mut Turn<'_>, source: &Source, id: WorkoutId, taken: &Taken) {
        let Some(workout) = self.workouts.get(&id) else { return };
        let machine = workout.station().machine;
        let alive = source.key.member.is_some() && taken.live_age_ms.is_some();
        if let Some(machine) = machine.filter(|_| alive && taken.reading().is_some_and(crate::workout::is_sign_of_life)) {
            self.member_alive(turn, machine);
        }
    }

    pub(super) fn workout_stored(&mut self, turn: &mut Turn<'_>, key: &SourceKey, boot: u32, stored: &SeqRanges) {
        for workout in self.workouts.values_mut() {
            workout.stored(key, boot, stored, turn.now, turn.out);
        }
    }

    pub(super) fn workout_machine_state(&mut self, turn: &mut Turn<'_>, id: MachineId, status: MachineStatus) {
        let workout = self.machines.get(&id).and_then(|machine| machine.hold.as_ref()).map(|hold| hold.held.workout);
        if let Some(workout) = workout.and_then(|workout| self.workouts.get_mut(&workout)) {
            workout.machine_state(status, turn.now, turn.out);
        }
    }

    /// A claim ended: what the machine reads from now on is nobody's. The workout ends unless it moved on.
    pub(crate) fn workout_let_go(&mut self, turn: &mut Turn<'_>, id: MachineId, workout_id: WorkoutId) {
        let Some(workout) = self.workouts.get_mut(&workout_id) else { return };
        if workout.station().machine == Some(id) {
            return self.workout_ends(turn, workout_id);
        }
        for source in self.sources.values_mut().filter(|source| source.key.machine == Some(id)) {
            part(workout, source, turn);
        }
        workout.leaves(id, turn.now, turn.out);
        self.wait_for(id, workout_id);
    }

    fn workout_ends(&mut self, turn: &mut Turn<'_>, id: WorkoutId) {
        let Some(workout) = self.workouts.get_mut(&id) else { return };
        for source in self.sources.values_mut() {
            if workout.stretches_of(&source.key, source.boot).any(|(_, _, to)| to == u32::MAX) {
                part(workout, source, turn);
            }
        }
        let machine = workout.station().machine;
        workout.end(turn.now, turn.out);
        machine.into_iter().for_each(|machine| self.wait_for(machine, id));
        self.proposals.retain(|proposal| proposal.workout() != id);
    }

    /// A workout left a machine: where that cannot be heard, what it read before is still to come.
    fn wait_for(&mut self, id: MachineId, workout: WorkoutId) {
        if self.machines.get(&id).is_some_and(|machine| machine.session().is_none())
            && let Some(workout) = self.workouts.get_mut(&workout)
        {
            workout.waits_for(id);
        }
    }

    /// Ends a workout and forgets it, whatever is still to come of it.
    pub(super) fn workout_forgotten(&mut self, turn: &mut Turn<'_>, id: WorkoutId) {
        self.workout_ends(turn, id);
        self.workout_over(turn, id);
    }

    /// The memory of a workout goes, and whoever watches it is put out.
    fn workout_over(&mut self, turn: &mut Turn<'_>, id: WorkoutId) {
        self.workouts.remove(&id);
        let room = RoomName::Workout(id);
        let watching: Vec<SessionId> = self.watchers.of(room).iter().map(|watcher| watcher.session).collect();
        for session in watching {
            self.put_out(turn, room, session, ErrorCode::NoSuchRoom);
        }
    }

    /// Tells the room of a workout, once for each id.
    pub(crate) fn tell_workout(&mut self, turn: &mut Turn<'_>, id: WorkoutId, event: EventId, body: EventBody) {
        let Some(event) = self.workouts.get_mut(&id).and_then(|workout| workout.log.append(event, turn.now.at_ms, body)) else { return };
        let (room, frame) = (RoomName::Workout(id), Box::new(event.into()));
        turn.out.push(Effect::Broadcast { room, audience: Audience::All, lane: Lane::Event, frame });
    }

    /// A workout that the viewer may do this to.
    fn own_workout(&self, viewer: &Viewer, action: Action, id: WorkoutId) -> Result<(), ErrorCode> {
        let member = self.member_of_workout(id).ok_or(ErrorCode::NotFound)?;
        allows(viewer, action, &self.member_object(member))
    }

    pub(super) fn end_workout(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, end: &EndWorkout) {
        if let Err(code) = self.own_workout(viewer, Action::EndWorkout, end.workout) {
            return turn.refuse(session, end.req, code);
        }
        match self.workouts.get(&end.workout).and_then(|workout| workout.station().machine) {
            Some(machine) => {
                self.member_alive(turn, machine);
                self.end_claim(turn, machine, ReleaseReason::Released);
            }
            None => self.workout_ends(turn, end.workout),
        }
        turn.deliver(session, Lane::Event, Done { req: end.req });
    }

    pub(super) fn log_set(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, log: LogSet) {
        if let Err(code) = self.own_workout(viewer, Action::LogSet, log.workout) {
            return turn.refuse(session, log.req, code);
        }
        let LogSet { req, id, workout, logged_at_ms, set } = log;
        let Some(workout) = self.workouts.get_mut(&workout) else { return };
        workout.log_set(id, logged_at_ms, &set, turn.now, turn.out);
        if let Some(machine) = workout.station().machine {
            self.member_alive(turn, machine);
        }
        turn.deliver(session, Lane::Event, Done { req });
    }

    /// A ceiling was set: it holds for the workout that runs.
    pub(super) fn ceiling(&mut self, turn: &mut Turn<'_>, member: MemberId, heart_rate_bpm: Option<u16>) {
        if let Some(record) = self.members.get_mut(&member).and_then(|here| here.record.as_mut()) {
            record.ceiling_bpm = heart_rate_bpm;
        }
        let event = turn.event_id();
        if let Some(workout) = self.running(member).and_then(|id| self.workouts.get_mut(&id)) {
            workout.set_ceiling(event, heart_rate_bpm, turn.now, turn.out);
        }
    }

    /// The store told what the member earned before: that is not earned again.
    pub(super) fn achievements_known(&mut self, member: MemberId) {
        let Some(record) = self.members.get(&member).and_then(|here| here.record.as_ref()) else { return };
        for workout in self.workouts.values_mut().filter(|workout| workout.seed().member == member) {
            workout.knows_achievements(&record.achievements);
        }
    }

    /// A workout from before the restart. One that began meanwhile under the same id, with nothing in it, gives way.
    pub(super) fn workout_known(&mut self, turn: &mut Turn<'_>, record: WorkoutRecord) {
        let id = record.workout;
        let holds = self
            .machines
            .values()
            .find_map(|machine| machine.hold.as_ref().filter(|hold| hold.held.workout == id).map(|hold| (machine.id(), hold)));
        let station =
            holds.map(|(machine, hold)| Station { machine: Some(machine), fence: hold.held.fence, may_control: hold.may_control });
        let watched = !self.watchers.of(RoomName::Workout(id)).is_empty();
        if self.workouts.get(&id).is_some_and(|workout| watched || workout.totals().readings > 0) {
            return;
        }
        let seed = self.workout_seed(turn, id, record.member, Some(&record));
        let workout = Workout::restore(seed, station.unwrap_or_default(), &record, turn.now);
        self.workouts.insert(id, workout);
        let bound: Vec<SourceHandle> = self.sources.keys().copied().collect();
        for handle in bound {
            let held = self.sources.get(&handle).map(|source| source.still_held()).unwrap_or_default();
            self.workout_source_bound(turn, handle, &held);
        }
    }

    pub(super) fn totals_known(&mut self, turn: &mut Turn<'_>, id: WorkoutId, revision: u32, totals: Totals) {
        if let Some(workout) = self.workouts.get_mut(&id) {
            workout.totals_known(revision, totals, turn.now, turn.out);
        }
    }

    pub(super) fn workouts_tick(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let mut silent = Vec::new();
        let mut over = Vec::new();
        for (id, workout) in &mut self.workouts {
            workout.tick(now, turn.out);
            let room = RoomName::Workout(*id);
            workout.log.watched_by(self.watchers.of(room).len(), now);
            if workout.station().machine.is_none() && workout.is_silent(now) {
                silent.push(*id);
            }
            if workout.is_over(now) {
                over.push(*id);
            }
        }
        for id in silent {
            self.workout_ends(turn, id);
        }
        for id in over {
            if let Some(workout) = self.workouts.get_mut(&id) {
                workout.forget(turn.out);
            }
            self.workout_over(turn, id);
        }
    }
}
