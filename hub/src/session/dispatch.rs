//! From a frame to its room: who may, where to.
//!
//! In: one decoded frame of an authenticated peer. Out: an order for the shard that owns what the frame is about, or an error frame. Rights come
//! from the one table in `room::rights`; what is known of the object comes from the registry, never from the store. Readings are in
//! `readings.rs`; frames whose right hangs on a member's teams, which may have to be read first, end in `deferred.rs`.

use protocol::frame::{
    Approve, CheckOut, Claim, Clock, Control, EndWorkout, HeldClaim, JoinRoom, Leave, LogSet, MachineHello, Pong, Release, Stop, StopAnswer,
};
use protocol::limits::ROOMS_PER_SESSION_MAX;
use protocol::{ClientFrame, ErrorCode, MachineId, RoomName, WorkoutId};
use room::rights::{self, Action, Object};
use room::{Input, Lane, MemberInput};

use super::deferred::Deferred;
use super::live::{PONG_KEY, Session};
use super::slots::Home;
use crate::registry::{MachinePlace, WorkoutPlace};
use crate::shard::Order;

/// Stops of one session that a shard has not looked at yet; beyond it repeats are dropped, and the next comes in 250 ms.
const SAFETY_PENDING_MAX: u32 = 256;

impl Session {
    /// Carries out one frame. Stops were taken out before.
    pub(super) fn dispatch(&mut self, frame: ClientFrame) {
        let session = self.peer.session;
        match frame {
            ClientFrame::Hello(_) => self.refuse(None, ErrorCode::HelloTwice),
            // It answers a challenge, and this session stands.
            ClientFrame::Prove(_) => self.refuse(None, ErrorCode::Forbidden),
            ClientFrame::RotateKey(rotate) => self.defer(Deferred::Rotate(rotate)),
            ClientFrame::Refresh(refresh) => self.defer(Deferred::Refresh(refresh)),
            ClientFrame::Ping(ping) => {
                let pong = Pong { n: ping.n, server_at_ms: crate::clock::at_ms() };
                self.peer.send(Lane::Live { key: PONG_KEY }, &pong.into());
                self.said = true;
            }
            ClientFrame::Join(join) => self.join(join.req, join.join),
            ClientFrame::Leave(leave) => self.leave(leave),
            ClientFrame::Clock(clock) => self.clock(clock),
            ClientFrame::MachineHello(hello) => self.machine_hello(hello),
            ClientFrame::Bind(bind) => self.bind(bind),
            ClientFrame::Unbind(unbind) => self.unbind(unbind.slot),
            ClientFrame::Sample(_)
            | ClientFrame::Batch(_)
            | ClientFrame::FtmsRaw(_)
            | ClientFrame::Lost(_)
            | ClientFrame::Rep(_)
            | ClientFrame::Set(_)
            | ClientFrame::Stroke(_) => self.reading(frame),
            ClientFrame::MachineState(state) => {
                self.of_machine(state.machine, Input::MachineState { session, state, heard_at_ms: crate::clock::at_ms() })
            }
            ClientFrame::MachineFault(fault) => self.of_machine(fault.machine, Input::MachineFault { session, fault }),
            ClientFrame::ClaimHeld(held) => self.of_machine(held.machine, Input::ClaimHeld { session, held }),
            ClientFrame::SecondSign(sign) => self.of_machine(sign.machine, Input::SecondSign { session, sign }),
            ClientFrame::CommandAnswer(answer) => self.of_machine(answer.machine, Input::CommandAnswer { session, answer }),
            ClientFrame::Claim(claim) => self.claim(claim),
            ClientFrame::Release(release) => self.release(release),
            ClientFrame::CheckOut(check_out) => self.check_out(check_out),
            ClientFrame::Approve(approve) => self.approve(&approve),
            ClientFrame::Control(control) => self.control(control),
            ClientFrame::Propose(propose) => self.defer(Deferred::Propose(propose)),
            ClientFrame::Ceiling(ceiling) => self.defer(Deferred::Ceiling(ceiling)),
            ClientFrame::LogSet(log) => self.log_set(log),
            ClientFrame::EndWorkout(end) => self.end_workout(end),
            ClientFrame::Stop(stop) => self.stop(stop),
            ClientFrame::StopAnswer(answer) => self.stop_answer(answer),
        }
    }

    /// Watches a room: at once where everything is known, after one look at the store where a member's teams are not.
    fn join(&mut self, req: u32, join: JoinRoom) {
        if self.peer.rooms() >= ROOMS_PER_SESSION_MAX {
            return self.refuse(Some(req), ErrorCode::TooManyRooms);
        }
        self.defer(Deferred::Join(Some(req), join));
    }

    fn leave(&mut self, leave: Leave) {
        let (session, room, req) = (self.peer.session, leave.room, leave.req);
        // A join that still waits goes with it; whether the room was watched before, the room says.
        let waited = self.peer.waiting().leave(room);
        for join in waited {
            self.refuse(Some(join), ErrorCode::NotJoined);
        }
        let home = match room {
            RoomName::Floor(gym) => self.home_of(gym),
            RoomName::Machine(machine) => self.machine_and_home(machine).map(|(_, home)| home),
            RoomName::Workout(workout) => self.workout_place(workout).and_then(|place| self.home_of(place.gym)),
            RoomName::Board(board) => self.hub.registry.board(board).and_then(|gym| self.home_of(gym)),
            RoomName::Member(member) => {
                let tenant = self.peer.viewer.tenant;
                return self.tell_member(member, tenant, Some(req), MemberInput::Leave { session, req, room });
            }
        };
        match home {
            Some(home) => self.tell_gym(home, Some(req), Input::Leave { session, req, room }),
            // The room is over: nobody watches it any more.
            None => self.say(protocol::frame::Left { req: Some(req), room, code: None }),
        }
    }

    fn clock(&mut self, clock: Clock) {
        let session = self.peer.session;
        match self.home {
            Some(home) => self.tell_gym(home, None, Input::Clock { session, clock, answered_at_ms: crate::clock::at_ms() }),
            None => self.refuse(None, ErrorCode::SlotUnknown),
        }
    }

    fn machine_hello(&mut self, mut hello: MachineHello) {
        let Some((place, home)) = self.machine_and_home(hello.machine) else {
            return self.refuse(None, ErrorCode::NoSuchMachine);
        };
        if let Err(code) = rights::allows(&self.peer.viewer, Action::MachineHello, &object_of(hello.machine, &place)) {
            return self.refuse(None, code);
        }
        if let Err(code) = self.slots.announce(hello.machine, home) {
            return self.refuse(None, code);
        }
        self.home = Some(home);
        hello.claim = hello.claim.filter(|claim| !self.is_foreign(*claim));
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.must_tell_gym(home, Input::MachineHello { session, viewer, hello });
    }

    /// Whether a claim that a machine says it kept is of another tenant's member or workout: then it kept none.
    fn is_foreign(&self, claim: HeldClaim) -> bool {
        let (registry, tenant) = (&self.hub.registry, self.peer.viewer.tenant);
        registry.workout(claim.workout).is_some_and(|place| place.tenant != tenant)
            || registry.member(claim.member).is_some_and(|(of, _)| of != tenant)
    }

    /// A frame about a machine that this connection announced: its right was checked then.
    fn of_machine(&mut self, machine: MachineId, input: Input) {
        match self.slots.machine(machine) {
            Some(home) => self.must_tell_gym(home, input),
            None if self.is_machine() => self.refuse(None, ErrorCode::NoSuchMachine),
            None => self.refuse(None, ErrorCode::Forbidden),
        }
    }

    fn claim(&mut self, claim: Claim) {
        let (req, gym) = (Some(claim.req), claim.gym);
        let Some(home) = self.gym_for(req, gym, Action::Claim) else { return };
        self.claims_at = Some(home);
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, req, Input::Claim { session, viewer, claim });
    }

    fn release(&mut self, release: Release) {
        let req = Some(release.req);
        let Some(home) = self.machine_for(req, release.machine, Action::Release) else { return };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, req, Input::Release { session, viewer, release });
    }

    fn check_out(&mut self, check_out: CheckOut) {
        let req = Some(check_out.req);
        let Some(home) = self.gym_for(req, check_out.gym, Action::CheckOut) else { return };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, req, Input::CheckOut { session, viewer, check_out });
    }

    fn approve(&mut self, approve: &Approve) {
        let (req, machine) = (approve.req, approve.machine);
        let Some(home) = self.machine_for(Some(req), machine, Action::Approve) else { return };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, Some(req), Input::Approve { session, viewer, req, machine });
    }

    fn control(&mut self, control: Control) {
        let req = Some(control.req);
        let Some(home) = self.machine_for(req, control.machine, Action::Control) else { return };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, req, Input::Control { session, viewer, control });
    }

    fn log_set(&mut self, log: LogSet) {
        let req = Some(log.req);
        let Some(home) = self.own_workout(req, log.workout, Action::LogSet) else { return };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, req, Input::LogSet { session, viewer, log });
    }

    fn end_workout(&mut self, end: EndWorkout) {
        let req = Some(end.req);
        let Some(home) = self.own_workout(req, end.workout, Action::EndWorkout) else { return };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.tell_gym(home, req, Input::EndWorkout { session, viewer, end });
    }

    /// A stop: before every limit, by the safety lane. The room checks the right, because it alone knows who holds and who watches now.
    pub(super) fn stop(&mut self, stop: Stop) {
        let Some((_, home)) = self.machine_and_home(stop.machine) else {
            return self.refuse(None, ErrorCode::NoSuchMachine);
        };
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.urgent(home, Input::Stop { session, viewer, stop });
    }

    /// A machine's word on a stop: as urgent as the stop.
    pub(super) fn stop_answer(&mut self, answer: StopAnswer) {
        let session = self.peer.session;
        match self.slots.machine(answer.machine) {
            Some(home) => self.urgent(home, Input::StopAnswer { session, answer }),
            None => self.refuse(None, ErrorCode::NoSuchMachine),
        }
    }

    fn urgent(&mut self, home: Home, input: Input) {
        use std::sync::atomic::Ordering::Relaxed;
        self.touch(home);
        let order = Order::Gym { gym: home.gym, from: Some(self.peer.session), input };
        if self.peer.safety_pending.fetch_add(1, Relaxed) >= SAFETY_PENDING_MAX || self.hub.shards.push_safety(home.shard, order).is_err() {
            self.peer.safety_pending.fetch_sub(1, Relaxed);
            self.refuse(None, ErrorCode::Overloaded);
        }
    }

    /// The gym, where the role may do this there.
    fn gym_for(&mut self, req: Option<u32>, gym: protocol::GymId, action: Action) -> Option<Home> {
        let place = self.hub.registry.gym(gym);
        let object = Object { tenant: place.map(|place| place.tenant), gym: Some(gym), ..Object::default() };
        match (rights::allows(&self.peer.viewer, action, &object), place) {
            (Ok(()), Some(place)) => Some(Home { gym, shard: place.shard }),
            (Err(code), _) => self.deny(req, code),
            (Ok(()), None) => self.deny(req, ErrorCode::NotFound),
        }
    }

    /// The gym of a machine, where the role may do this to it.
    fn machine_for(&mut self, req: Option<u32>, machine: MachineId, action: Action) -> Option<Home> {
        let Some((place, home)) = self.machine_and_home(machine) else {
            return self.deny(req, ErrorCode::NoSuchMachine);
        };
        match rights::allows(&self.peer.viewer, action, &object_of(machine, &place)) {
            Ok(()) => Some(home),
            // A member who does not hold the machine learns the state, not only the refusal.
            Err(ErrorCode::Forbidden) if action.rule(self.peer.viewer.role) == rights::Rule::Holder => {
                self.deny(req, ErrorCode::NotClaimed)
            }
            Err(code) => self.deny(req, code),
        }
    }

    /// The gym of a workout, where it is the viewer's own.
    fn own_workout(&mut self, req: Option<u32>, workout: WorkoutId, action: Action) -> Option<Home> {
        let Some(place) = self.workout_place(workout) else {
            return self.deny(req, ErrorCode::NotFound);
        };
        let object = Object { tenant: Some(place.tenant), gym: Some(place.gym), member: Some(place.member), ..Object::default() };
        match rights::allows(&self.peer.viewer, action, &object) {
            Ok(()) => self.home_of(place.gym),
            Err(code) => self.deny(req, code),
        }
    }

    fn deny(&mut self, req: Option<u32>, code: ErrorCode) -> Option<Home> {
        self.refuse(req, code);
        None
    }

    /// A machine of this tenant and where it is stepped.
    pub(super) fn machine_and_home(&self, machine: MachineId) -> Option<(MachinePlace, Home)> {
        let place = self.hub.registry.machine(machine).filter(|place| place.tenant == self.peer.viewer.tenant)?;
        Some((place, Home { gym: place.gym, shard: self.hub.registry.shard_of(place.gym.0) }))
    }

    /// A workout of this tenant.
    fn workout_place(&self, workout: WorkoutId) -> Option<WorkoutPlace> {
        self.hub.registry.workout(workout).filter(|place| place.tenant == self.peer.viewer.tenant)
    }
}

/// What the table of rights may know of a machine.
pub(super) fn object_of(machine: MachineId, place: &MachinePlace) -> Object<'static> {
    Object {
        tenant: Some(place.tenant),
        gym: Some(place.gym),
        machine: Some(machine),
        gateway: place.gateway,
        holder: place.holder.map(|(holder, _)| holder),
        member: place.holder.map(|(holder, _)| holder),
        ..Object::default()
    }
}
