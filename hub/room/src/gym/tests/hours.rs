//! Hours in a gym: deeds of members, staff, machines, links and clocks, and what must be true after each.
//!
//! In: deeds, duplicates and stale fences among them; drawn by `property` or read from the bytes of a fuzzer. Out: nothing, or the log of deeds as
//! JSON lines and the invariant that broke. Put such a log into [`replay`] to see it again: the gym is seeded, so the same deeds make
//! the same effects.

use std::collections::{BTreeMap, BTreeSet};

use protocol::frame::*;
use protocol::limits::*;
use protocol::text::Text;
use protocol::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::kit::*;
use crate::effect::{Effect, Persist};
use crate::input::*;

pub(super) const MACHINES: u8 = 4;
pub(super) const MEMBERS: u8 = 3;
/// Deeds of one fuzzed hour: some seconds of steps at most.
const DEEDS_MAX: usize = 200;

/// Something that somebody does. Small numbers name members, machines, ids.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Deed {
    Code { member: u8, machine: u8, hand_over: bool },
    Sticker { member: u8, machine: u8, hand_over: bool },
    Sign { machine: u8, sign: Sign },
    Approve { machine: u8 },
    Release { member: u8, machine: u8, stale: bool },
    CheckOut { member: u8 },
    Revoke { machine: u8, stale: bool },
    Late { member: u8, machine: u8 },
    Stop { who: u8, machine: u8, id: u8 },
    StopAnswer { machine: u8, id: u8, stage: StopStage },
    Control { member: u8, machine: u8, id: u8, target: Target, stale: bool },
    Answer { machine: u8, id: u8, stage: CommandStage, result: Option<u8> },
    Read { machine: u8, speed: u16, heart: bool, again: bool },
    State { machine: u8, state: MachineStatus },
    Hello { machine: u8, kept: Kept },
    Bind { machine: u8, boot: u8 },
    LinkLost,
    Join { who: u8, machine: u8, room: u8 },
    Gone { who: u8 },
    Known { member: u8, consent: bool },
    Fault { machine: u8, error: bool },
    Clock,
    Tick { ms: u16 },
    Wait { minutes: u8 },
    Restart,
}

/// What a machine says that it kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Kept {
    /// What it was told.
    Own,
    /// It forgot.
    Nothing,
    /// An older claim, of another member.
    Stale,
}

/// The stop that an issuer asked for.
#[derive(Debug)]
pub(super) struct Asked {
    first_mono_ms: i64,
    times: usize,
    pub(super) results: usize,
}

/// A world, and what must be true of it.
pub(super) struct Watch {
    pub(super) world: World,
    start: u64,
    /// What each machine keeps in its flash, by its own frames.
    pub(super) flash: BTreeMap<MachineId, HeldClaim>,
    /// Newest fence that was ever granted of a machine.
    pub(super) fences: BTreeMap<MachineId, u64>,
    /// Newest fence whose claim was told to be over.
    ended: BTreeMap<MachineId, u64>,
    /// What the store knows: the claim that stands.
    store: BTreeMap<MachineId, (HeldClaim, bool)>,
    /// Under which fence a stop was first asked for.
    asked_under: BTreeMap<(MachineId, StopId), u64>,
    pub(super) asked: BTreeMap<(SessionId, MachineId, StopId), Asked>,
    consent: BTreeSet<u8>,
    /// Next offset of each log that the wall hears.
    offsets: BTreeMap<u32, u64>,
    seqs: BTreeMap<u8, (u32, Option<Numbered>)>,
    /// What happened, so that a test can say that anything did.
    pub(super) commands: usize,
    pub(super) named: bool,
}

fn session_of(who: u8) -> SessionId {
    [OPERATOR, COACH, WALL, phone(1), phone(2), phone(3)][usize::from(who) % 6]
}

fn name(n: u8) -> String {
    format!("Name-{n}-")
}

impl Watch {
    fn new() -> Self {
        let mut world = World::linked(MACHINES);
        world.join(WALL, RoomName::Floor(GYM));
        Self {
            world,
            start: 1,
            flash: BTreeMap::new(),
            fences: BTreeMap::new(),
            ended: BTreeMap::new(),
            store: BTreeMap::new(),
            asked_under: BTreeMap::new(),
            asked: BTreeMap::new(),
            consent: BTreeSet::new(),
            offsets: BTreeMap::new(),
            seqs: BTreeMap::new(),
            commands: 0,
            named: false,
        }
    }

    fn fence_of(&self, member: u8) -> Option<u64> {
        let own = |machine: &&crate::machine::Machine| machine.holder() == Some(super::kit::member(member));
        self.world.gym.machines.values().find(own).map(crate::machine::Machine::held_fence)
    }

    fn shown_code(&self, machine: u8) -> Option<Text<16>> {
        self.world.gym.codes.shown(super::kit::machine(machine), self.world.now.mono_ms)
    }

    fn act(&mut self, deed: Deed) {
        let world = &mut self.world;
        match deed {
            Deed::Code { member, machine, hand_over } => {
                let leave = self.fence_of(member).filter(|_| hand_over);
                let code = self.shown_code(machine).unwrap_or_else(|| Text::cut("000000"));
                self.world.claim(phone(member), ClaimBy::Code(code), leave);
            }
            Deed::Sticker { member, machine: n, hand_over } => {
                let leave = self.fence_of(member).filter(|_| hand_over);
                self.world.claim(phone(member), ClaimBy::Sticker(machine(n)), leave);
            }
            Deed::Sign { machine: n, sign } => {
                world.step(Input::SecondSign { session: LINK, sign: SecondSign { machine: machine(n), sign } });
            }
            Deed::Approve { machine: n } => {
                world.step(Input::Approve { session: OPERATOR, viewer: who(OPERATOR), req: 1, machine: machine(n) });
            }
            Deed::Release { member, machine: n, stale } => {
                let release = Release { req: 1, machine: machine(n), fence: world.fence(n).saturating_sub(u64::from(stale)) };
                world.step(Input::Release { session: phone(member), viewer: who(phone(member)), release });
            }
            Deed::CheckOut { member } => {
                let check_out = CheckOut { req: 1, gym: GYM };
                world.step(Input::CheckOut { session: phone(member), viewer: who(phone(member)), check_out });
            }
            Deed::Revoke { machine: n, stale } => {
                let fence = world.fence(n).saturating_sub(u64::from(stale));
                world.step(Input::Revoke { machine: machine(n), fence, reason: ReleaseReason::Superseded });
            }
            Deed::Late { member: n, machine: at } => {
                world.step(Input::Reserved { machine: machine(at), member: member(n), answer: Reservation::Granted });
            }
            Deed::Stop { who, machine: n, id } => self.stop(session_of(who), n, id),
            Deed::StopAnswer { machine: n, id, stage } => {
                let answer = StopAnswer { machine: machine(n), id: stop_id(id), answer: stage, result: Some(3) };
                world.step(Input::StopAnswer { session: LINK, answer });
            }
            Deed::Control { member, machine, id, target, stale } => {
                let fence = world.fence(machine).saturating_sub(u64::from(stale));
                // Mostly it is the holder who asks, so that something is sent.
                let holder = world.gym.machines[&super::kit::machine(machine)].holder().filter(|_| member != MEMBERS);
                let asks = holder.map_or(member, |holder| (holder.0.as_u128() - 0x5000) as u8);
                world.control_under(phone(asks), machine, u128::from(id), target, fence, None);
            }
            Deed::Answer { machine: n, id, stage, result } => {
                let answer = CommandAnswer { machine: machine(n), id: CommandId(Uuid::from_u128(id.into())), stage, result };
                world.step(Input::CommandAnswer { session: LINK, answer });
            }
            Deed::Read { machine, speed, heart, again } => self.read(machine, speed, heart, again),
            Deed::State { machine, state } => world.state(machine, state),
            Deed::Hello { machine: n, kept } => {
                let claim = match kept {
                    Kept::Own => self.flash.get(&machine(n)).copied(),
                    Kept::Nothing => None,
                    Kept::Stale => Some(HeldClaim { member: member(9), fence: 3, workout: WorkoutId(Uuid::from_u128(3)) }),
                };
                world.hello(n, claim);
            }
            Deed::Bind { machine, boot } => {
                world.step(Input::Unbind { session: LINK, source: SourceHandle(machine.into()) });
                world.bind_one(machine, boot.into(), SeqRanges::new());
            }
            Deed::LinkLost => world.gone(LINK),
            Deed::Join { who, machine: n, room } => {
                let workout = world.gym.machines[&machine(n)].hold.as_ref().map(|hold| hold.held.workout);
                let room = match (room, workout) {
                    (0, _) => RoomName::Floor(GYM),
                    (1, _) | (_, None) => RoomName::Machine(machine(n)),
                    (_, Some(workout)) => RoomName::Workout(workout),
                };
                world.join(session_of(who), room);
            }
            Deed::Gone { who } => world.gone(session_of(who)),
            Deed::Known { member: n, consent } => self.known(n, consent),
            Deed::Fault { machine: n, error } => {
                let severity = if error { Severity::Error } else { Severity::Notice };
                let fault = MachineFault { machine: machine(n), code: Text::cut("E1"), severity, subsystem: None, text: None };
                world.step(Input::MachineFault { session: LINK, fault });
            }
            Deed::Clock => {
                if world.heard.get(&LINK).is_some_and(|heard| heard.iter().any(|frame| matches!(frame, ServerFrame::ClockAsk(_)))) {
                    world.clock();
                }
            }
            Deed::Tick { ms } => world.tick_for(ms.into()),
            Deed::Wait { minutes } => world.skip(i64::from(minutes) * 60_000),
            Deed::Restart => self.restart(),
        }
    }

    fn stop(&mut self, session: SessionId, n: u8, id: u8) {
        let (stop, now) = (stop_id(id), self.world.now.mono_ms);
        let fence = self.world.fence(n);
        self.world.heard.entry(session).or_default().clear();
        self.world.stop(session, n, stop.0.as_u128());
        let refused = self.world.heard[&session].iter().any(|frame| matches!(frame, ServerFrame::Error(_)));
        if !refused {
            self.asked_under.entry((machine(n), stop)).or_insert(fence);
            let fresh = Asked { first_mono_ms: now, times: 0, results: 0 };
            self.asked.entry((session, machine(n), stop)).or_insert(fresh).times += 1;
        }
    }

    fn read(&mut self, n: u8, speed: u16, heart: bool, again: bool) {
        let dev_ms = self.world.now.at_ms - DEV_OFFSET_MS;
        let (seq, last) = self.seqs.entry(n).or_insert((0, None));
        if !again || last.is_none() {
            let mut reading = Reading::new();
            reading.set(Field::Speed, speed.into());
            if heart {
                reading.set(Field::HeartRate, 143);
            }
            *seq += 1;
            *last = Some(Numbered { seq: *seq, dev_ms, what: Said::Reading(reading), backfill: false });
        }
        let said = last.clone().expect("set above");
        self.world.step(Input::Said { source: SourceHandle(n.into()), said });
    }

    fn known(&mut self, n: u8, consent: bool) {
        if consent {
            self.consent.insert(n);
        } else {
            self.consent.remove(&n);
        }
        let here = self.world.gym.members.contains_key(&member(n));
        if !here {
            // The gym reads a member when they come; what it is told of others it does not keep.
            self.consent.remove(&n);
        }
        let record =
            MemberRecord { handle: Some(Text::cut(&name(n))), wall_consent: consent, teams: vec![TEAM], ..MemberRecord::default() };
        self.world.step_member(member(n), MemberInput::Known { record: record.clone() });
        self.world.step(Input::MemberKnown { member: member(n), record });
    }

    /// The node dies; the store and the machines' flash remain.
    fn restart(&mut self) {
        self.start += 1;
        let now = self.world.now;
        let mut world = World::started(0, self.start);
        world.now = now;
        for n in 1..=MACHINES {
            let (claim, may_control) = self.store.get(&machine(n)).map_or((None, false), |(claim, may)| (Some(*claim), *may));
            let fence = self.fences.get(&machine(n)).copied().unwrap_or(0);
            world.step(Input::MachineKnown { record: Box::new(MachineRecord { claim, may_control, fence, ..record(n) }) });
        }
        self.world = world;
        self.asked.clear();
        self.asked_under.clear();
        self.offsets.clear();
        self.consent.clear();
    }

    /// Checks everything after a deed.
    fn check(&mut self) -> Result<(), String> {
        self.check_claims()?;
        self.check_effects()?;
        self.check_wall()?;
        for machine in self.world.gym.machines.values() {
            let linked = machine.session().is_some();
            if machine.availability() == Availability::Available
                && !(linked && machine.status == Some(MachineStatus::Idle) && machine.hold.is_none() && !machine.record.maintenance)
            {
                return Err(format!("{} is offered: {machine:?}", machine.id()));
            }
        }
        Ok(())
    }

    fn check_claims(&self) -> Result<(), String> {
        let mut held = BTreeMap::new();
        for machine in self.world.gym.machines.values() {
            let Some(hold) = &machine.hold else { continue };
            if let Some(other) = held.insert(hold.held.member, machine.id()) {
                return Err(format!("{} holds {other} and {}", hold.held.member, machine.id()));
            }
            let known = self.world.members.get(&hold.held.member).and_then(crate::member::Member::holds);
            if known != Some((machine.id(), hold.held.fence)) {
                return Err(format!("the member's room knows {known:?} of {:?}", hold.held));
            }
        }
        Ok(())
    }

    fn check_effects(&mut self) -> Result<(), String> {
        for effect in std::mem::take(&mut self.world.effects) {
            match effect {
                Effect::Deliver { to, frame, .. } => self.check_frame(to, &frame)?,
                Effect::Persist(Persist::Claim { machine, member, fence, workout, may_control, .. }) => {
                    let newest = self.fences.entry(machine).or_insert(0);
                    if fence < *newest {
                        return Err(format!("fence {fence} after {newest} on {machine}"));
                    }
                    *newest = fence;
                    if self.ended.get(&machine).is_some_and(|ended| fence <= *ended) {
                        return Err(format!("fence {fence} is over and came back on {machine}"));
                    }
                    self.store.insert(machine, (HeldClaim { member, fence, workout }, may_control));
                }
                Effect::Persist(Persist::ClaimEnded { machine, fence, .. }) => {
                    let ended = self.ended.entry(machine).or_insert(0);
                    *ended = fence.max(*ended);
                    self.store.retain(|at, (claim, _)| *at != machine || claim.fence != fence);
                }
                _ => (),
            }
        }
        let now = self.world.now.mono_ms;
        let late = |asked: &Asked| asked.results == 0 && now - asked.first_mono_ms > STOP_CONFIRM_MS + 60;
        match self.asked.iter().find(|(_, asked)| late(asked) || asked.results > asked.times) {
            // One long wait is one tick: the result came at its end.
            Some((key, asked)) => Err(format!("{key:?} was asked {asked:?} and it is {now}")),
            None => Ok(()),
        }
    }

    fn check_frame(&mut self, to: SessionId, frame: &ServerFrame) -> Result<(), String> {
        match frame {
            ServerFrame::ClaimSet(set) => {
                self.flash.insert(set.machine, set.claim);
            }
            ServerFrame::ClaimClear(clear) => self.flash.retain(|at, kept| *at != clear.machine || kept.fence > clear.fence),
            ServerFrame::MachineReady(ready) => {
                self.flash.remove(&ready.machine);
                self.flash.extend(ready.claim.map(|claim| (ready.machine, claim)));
            }
            ServerFrame::StopMachine(stop) => {
                let under = self.asked_under.get(&(stop.machine, stop.id)).copied();
                let held = self.world.gym.machines[&stop.machine].held_fence();
                if under.is_some_and(|under| under != stop.fence) || (held != 0 && held != stop.fence) {
                    return Err(format!("{stop:?} was asked under {under:?}, the claim is {held}"));
                }
            }
            ServerFrame::StopResult(result) => {
                if let Some(asked) = self.asked.get_mut(&(to, result.machine, result.id)) {
                    asked.results += 1;
                }
            }
            ServerFrame::Command(command) => {
                self.commands += 1;
                return self.check_command(command);
            }
            _ => (),
        }
        Ok(())
    }

    fn check_command(&self, command: &Command) -> Result<(), String> {
        let (now, machine) = (self.world.now, &self.world.gym.machines[&command.machine]);
        let dev_ms = now.at_ms - DEV_OFFSET_MS;
        let positive = match command.target {
            Target::SpeedCentikmh(value) | Target::InclinePermille(value) | Target::ResistanceTenths(value) | Target::PowerW(value) => {
                value > 0
            }
            Target::Pause => false,
        };
        // A clock that was not asked since its machine was started is guessed by what it says: late words make a command end too early,
        // never too late.
        let clock = self.world.gym.connections.get(&LINK).and_then(|connection| connection.clocks.get(&0));
        let is_asked = clock.is_some_and(|clock| clock.pair_age_ms(now).is_some());
        let earliest = if is_asked { dev_ms } else { i64::MIN };
        if !(earliest..=dev_ms + COMMAND_LIFE_MS).contains(&command.expires_dev_ms) {
            return Err(format!("{command:?} at {dev_ms} by the machine's clock"));
        }
        if machine.powered() && positive && !machine.motion.moves(now.mono_ms) {
            return Err(format!("{command:?} would start a motor"));
        }
        if machine.held_fence() != command.fence || !machine.hold.as_ref().is_some_and(|hold| hold.may_control) {
            return Err(format!("{command:?} under {:?}", machine.hold));
        }
        Ok(())
    }

    /// What a wall hears: no name without consent, no gap.
    fn check_wall(&mut self) -> Result<(), String> {
        let heard = self.world.hear(WALL);
        for frame in &heard {
            let said = format!("{frame:?}");
            self.named |= said.contains("Name-");
            if let Some(n) = (1..=MEMBERS).find(|n| said.contains(&name(*n)) && !self.consent.contains(n)) {
                return Err(format!("a wall hears {} without consent: {said}", name(n)));
            }
            let next = match frame {
                ServerFrame::Joined(joined) => (joined.handle, joined.offset + 1),
                ServerFrame::Reset(reset) => (reset.handle, reset.offset + 1),
                ServerFrame::Event(event) => {
                    let expected = self.offsets.get(&event.handle).copied();
                    if expected != Some(event.offset) {
                        return Err(format!("the wall hears {} where {expected:?} is next", event.offset));
                    }
                    (event.handle, event.offset + 1)
                }
                _ => continue,
            };
            self.offsets.insert(next.0, next.1);
        }
        Ok(())
    }
}

fn stop_id(id: u8) -> StopId {
    StopId(Uuid::from_u128(0x570 + u128::from(id)))
}

/// Plays deeds, and says at which one an invariant broke.
pub(super) fn play(deeds: &[Deed]) -> Result<Watch, String> {
    let mut watch = Watch::new();
    watch.check()?;
    for (at, deed) in deeds.iter().enumerate() {
        watch.act(*deed);
        watch.check().map_err(|broken| format!("deed {at}: {broken}"))?;
    }
    watch.world.tick_for(STOP_CONFIRM_MS + 50);
    watch.check().map_err(|broken| format!("in the end: {broken}"))?;
    Ok(watch)
}

pub(super) fn log_of(deeds: &[Deed]) -> String {
    deeds.iter().map(|deed| serde_json::to_string(deed).expect("deeds are plain data") + "\n").collect()
}

/// Plays a log as a failure printed it.
pub(super) fn replay(log: &str) -> Result<Watch, String> {
    let deeds: Result<Vec<Deed>, _> = log.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect();
    play(&deeds.map_err(|error| error.to_string())?)
}

/// Deeds read from bytes, as many as there are.
///
/// # Errors
/// The invariant that broke, and the log to replay.
pub(crate) fn random(mut bytes: &[u8]) -> Result<(), String> {
    let mut deeds = Vec::new();
    while !bytes.is_empty() && deeds.len() < DEEDS_MAX {
        deeds.push(read_deed(&mut bytes));
    }
    play(&deeds).map(drop).map_err(|broken| format!("{broken}\nreplay this log:\n{}", log_of(&deeds)))
}

fn read_deed(bytes: &mut &[u8]) -> Deed {
    let mut next = || {
        let (&first, rest) = bytes.split_first().unwrap_or((&0, &[]));
        *bytes = rest;
        first
    };
    let (what, at) = (next(), next());
    let (member, machine, flag) = (1 + at % MEMBERS, 1 + (at >> 2) % MACHINES, at & 0x80 != 0);
    let (who, id) = ((at >> 4) % 6, (at >> 5) % 4);
    match what % 25 {
        0 => Deed::Code { member, machine, hand_over: flag },
        1 => Deed::Sticker { member, machine, hand_over: flag },
        2 => Deed::Sign { machine, sign: [Sign::Movement, Sign::Console, Sign::Nfc][usize::from(next() % 3)] },
        3 => Deed::Approve { machine },
        4 => Deed::Release { member, machine, stale: flag },
        5 => Deed::CheckOut { member },
        6 => Deed::Revoke { machine, stale: flag },
        7 => Deed::Late { member, machine },
        8 => Deed::Stop { who, machine, id },
        9 => Deed::StopAnswer { machine, id, stage: STOP_STAGES[usize::from(next() % 4)] },
        10 => Deed::Control { member, machine, id, target: target_of(next(), next()), stale: flag },
        11 => {
            let (stage, result) = COMMAND_STAGES[usize::from(next() % 5)];
            Deed::Answer { machine, id, stage, result }
        }
        12 => Deed::Read { machine, speed: u16::from(next()) * 6, heart: flag, again: at & 0x40 != 0 },
        13 => Deed::State { machine, state: STATES[usize::from(next() % 6)] },
        14 => Deed::Hello { machine, kept: [Kept::Own, Kept::Nothing, Kept::Stale][usize::from(next() % 3)] },
        15 => Deed::Bind { machine, boot: 1 + next() % 3 },
        16 => Deed::LinkLost,
        17 => Deed::Join { who, machine, room: at & 3 },
        18 => Deed::Gone { who },
        19 => Deed::Known { member, consent: flag },
        20 => Deed::Fault { machine, error: flag },
        21 => Deed::Clock,
        22 => Deed::Tick { ms: 50 + u16::from(next()) * 12 },
        23 => Deed::Wait { minutes: 1 + at % 12 },
        _ => Deed::Restart,
    }
}

fn target_of(kind: u8, value: u8) -> Target {
    let value = i32::from(value);
    match kind % 5 {
        0 => Target::SpeedCentikmh(value * 7),
        1 => Target::InclinePermille(value - 40),
        2 => Target::ResistanceTenths(value),
        3 => Target::PowerW(value * 2),
        _ => Target::Pause,
    }
}

const STOP_STAGES: [StopStage; 4] = [StopStage::Received, StopStage::Confirmed, StopStage::Stopped, StopStage::Refused];
const COMMAND_STAGES: [(CommandStage, Option<u8>); 5] = [
    (CommandStage::Received, None),
    (CommandStage::Answered, Some(1)),
    (CommandStage::Answered, Some(4)),
    (CommandStage::Expired, None),
    (CommandStage::ControlLost, None),
];
const STATES: [MachineStatus; 6] = [
    MachineStatus::Idle,
    MachineStatus::Active,
    MachineStatus::Paused,
    MachineStatus::Manual,
    MachineStatus::SafetyStopped,
    MachineStatus::Booting,
];
