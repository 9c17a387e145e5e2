//! One gym: its floor, its machines, the workouts that run in it, and the presence of its members.
//!
//! In: [`Input`], the two clocks, what may be drawn. Out: [`Effect`]s in order. Owns every room of the gym, so that a stop and a claim see one
//! consistent machine; stepped by one shard, one input at a time. Knows no socket, no store, no other gym; what is
//! true of a member across gyms is asked of the member room. The rules stand in files of their own: `claim`, `control`, `stop`, `visit`;
//! the files under `gym/` say which input touches what.

pub(crate) mod activity;
mod beside;
mod boards;
mod command;
mod joins;
mod kept;
mod links;
mod people;
mod readings;
mod workouts;

use std::collections::BTreeMap;

use protocol::frame::{Availability, EventBody, OpenTicket, Role};
use protocol::text::Text;
use protocol::{BoardId, ErrorCode, GymId, MachineId, MemberId, RoomName, SessionId, TenantId, WorkoutId};

use crate::availability;
use crate::board::Board;
use crate::code::Codes;
use crate::draw::Draw;
use crate::effect::Effect;
use crate::floor::Floor;
use crate::input::{Input, MachineRecord, MemberRecord, Now, SourceHandle, SourceKey};
use crate::machine::Machine;
use crate::pace::Pace;
use crate::rights::Object;
use crate::source::{Source, Taken};
use crate::turn::{Head, Turn};
use crate::visit::Visit;
use crate::watch::Watchers;
use crate::workout::Workout;

pub(crate) use kept::Kept;

/// Machines one gym may have: their index is a u16 and a tick must fit a message.
pub const MACHINES_MAX: usize = 1024;
/// Claims and visits are looked at this often; what moves or stops a machine at each tick.
const SLOW_MS: i64 = 100;

/// What a gym is when its memory is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GymSeed {
    /// The gym.
    pub gym: GymId,
    /// Its tenant: nothing of another ever touches it.
    pub tenant: TenantId,
    /// Its name.
    pub name: Text<64>,
}

/// A member as far as this gym knows.
#[derive(Debug, Default)]
pub(crate) struct Here {
    pub(crate) record: Option<MemberRecord>,
    pub(crate) visit: Option<Visit>,
}

/// Every room of one gym.
#[derive(Debug)]
pub struct Gym {
    seed: GymSeed,
    pub(crate) machines: BTreeMap<MachineId, Machine>,
    machines_ever: u16,
    /// Connections that carry machines or sources.
    connections: BTreeMap<SessionId, Connection>,
    pub(crate) sources: BTreeMap<SourceHandle, Box<Source>>,
    /// Which of them are of one boot: the store reports by boot.
    of_boot: BTreeMap<(SourceKey, u32), Vec<SourceHandle>>,
    pub(crate) workouts: BTreeMap<WorkoutId, Workout>,
    pace: Pace,
    /// When what counts in seconds is looked at next.
    slow_mono_ms: i64,
    /// Reused from step to step.
    taken: Vec<Taken>,
    pub(crate) codes: Codes,
    pub(crate) members: BTreeMap<MemberId, Here>,
    pub(crate) watchers: Watchers,
    pub(crate) floor: Floor,
    /// The floor as everybody sees it, and as staff does: two logs, so that neither has a gap.
    public: Head,
    staff: Head,
    proposals: Vec<command::Proposal>,
    boards: BTreeMap<BoardId, Board>,
}

use readings::Connection;

impl Gym {
    /// A gym without machines yet; they come in as [`Input::MachineKnown`].
    #[must_use]
    pub fn new(seed: GymSeed, draw: &mut Draw) -> Self {
        let room = RoomName::Floor(seed.gym);
        Self {
            machines: BTreeMap::new(),
            machines_ever: 0,
            connections: BTreeMap::new(),
            sources: BTreeMap::new(),
            of_boot: BTreeMap::new(),
            workouts: BTreeMap::new(),
            pace: Pace::default(),
            slow_mono_ms: 0,
            taken: Vec::new(),
            codes: Codes::default(),
            members: BTreeMap::new(),
            watchers: Watchers::default(),
            floor: Floor::default(),
            public: Head::new(room, draw),
            staff: Head::new(room, draw),
            proposals: Vec::new(),
            boards: BTreeMap::new(),
            seed,
        }
    }

    /// The gym.
    #[must_use]
    pub fn id(&self) -> GymId {
        self.seed.gym
    }

    /// Its tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.seed.tenant
    }

    /// Applies one input and appends what must happen next, in order.
    pub fn step(&mut self, now: Now, input: Input, draw: &mut Draw, out: &mut Vec<Effect>) {
        let turn = &mut Turn { now, draw, out };
        match input {
            Input::Join { session, viewer, req, join } => self.join(turn, session, &viewer, req, join),
            Input::Leave { session, req, room } => self.leave(turn, session, req, room),
            Input::FloorAgain { session } => self.floor_again(turn, session),
            Input::Gone { session } => self.gone(turn, session),
            Input::MachineHello { session, viewer, hello } => self.machine_hello(turn, session, &viewer, hello),
            Input::Bind { session, viewer, source, bind } => self.bind(turn, session, &viewer, source, bind),
            Input::Unbind { session, source } => self.unbind(turn, session, source),
            Input::Said { source, said } => self.said(turn, source, said),
            Input::Lost { source, from, to } => self.lost(turn, source, from, to),
            Input::Clock { session, clock, answered_at_ms } => self.clock(turn, session, &clock, answered_at_ms),
            Input::MachineState { session, state, heard_at_ms } => self.machine_state(turn, session, &state, heard_at_ms),
            Input::MachineFault { session, fault } => self.machine_fault(turn, session, fault),
            Input::ClaimHeld { session, held } => self.claim_held(turn, session, &held),
            Input::SecondSign { session, sign } => {
                if self.carries(session, sign.machine) {
                    self.signed(turn, sign.machine, sign.sign);
                }
            }
            Input::Approve { session, viewer, req, machine } => self.approve(turn, session, &viewer, req, machine),
            Input::CommandAnswer { session, answer } => self.command_answer(turn, session, &answer),
            Input::StopAnswer { session, answer } => self.stop_answer(turn, session, &answer),
            Input::Claim { session, viewer, claim } => self.claim(turn, session, &viewer, &claim),
            Input::Reserved { machine, member, answer } => self.reserved(turn, machine, member, answer),
            Input::Release { session, viewer, release } => self.release(turn, session, &viewer, &release),
            Input::Revoke { machine, fence, reason } => self.revoke(turn, machine, fence, reason),
            Input::CheckOut { session, viewer, check_out } => self.check_out(turn, session, &viewer, &check_out),
            Input::EndWorkout { session, viewer, end } => self.end_workout(turn, session, &viewer, &end),
            Input::Control { session, viewer, control } => self.control(turn, session, &viewer, &control),
            Input::Propose { session, viewer, propose } => self.propose(turn, session, &viewer, propose),
            Input::Stop { session, viewer, stop } => self.stop(turn, session, &viewer, &stop),
            Input::LogSet { session, viewer, log } => self.log_set(turn, session, &viewer, log),
            Input::Ceiling { member, heart_rate_bpm } => self.ceiling(turn, member, heart_rate_bpm),
            Input::MemberKnown { member, record } => self.member_known(turn, member, record),
            Input::MemberErased { member } => self.member_erased(turn, member),
            Input::MachineKnown { record } => self.machine_known(turn, *record),
            Input::ChangedBeside { record } => self.changed_beside(turn, *record),
            Input::MachineRemoved { machine } => self.machine_removed(turn, machine),
            Input::BoardKnown { record } => self.board_known(turn, *record),
            Input::BoardRemoved { board } => self.board_removed(turn, board),
            Input::VisitKnown { member, visit, started_at_ms, machines } => {
                let known = Visit::known(visit, started_at_ms, machines, now.mono_ms);
                self.visit_known(turn, member, known);
            }
            Input::WorkoutKnown { record } => self.workout_known(turn, *record),
            Input::Stored { source, boot, nonce, stored, rejected } => self.stored(turn, &source, (boot, nonce), &stored, &rejected),
            Input::SourceConflict { source, boot } => self.source_conflict(turn, &source, boot),
            Input::DeviceCloned { device, subject } => self.tell_staff(turn, EventBody::DeviceCloned { device, subject }),
            Input::RecorderReady => self.recorder_ready(turn),
            Input::NotAccepted { source, seq, through, absorbed } => self.not_accepted(turn, source, seq, through, &absorbed),
            Input::TotalsKnown { workout, revision, totals } => self.totals_known(turn, workout, revision, totals),
            Input::Tick => self.tick(turn),
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.stops_tick(turn);
        self.controls_tick(turn);
        self.readings_tick(turn);
        self.workouts_tick(turn);
        if turn.now.mono_ms >= self.slow_mono_ms {
            self.slow_mono_ms = turn.now.mono_ms + SLOW_MS;
            self.claims_tick(turn);
            self.people_tick(turn);
            self.boards_tick(turn);
            self.logs_tick(turn.now);
        }
        self.floor_tick(turn);
    }

    /// The gym itself, for rights.
    pub(crate) fn object(&self) -> Object<'_> {
        Object { tenant: Some(self.seed.tenant), gym: Some(self.seed.gym), ..Object::default() }
    }

    /// A machine, for rights; the member that it concerns is its holder.
    pub(crate) fn machine_object(&self, id: MachineId, watching: bool) -> Object<'_> {
        let Some(machine) = self.machines.get(&id) else { return self.object() };
        let holder = machine.holder();
        Object {
            machine: Some(id),
            gateway: machine.record.gateway,
            holder,
            member: holder,
            teams: holder.map_or(&[], |member| self.teams_of(member)),
            watching,
            ..self.object()
        }
    }

    /// Something of a member, for rights.
    pub(crate) fn member_object(&self, member: MemberId) -> Object<'_> {
        Object { member: Some(member), teams: self.teams_of(member), ..self.object() }
    }

    fn teams_of(&self, member: MemberId) -> &[protocol::TeamId] {
        let record = self.members.get(&member).and_then(|here| here.record.as_ref());
        record.map_or(&[], |record| &record.teams)
    }

    /// Whether the machine's link is this session.
    pub(crate) fn carries(&self, session: SessionId, machine: MachineId) -> bool {
        self.machines.get(&machine).is_some_and(|machine| machine.session() == Some(session))
    }

    fn machine_known(&mut self, turn: &mut Turn<'_>, record: MachineRecord) {
        let id = record.machine;
        // Only at the start: later this room knows better than the store, which hears of claims after it.
        let claim = record.claim.filter(|_| !self.machines.contains_key(&id));
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.fence = machine.fence.max(record.fence);
            let gateway = machine.record.gateway;
            let before = std::mem::replace(&mut machine.record, record);
            let changed = tickets_changed(&before, &machine.record);
            changed.into_iter().for_each(|body| self.tell_staff(turn, body));
            let Some(machine) = self.machines.get(&id) else { return };
            if gateway != machine.record.gateway {
                self.put_off(turn, id, ErrorCode::ForeignMachine);
            }
        } else if self.machines.len() < MACHINES_MAX && self.machines_ever < u16::MAX {
            self.machine_added(turn, record);
        } else {
            return;
        }
        let newer = self.machines.get(&id).zip(claim).filter(|(machine, claim)| claim.fence >= machine.fence && machine.hold.is_none());
        if let Some((_, claim)) = newer {
            self.keep_claim(turn, id, claim);
        }
        self.availability_changed(turn, id);
        self.show_code(turn, id);
    }

    fn machine_added(&mut self, turn: &mut Turn<'_>, record: MachineRecord) {
        let (id, index, name) = (record.machine, self.machines_ever, record.name.clone());
        self.machines_ever += 1;
        let head = Head::new(RoomName::Machine(id), turn.draw);
        self.machines.insert(id, Machine::new(record, index, head));
        let body = EventBody::MachineAdded { machine: id, index, name };
        self.tell_floor(turn, &body);
    }

    fn machine_removed(&mut self, turn: &mut Turn<'_>, id: MachineId) {
        self.end_claim(turn, id, protocol::frame::ReleaseReason::Staff);
        self.put_off(turn, id, ErrorCode::NoSuchMachine);
        self.codes.drop(id);
        if let Some(machine) = self.machines.remove(&id) {
            self.floor.clear(machine.index);
            self.floor.availability(machine.index, availability::number(Availability::Unknown));
        }
        let room = RoomName::Machine(id);
        let watching: Vec<SessionId> = self.watchers.of(room).iter().map(|watcher| watcher.session).collect();
        for session in watching {
            self.put_out(turn, room, session, ErrorCode::NoSuchRoom);
        }
    }
}

/// Tickets that were opened or closed between two records.
fn tickets_changed(before: &MachineRecord, after: &MachineRecord) -> Vec<EventBody> {
    let machine = after.machine;
    let told = |open| {
        move |ticket: &OpenTicket| {
            let OpenTicket { ticket, severity, text, .. } = ticket.clone();
            EventBody::Ticket { machine, ticket, severity, open, text }
        }
    };
    let of = |record: &MachineRecord, ticket: &OpenTicket| record.tickets.iter().any(|other| other.ticket == ticket.ticket);
    let closed = before.tickets.iter().filter(|ticket| !of(after, ticket)).map(told(false));
    let opened = after.tickets.iter().filter(|ticket| !of(before, ticket)).map(told(true));
    closed.chain(opened).collect()
}

/// Whether the role is one that machines and gateways have.
pub(crate) const fn is_machine_side(role: Role) -> bool {
    matches!(role, Role::Machine | Role::Gateway)
}

#[cfg(any(test, fuzzing))]
mod tests;

/// Plays an hour that a fuzzer drew, with the invariants checked after every step.
///
/// # Errors
/// The invariant that broke, and the deeds that broke it.
#[cfg(fuzzing)]
pub fn random_hours(bytes: &[u8]) -> Result<(), String> {
    tests::hours::random(bytes)
}
