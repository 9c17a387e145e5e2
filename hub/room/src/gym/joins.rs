//! Who watches which room of the gym, and what they hear of the floor.
//!
//! In: joins, leaves, ends of sessions, changes of rights. Out: `joined` with what was missed or a snapshot, `Watch` and `Unwatch`. Rights are resolved
//! at join and again whenever what they rest on changes: the holder of a machine, the teams of a member.

use std::sync::Arc;

use protocol::frame::{EventBody, FloorMachine, FloorSnapshot, JoinRoom, Joined, Left, MachineSnapshot, Reset, Role, Snapshot};
use protocol::limits::ROOMS_PER_SESSION_MAX;
use protocol::{ErrorCode, MachineId, RoomName, SessionId};

use super::Gym;
use crate::availability;
use crate::effect::{Audience, Effect, Lane};
use crate::floor;
use crate::input::{Now, Viewer};
use crate::log::{EventLog, Recovery};
use crate::machine::Told;
use crate::rights::{Action, allows, is_staff_of};
use crate::turn::Turn;
use crate::watch::Watcher;

/// Watcher class of the floor as everybody sees it.
pub(super) const FLOOR_PUBLIC: u8 = 0;
/// Watcher class of the floor as staff sees it.
pub(super) const FLOOR_STAFF: u8 = 1;

/// What a join answers.
struct Answer {
    class: u8,
    staff: bool,
    handle: u32,
    epoch: protocol::Epoch,
    offset: u64,
    recovery: Recovery,
}

impl Gym {
    pub(super) fn join(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Arc<Viewer>, req: Option<u32>, join: JoinRoom) {
        let room = join.room;
        let rooms = self.watchers.rooms_of(session);
        let full = rooms.len() >= ROOMS_PER_SESSION_MAX && !rooms.contains(&room);
        let refused = match self.may_watch(viewer, room) {
            _ if full => ErrorCode::TooManyRooms,
            Err(code) => code,
            Ok(()) => match self.admit(viewer, join) {
                Err(code) => code,
                Ok(answer) => return self.watch(turn, session, viewer, req, room, answer),
            },
        };
        match req {
            Some(_) => turn.refuse(session, req, refused),
            // Rooms of hello have no request to answer: the room itself says that it is not watched.
            None => turn.deliver(session, Lane::Event, Left { req: None, room, code: Some(refused.code()) }),
        }
    }

    fn watch(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Arc<Viewer>, req: Option<u32>, room: RoomName, answer: Answer) {
        let watcher = Watcher { session, viewer: Arc::clone(viewer), class: answer.class };
        if let Some(class) = self.watchers.join(room, watcher) {
            self.class_left(room, class);
        }
        turn.out.push(Effect::Watch { room, session, class: answer.class, staff: answer.staff });
        let (events, snapshot) = match answer.recovery {
            Recovery::Missed(events) => (events, None),
            Recovery::Reset => (Vec::new(), self.snapshot(turn, room, viewer)),
        };
        let Answer { handle, epoch, offset, .. } = answer;
        let joined = Joined { req, room, handle, epoch, offset, recovered: snapshot.is_none(), events, snapshot };
        turn.deliver(session, Lane::Event, joined);
    }

    /// Whether the viewer may watch the room now. What does not exist and what is another tenant's is the same.
    fn may_watch(&self, viewer: &Viewer, room: RoomName) -> Result<(), ErrorCode> {
        let (exists, action, object) = match room {
            RoomName::Floor(gym) => (gym == self.id(), Action::RoomFloor, self.object()),
            RoomName::Machine(id) => (self.machines.contains_key(&id), Action::RoomMachine, self.machine_object(id, true)),
            RoomName::Workout(id) => match self.member_of_workout(id) {
                Some(member) => (true, Action::RoomWorkout, self.member_object(member)),
                None => return Err(ErrorCode::NoSuchRoom),
            },
            RoomName::Board(id) => (self.boards.contains_key(&id), Action::RoomBoard, self.object()),
            RoomName::Member(_) => return Err(ErrorCode::NoSuchRoom),
        };
        match allows(viewer, action, &object) {
            Ok(()) if exists => Ok(()),
            Ok(()) | Err(ErrorCode::NotFound) => Err(ErrorCode::NoSuchRoom),
            Err(code) => Err(code),
        }
    }

    fn admit(&mut self, viewer: &Viewer, join: JoinRoom) -> Result<Answer, ErrorCode> {
        let staff = is_staff_of(viewer, self.id());
        let answer = |class, log: &EventLog, recovery| Answer {
            class,
            staff,
            handle: log.handle(),
            epoch: log.epoch(),
            offset: log.offset(),
            recovery,
        };
        match join.room {
            RoomName::Floor(_) => {
                let (head, class) = if staff { (&self.staff, FLOOR_STAFF) } else { (&self.public, FLOOR_PUBLIC) };
                Ok(answer(class, &head.log, head.log.recover(join.epoch, join.offset)))
            }
            RoomName::Machine(id) => {
                let machine = self.machines.get_mut(&id).ok_or(ErrorCode::NoSuchRoom)?;
                let class = machine.classes.join(join.every_ms, join.fields)?;
                let log = &machine.head.log;
                // A holder sees nothing of the members before.
                let since = machine.hold.as_ref().map_or(0, |hold| hold.since_offset);
                let theirs = staff || join.offset >= since;
                let recovery = if theirs { log.recover(join.epoch, join.offset) } else { Recovery::Reset };
                Ok(answer(class, log, recovery))
            }
            RoomName::Workout(id) => {
                let (class, log) = self.admit_to_workout(id, join)?;
                let recovery = log.recover(join.epoch, join.offset);
                Ok(answer(class, log, recovery))
            }
            RoomName::Board(id) => {
                let log = &self.boards.get(&id).ok_or(ErrorCode::NoSuchRoom)?.head.log;
                Ok(answer(0, log, log.recover(join.epoch, join.offset)))
            }
            RoomName::Member(_) => Err(ErrorCode::NoSuchRoom),
        }
    }

    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, session: SessionId, req: u32, room: RoomName) {
        match self.watchers.leave(room, session) {
            None => turn.refuse(session, req, ErrorCode::NotJoined),
            Some(class) => {
                self.class_left(room, class);
                turn.out.push(Effect::Unwatch { room, session });
                turn.deliver(session, Lane::Event, Left { req: Some(req), room, code: None });
            }
        }
    }

    /// Takes a session out of all rooms, at its end.
    pub(super) fn leave_all(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        let rooms: Vec<RoomName> = self.watchers.rooms_of(session).to_vec();
        for room in rooms {
            if let Some(class) = self.watchers.leave(room, session) {
                self.class_left(room, class);
                turn.out.push(Effect::Unwatch { room, session });
            }
        }
    }

    /// Takes a session out of a room because the hub decided so.
    pub(crate) fn put_out(&mut self, turn: &mut Turn<'_>, room: RoomName, session: SessionId, code: ErrorCode) {
        if let Some(class) = self.watchers.leave(room, session) {
            self.class_left(room, class);
            turn.out.push(Effect::Unwatch { room, session });
            turn.deliver(session, Lane::Event, Left { req: None, room, code: Some(code.code()) });
        }
    }

    /// Puts out whoever may not watch the room any more.
    pub(crate) fn recheck(&mut self, turn: &mut Turn<'_>, room: RoomName) {
        let out: Vec<(SessionId, ErrorCode)> = self
            .watchers
            .of(room)
            .iter()
            .filter_map(|watcher| self.may_watch(&watcher.viewer, room).err().map(|code| (watcher.session, code)))
            .collect();
        for (session, code) in out {
            self.put_out(turn, room, session, code);
        }
    }

    /// The machine has another holder, or none.
    pub(crate) fn recheck_machine(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        self.recheck(turn, RoomName::Machine(id));
    }

    fn class_left(&mut self, room: RoomName, class: u8) {
        match room {
            RoomName::Machine(id) => {
                if let Some(machine) = self.machines.get_mut(&id) {
                    machine.classes.leave(class);
                }
            }
            RoomName::Workout(id) => self.workout_class_left(id, class),
            RoomName::Floor(_) | RoomName::Member(_) | RoomName::Board(_) => (),
        }
    }

    fn snapshot(&self, turn: &Turn<'_>, room: RoomName, viewer: &Viewer) -> Option<Snapshot> {
        let staff = is_staff_of(viewer, self.id());
        match room {
            RoomName::Floor(_) => self.floor_snapshot(turn, staff),
            RoomName::Machine(id) => {
                let machine = self.machines.get(&id)?;
                Some(Snapshot::Machine(MachineSnapshot {
                    machine: self.on_floor(turn, machine, staff),
                    claim: machine.hold.as_ref().map(|hold| hold.held),
                    ranges: machine.facts.and_then(|facts| facts.ranges),
                    code: if staff { self.codes.shown(id, turn.now.mono_ms) } else { None },
                    sources: self.sources_of_machine(id),
                }))
            }
            RoomName::Workout(id) => self.workout_snapshot(id),
            RoomName::Board(id) => Some(Snapshot::Board(Box::new(self.boards.get(&id)?.snapshot(self.id(), turn.now)))),
            RoomName::Member(_) => None,
        }
    }

    /// A machine as the floor shows it. A name only with consent, tickets only to staff.
    fn on_floor(&self, turn: &Turn<'_>, machine: &crate::machine::Machine, staff: bool) -> FloorMachine {
        let (age_ms, reading) = self.floor.shown(machine.index, turn.now);
        FloorMachine {
            index: machine.index,
            machine: machine.id(),
            name: machine.record.name.clone(),
            kind: machine.record.kind,
            location: machine.record.location.clone(),
            availability: machine.availability(),
            state: machine.status.filter(|_| machine.session().is_some()),
            member: self.wall_name(machine),
            tickets: if staff { machine.record.tickets.clone() } else { Vec::new() },
            heard_at_ms: machine.heard_at_ms,
            age_ms,
            reading,
        }
    }

    /// Tells everybody on the floor.
    pub(crate) fn tell_floor(&mut self, turn: &mut Turn<'_>, body: &EventBody) {
        let id = turn.event_id();
        self.public.tell(turn, Audience::Class(FLOOR_PUBLIC), id, body.clone());
        self.staff.tell(turn, Audience::Class(FLOOR_STAFF), id, body.clone());
    }

    /// Tells the staff of the gym.
    pub(crate) fn tell_staff(&mut self, turn: &mut Turn<'_>, body: EventBody) {
        let id = turn.event_id();
        self.staff.tell(turn, Audience::Class(FLOOR_STAFF), id, body);
    }

    /// Tells the floor and the machine's room where its availability, state or shown member is another than told last.
    pub(crate) fn availability_changed(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        let event = turn.event_id();
        let Some(machine) = self.machines.get(&id) else { return };
        let told = Told {
            availability: machine.availability(),
            state: machine.status.filter(|_| machine.session().is_some()),
            member: self.wall_name(machine),
        };
        let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.told.as_ref() != Some(&told)) else { return };
        let Told { availability, state, member } = told.clone();
        let (index, number) = (machine.index, availability::number(availability));
        machine.told = Some(told);
        let body = EventBody::Availability { machine: id, availability, state, cause: machine.cause, member };
        machine.head.tell(turn, Audience::All, event, body.clone());
        self.floor.availability(index, number);
        self.tell_floor(turn, &body);
    }

    /// A name that walls may no longer show is gone from the floor's log too: everybody takes it anew.
    pub(crate) fn forget_floor(&mut self, turn: &mut Turn<'_>) {
        let (room, handle, epoch) = (self.public.name, self.public.log.handle(), turn.draw.epoch());
        self.public.log = EventLog::new(handle, epoch);
        let Some(snapshot) = self.floor_snapshot(turn, false) else { return };
        let frame = Box::new(Reset { handle, epoch, offset: 0, snapshot }.into());
        turn.out.push(Effect::Broadcast { room, audience: Audience::Class(FLOOR_PUBLIC), lane: Lane::Event, frame });
    }

    fn floor_snapshot(&self, turn: &Turn<'_>, staff: bool) -> Option<Snapshot> {
        let mut machines: Vec<FloorMachine> = self.machines.values().map(|machine| self.on_floor(turn, machine, staff)).collect();
        machines.sort_unstable_by_key(|machine| machine.index);
        let (gym, name, at_ms) = (self.id(), self.seed.name.clone(), turn.now.at_ms);
        Some(Snapshot::Floor(FloorSnapshot { gym, name, at_ms, machines }))
    }

    /// All rows to a watcher of the floor that missed some, as everybody or as staff sees them.
    pub(super) fn floor_again(&self, turn: &mut Turn<'_>, session: SessionId) {
        let Some(watcher) = self.watchers.of(self.public.name).iter().find(|watcher| watcher.session == session) else { return };
        let head = if watcher.class == FLOOR_STAFF { &self.staff } else { &self.public };
        turn.out.push(floor::again(session, head.log.handle(), self.floor.all(turn.now), turn.now));
    }

    /// The rows with news, one frame for everybody and one for staff, whose handles differ.
    pub(super) fn floor_tick(&mut self, turn: &mut Turn<'_>) {
        let (room, now) = (self.public.name, turn.now);
        let rows = self.floor.tick(now);
        let watching = |class| self.watchers.of(room).iter().any(|watcher| watcher.class == class);
        for (class, head) in [(FLOOR_STAFF, &self.staff), (FLOOR_PUBLIC, &self.public)] {
            if !rows.is_empty() && watching(class) {
                turn.out.push(floor::broadcast(room, Audience::Class(class), head.log.handle(), rows.clone(), now));
            }
        }
        for machine in self.machines.values_mut() {
            machine.classes.tick(now, turn.out);
        }
    }

    /// Logs that nobody watches are forgotten after a while: looked at slowly, for each costs a look for its watchers.
    pub(super) fn logs_tick(&mut self, now: Now) {
        let watched = self.watchers.of(self.public.name).len();
        self.public.log.watched_by(watched, now);
        self.staff.log.watched_by(watched, now);
        for machine in self.machines.values_mut() {
            machine.head.log.watched_by(self.watchers.of(machine.head.name).len(), now);
        }
    }
}

/// Only people and walls watch rooms; a machine's socket carries too much already.
const _: () = assert!(matches!(Action::Join.rule(Role::Gateway), crate::rights::Rule::No));
