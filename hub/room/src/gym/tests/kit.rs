//! A gym, its members' rooms, peers and a clock: what tests say and hear.
//!
//! In: inputs as a session would hand them over. Out: frames by session. Tells between gym and members are carried at once, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::frame::*;
use protocol::text::Text;
use protocol::*;
use uuid::Uuid;

use crate::draw::Draw;
use crate::effect::{Audience, Effect, Lane, Persist, Tell};
use crate::gym::{Gym, GymSeed};
use crate::input::*;
use crate::member::{Member, MemberSeed};

pub(super) const TENANT: TenantId = TenantId(Uuid::from_u128(0x7e));
pub(super) const GYM: GymId = GymId(Uuid::from_u128(0x97));
pub(super) const TEAM: TeamId = TeamId(Uuid::from_u128(0x7ea));
pub(super) const GATEWAY: Uuid = Uuid::from_u128(0x6a7e);
pub(super) const LINK: SessionId = SessionId(Uuid::from_u128(0x11));
pub(super) const LINK_TWO: SessionId = SessionId(Uuid::from_u128(0x12));
/// Wall clock at mono 0.
pub(super) const EPOCH_MS: i64 = 1_764_000_000_000;
/// UTC minus the device clock of every machine of the kit.
pub(super) const DEV_OFFSET_MS: i64 = EPOCH_MS - 5_000;

pub(super) fn machine(n: u8) -> MachineId {
    MachineId(Uuid::from_u128(0x3000 + u128::from(n)))
}
pub(super) fn member(n: u8) -> MemberId {
    MemberId(Uuid::from_u128(0x5000 + u128::from(n)))
}
/// The phone of a member.
pub(super) fn phone(n: u8) -> SessionId {
    SessionId(Uuid::from_u128(0x9000 + u128::from(n)))
}
pub(super) const OPERATOR: SessionId = SessionId(Uuid::from_u128(0xa001));
pub(super) const COACH: SessionId = SessionId(Uuid::from_u128(0xa002));
pub(super) const WALL: SessionId = SessionId(Uuid::from_u128(0xa003));

pub(super) fn viewer(role: Role, subject: Uuid) -> Arc<Viewer> {
    let teams = if role == Role::Coach { vec![TEAM] } else { vec![] };
    Arc::new(Viewer { tenant: TENANT, role, subject, gyms: vec![GYM], teams })
}

pub(super) fn who(session: SessionId) -> Arc<Viewer> {
    match session {
        OPERATOR => viewer(Role::Operator, OPERATOR.0),
        COACH => viewer(Role::Coach, COACH.0),
        WALL => viewer(Role::Display, WALL.0),
        LINK | LINK_TWO => viewer(Role::Gateway, GATEWAY),
        SessionId(phone) => viewer(Role::Member, Uuid::from_u128(phone.as_u128() - 0x9000 + 0x5000)),
    }
}

pub(super) fn record(n: u8) -> MachineRecord {
    MachineRecord {
        machine: machine(n),
        name: Text::cut("machine"),
        location: Text::cut("here"),
        kind: if n.is_multiple_of(2) { MachineKind::Bike } else { MachineKind::Treadmill },
        gateway: Some(GatewayId(GATEWAY)),
        maintenance: false,
        tickets: vec![],
        claim: None,
        may_control: false,
        fence: 0,
    }
}

/// Odd machines are powered treadmills, even ones are bikes.
pub(super) fn hello(n: u8, claim: Option<HeldClaim>) -> MachineHello {
    let ranges = ControlRanges {
        speed_centikmh: (!n.is_multiple_of(2)).then_some((0, 2_000)),
        incline_permille: (!n.is_multiple_of(2)).then_some((0, 150)),
        resistance_tenths: (n.is_multiple_of(2)).then_some((0, 200)),
        power_w: (n.is_multiple_of(2)).then_some((0, 400)),
    };
    MachineHello {
        machine: machine(n),
        model: MachineModel {
            vendor: Text::cut("v"),
            model: Text::cut("m"),
            firmware: None,
            serial: None,
            kind: record(n).kind,
            powered: !n.is_multiple_of(2),
        },
        state: MachineStatus::Idle,
        user_present: None,
        claim,
        clock: 0,
        ranges: Some(ranges),
        screen: true,
        claim_since_dev_ms: None,
    }
}

/// Everything that tests play with.
pub(super) struct World {
    pub(super) gym: Gym,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) draw: Draw,
    pub(super) now: Now,
    /// What each session heard since it was last asked.
    pub(super) heard: BTreeMap<SessionId, Vec<ServerFrame>>,
    /// Everything since the last `take_effects`.
    pub(super) effects: Vec<Effect>,
    watching: BTreeMap<RoomName, BTreeMap<SessionId, (u8, bool)>>,
    pub(super) req: u32,
    seq: u32,
}

impl World {
    /// A gym with machines 1 to `machines` known, nothing connected.
    pub(super) fn new(machines: u8) -> Self {
        Self::started(machines, 1)
    }

    pub(super) fn started(machines: u8, start: u64) -> Self {
        let mut draw = Draw::new([7; 32], start, 0, 1);
        let gym = Gym::new(GymSeed { gym: GYM, tenant: TENANT, name: Text::cut("gym") }, &mut draw);
        let now = Now { at_ms: EPOCH_MS, mono_ms: 0 };
        let mut world = Self {
            gym,
            members: BTreeMap::new(),
            draw,
            now,
            heard: BTreeMap::new(),
            effects: vec![],
            watching: BTreeMap::new(),
            req: 0,
            seq: 0,
        };
        for n in 1..=machines {
            world.step(Input::MachineKnown { record: Box::new(record(n)) });
        }
        world
    }

    /// One with all machines on one gateway, which answered two clock questions.
    pub(super) fn linked(machines: u8) -> Self {
        let mut world = Self::new(machines);
        for n in 1..=machines {
            world.hello(n, None);
        }
        world.bind(machines);
        world.tick_for(1_000);
        world.clock();
        world
    }

    /// Steps the gym, carries what it tells, and hands frames to their sessions.
    pub(super) fn step(&mut self, input: Input) {
        let mut out = vec![];
        self.gym.step(self.now, input, &mut self.draw, &mut out);
        self.carry(out);
    }

    pub(super) fn step_member(&mut self, member: MemberId, input: MemberInput) {
        let mut out = vec![];
        let draw = &mut self.draw;
        let seed = MemberSeed { member, tenant: TENANT, record: None };
        self.members.entry(member).or_insert_with(|| Member::new(seed, draw)).step(self.now, input, draw, &mut out);
        self.carry(out);
    }

    fn carry(&mut self, out: Vec<Effect>) {
        let mut tells = vec![];
        for effect in out {
            match &effect {
                Effect::Deliver { to, frame, .. } => self.heard.entry(*to).or_default().push((**frame).clone()),
                Effect::Broadcast { room, audience, frame, .. } => {
                    for (session, (class, staff)) in self.watching.get(room).into_iter().flatten() {
                        let hears = match audience {
                            Audience::All => true,
                            Audience::Staff => *staff,
                            Audience::Class(of) => of == class,
                        };
                        if hears {
                            self.heard.entry(*session).or_default().push((**frame).clone());
                        }
                    }
                }
                Effect::Watch { room, session, class, staff } => {
                    self.watching.entry(*room).or_default().insert(*session, (*class, *staff));
                }
                Effect::Unwatch { room, session } => {
                    self.watching.entry(*room).or_default().remove(session);
                }
                Effect::Tell(tell) => tells.push(tell.clone()),
                Effect::Keep(_) | Effect::Persist(_) | Effect::Close { .. } | Effect::Count(_) => (),
            }
            self.effects.push(effect);
        }
        for tell in tells {
            match tell {
                Tell::Member { member, input } => self.step_member(member, *input),
                Tell::Gym { gym: GYM, input } => self.step(*input),
                Tell::Gym { .. } | Tell::LookUpMember { .. } | Tell::ForgetBoard { .. } => (),
            }
        }
    }

    /// Lets time pass in ticks of 50 ms.
    pub(super) fn tick_for(&mut self, ms: i64) {
        for _ in 0..ms / 50 {
            self.now.mono_ms += 50;
            self.now.at_ms += 50;
            self.step(Input::Tick);
            for member in self.members.keys().copied().collect::<Vec<_>>() {
                self.step_member(member, MemberInput::Tick);
            }
        }
    }

    /// One long jump with a tick at its end.
    pub(super) fn skip(&mut self, ms: i64) {
        self.now.mono_ms += ms - 50;
        self.now.at_ms += ms - 50;
        self.tick_for(50);
    }

    pub(super) fn hello(&mut self, n: u8, claim: Option<HeldClaim>) {
        self.step(Input::MachineHello { session: LINK, viewer: who(LINK), hello: hello(n, claim) });
    }

    pub(super) fn bind(&mut self, machines: u8) {
        for n in 1..=machines {
            self.bind_one(n, 1, SeqRanges::new());
        }
    }

    pub(super) fn bind_one(&mut self, n: u8, boot: u32, held: SeqRanges) {
        let bind = Bind {
            slot: u16::from(n),
            machine: Some(machine(n)),
            sensor: Text::cut("ftms"),
            boot,
            nonce: 9,
            clock: 0,
            held,
            quirk: None,
            claim_from_seq: None,
        };
        self.step(Input::Bind { session: LINK, viewer: who(LINK), source: SourceHandle(u64::from(n)), bind });
    }

    /// Answers the newest clock question.
    pub(super) fn clock(&mut self) {
        let asked = self.heard.get(&LINK).into_iter().flatten().rev().find_map(|frame| match frame {
            ServerFrame::ClockAsk(ask) => Some(ask.asked_at_ms),
            _ => None,
        });
        let asked_at_ms = asked.expect("the hub asks for clock pairs");
        let dev = asked_at_ms - DEV_OFFSET_MS;
        let clock = Clock { clock: 0, asked_at_ms, received_dev_ms: dev, sent_dev_ms: dev };
        self.step(Input::Clock { session: LINK, clock, answered_at_ms: asked_at_ms });
    }

    /// A new reading of a machine, now.
    pub(super) fn read(&mut self, n: u8, fields: &[(Field, i32)]) {
        let mut reading = Reading::new();
        fields.iter().for_each(|(field, value)| reading.set(*field, *value));
        self.seq += 1;
        let dev_ms = self.now.at_ms - DEV_OFFSET_MS;
        let said = Numbered { seq: self.seq, dev_ms, what: Said::Reading(reading), backfill: false };
        self.step(Input::Said { source: SourceHandle(u64::from(n)), said });
    }

    pub(super) fn state(&mut self, n: u8, state: MachineStatus) {
        let state = MachineState { machine: machine(n), state, cause: Cause::User, user_present: None };
        self.step(Input::MachineState { session: LINK, state, heard_at_ms: self.now.at_ms });
    }

    pub(super) fn req(&mut self) -> u32 {
        self.req += 1;
        self.req
    }

    pub(super) fn claim(&mut self, phone: SessionId, by: ClaimBy, hand_over: Option<u64>) {
        let claim = Claim { req: self.req(), gym: GYM, by, hand_over };
        self.step(Input::Claim { session: phone, viewer: who(phone), claim });
    }

    /// The code that a machine shows.
    pub(super) fn code(&self, n: u8) -> Text<16> {
        let shown = self.heard.get(&LINK).into_iter().flatten().rev().find_map(|frame| match frame {
            ServerFrame::ShowCode(show) if show.machine == machine(n) => Some(show.code.clone()),
            _ => None,
        });
        shown.expect("the machine was told a code")
    }

    /// A member claims a machine by its code; returns the fence.
    pub(super) fn claim_by_code(&mut self, member: u8, n: u8) -> u64 {
        let code = self.code(n);
        self.claim(phone(member), ClaimBy::Code(code), None);
        self.fence(n)
    }

    pub(super) fn fence(&self, n: u8) -> u64 {
        self.gym.machines[&machine(n)].held_fence()
    }

    pub(super) fn workout(&self, n: u8) -> WorkoutId {
        self.gym.machines[&machine(n)].hold.as_ref().expect("claimed").held.workout
    }

    pub(super) fn join(&mut self, session: SessionId, room: RoomName) {
        let join = JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 };
        self.join_from(session, join);
    }

    pub(super) fn join_from(&mut self, session: SessionId, join: JoinRoom) {
        let req = Some(self.req());
        if let RoomName::Member(member) = join.room {
            return self.step_member(member, MemberInput::Join { session, viewer: who(session), req, join });
        }
        self.step(Input::Join { session, viewer: who(session), req, join });
    }

    /// The member and what the store knows of them.
    pub(super) fn known(&mut self, n: u8, wall_consent: bool) {
        let record = MemberRecord { handle: Some(Text::cut("Anna")), wall_consent, teams: vec![TEAM], ..MemberRecord::default() };
        self.step_member(member(n), MemberInput::Known { record: record.clone() });
        self.step(Input::MemberKnown { member: member(n), record });
    }

    pub(super) fn stop(&mut self, session: SessionId, n: u8, id: u128) {
        let stop = Stop { machine: machine(n), id: StopId(Uuid::from_u128(id)), reason: None };
        self.step(Input::Stop { session, viewer: who(session), stop });
    }

    pub(super) fn control(&mut self, session: SessionId, n: u8, id: u128, target: Target) {
        let fence = self.fence(n);
        self.control_under(session, n, id, target, fence, None);
    }

    pub(super) fn control_under(&mut self, session: SessionId, n: u8, id: u128, target: Target, fence: u64, proposal: Option<ProposalId>) {
        let control = Control { req: self.req(), id: CommandId(Uuid::from_u128(id)), machine: machine(n), fence, target, proposal };
        self.step(Input::Control { session, viewer: who(session), control });
    }

    pub(super) fn gone(&mut self, session: SessionId) {
        for watchers in self.watching.values_mut() {
            watchers.remove(&session);
        }
        self.step(Input::Gone { session });
    }

    /// What a session heard, and forgets it.
    pub(super) fn hear(&mut self, session: SessionId) -> Vec<ServerFrame> {
        self.heard.remove(&session).unwrap_or_default()
    }

    /// The number of the last error that a session heard.
    pub(super) fn error(&mut self, session: SessionId) -> Option<ErrorCode> {
        self.hear(session).iter().rev().find_map(|frame| match frame {
            ServerFrame::Error(error) => ErrorCode::from_code(error.code),
            _ => None,
        })
    }

    pub(super) fn availability(&self, n: u8) -> Availability {
        self.gym.machines[&machine(n)].availability()
    }

    /// Facts for the store since the last call.
    pub(super) fn facts(&mut self) -> Vec<Persist> {
        let effects = std::mem::take(&mut self.effects);
        effects.into_iter().filter_map(|effect| if let Effect::Persist(fact) = effect { Some(fact) } else { None }).collect()
    }

    /// Stops that went to the gateway since it was last asked, as (machine, stop, fence).
    pub(super) fn stops_sent(&mut self) -> Vec<(MachineId, StopId, u64)> {
        let heard = self.hear(LINK);
        heard
            .iter()
            .filter_map(|frame| if let ServerFrame::StopMachine(stop) = frame { Some((stop.machine, stop.id, stop.fence)) } else { None })
            .collect()
    }

    /// Results that a session heard.
    pub(super) fn results(&mut self, session: SessionId) -> Vec<StopOutcome> {
        let heard = self.hear(session);
        heard.iter().filter_map(|frame| if let ServerFrame::StopResult(stop) = frame { Some(stop.result) } else { None }).collect()
    }

    /// Events that a session heard.
    pub(super) fn events(&mut self, session: SessionId) -> Vec<EventBody> {
        let heard = self.hear(session);
        heard.into_iter().filter_map(|frame| if let ServerFrame::Event(event) = frame { Some(event.body) } else { None }).collect()
    }

    /// Commands that went to the gateway.
    pub(super) fn commands(&mut self) -> Vec<Command> {
        let heard = self.hear(LINK);
        heard.into_iter().filter_map(|frame| if let ServerFrame::Command(command) = frame { Some(command) } else { None }).collect()
    }

    /// Whether a stop went by the safety lane.
    pub(super) fn stops_go_by_the_safety_lane(&self) -> bool {
        self.effects.iter().all(|effect| match effect {
            Effect::Deliver { lane, frame, .. } => {
                !matches!(**frame, ServerFrame::StopMachine(_) | ServerFrame::StopResult(_)) || *lane == Lane::Safety
            }
            _ => true,
        })
    }
}
