//! One simulated machine: what it is, what it does, what it keeps in its own memory.
//!
//! In: time, orders of the hub, what people do at it. Out: numbered readings and frames about its state. Owns its clock, its claim and
//! fence (kept through breaks and reboots), its screen, its control point, and the sources of its boots. Pure.

use std::sync::Arc;

use protocol::frame::{
    Cause, ClaimHeld, CommandAnswer, ControlRanges, HeldClaim, MachineHello, MachineKind, MachineModel, MachineState, MachineStatus,
    SecondSign, SetDetail, Sign, StopAnswer, StrokeDetail, Target,
};
use protocol::ftms::{Characteristic, Layout, encode_reading};
use protocol::text::{Blob, Text};
use protocol::{ClientFrame, Field, MachineId, Reading};

use super::clock::{DeviceClock, Skew};
use super::control::{Console, Temper, Word};
use super::ledger::{Expected, Ledger, Said};
use super::source::{Item, Source};
use crate::workout::Workout;

/// How a machine's readings leave the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// Decoded by the gateway: `sample`, `rep`, `set`, `stroke`.
    Decoded,
    /// As the machine notified them: `ftms.raw`.
    Raw {
        /// Layout of the records.
        layout: Layout,
        /// Longest notification; records beyond it are split.
        bytes_max: usize,
    },
}

/// What a machine is.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineSpec {
    /// Its id, provisioned and bound to the gateway before.
    pub machine: MachineId,
    /// Vendor, model, kind.
    pub model: MachineModel,
    /// Has a screen for codes.
    pub screen: bool,
    /// What it lets itself be told.
    pub ranges: Option<ControlRanges>,
    /// How it takes orders.
    pub temper: Temper,
    /// How its readings leave.
    pub tongue: Tongue,
    /// How its clock goes.
    pub skew: Skew,
    /// Readings that the gateway keeps for it in flash.
    pub buffer_max: usize,
    /// The boot it starts with.
    pub boot: u32,
    /// Keeps everything it ever numbered, for [`super::Gateway::with_old_buffers`].
    pub archive: bool,
}

impl MachineSpec {
    /// A willing machine of a kind, with a screen, decoded by its gateway.
    #[must_use]
    pub fn new(machine: MachineId, kind: MachineKind) -> Self {
        let model = MachineModel {
            vendor: Text::cut("Spotter"),
            model: Text::cut("Simulated"),
            firmware: Some(Text::cut(env!("CARGO_PKG_VERSION"))),
            serial: None,
            kind,
            powered: kind == MachineKind::Treadmill,
        };
        let ranges = ControlRanges {
            speed_centikmh: (kind == MachineKind::Treadmill).then_some((0, 2_000)),
            incline_permille: (kind == MachineKind::Treadmill).then_some((0, 150)),
            resistance_tenths: matches!(kind, MachineKind::Bike | MachineKind::CrossTrainer | MachineKind::Rower).then_some((0, 200)),
            power_w: (kind == MachineKind::Bike).then_some((0, 600)),
        };
        Self {
            machine,
            model,
            screen: true,
            ranges: (kind != MachineKind::Strength).then_some(ranges),
            temper: Temper::Willing { tells_stopped: true },
            tongue: Tongue::Decoded,
            skew: Skew::Uptime,
            buffer_max: 20_000,
            boot: 1,
            archive: false,
        }
    }
}

/// A workout being replayed.
#[derive(Debug, Clone)]
struct Play {
    workout: Arc<Workout>,
    next: usize,
    started_ms: i64,
    started_dev_ms: i64,
    speed: f64,
}

impl Play {
    fn due_ms(&self) -> Option<i64> {
        let record = self.workout.records.get(self.next)?;
        Some(self.started_ms + (self.since_start(record.t) as f64 / self.speed).round() as i64)
    }

    fn since_start(&self, t: i64) -> i64 {
        t - self.workout.records[0].t
    }
}

/// Sets on a strength machine.
#[derive(Debug, Clone, Copy)]
struct Lifting {
    set: u16,
    sets: u16,
    rep: u16,
    reps: u16,
    load_hg: u32,
    next_ms: i64,
    speed: f64,
}

/// Readings at rest that follow a stop before the machine falls silent.
const RESTS: u32 = 10;
const REST_EVERY_MS: i64 = 400;
/// How long a machine takes to stand once it stops.
const STANDS_AFTER_MS: i64 = 300;
const REP_EVERY_MS: i64 = 3_000;
const SET_REST_MS: i64 = 45_000;

/// One machine as its gateway sees it.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(super) spec: MachineSpec,
    pub(super) index: u16,
    pub(super) clock: DeviceClock,
    pub(super) sources: Vec<Source>,
    state: MachineStatus,
    user_present: bool,
    claim: Option<HeldClaim>,
    /// What its clock showed when it took the claim; none where the clock was started again since.
    claim_since_dev_ms: Option<i64>,
    code: Option<(Text<16>, i64)>,
    console: Console,
    play: Option<Play>,
    lifting: Option<Lifting>,
    targets: Reading,
    /// Rest readings still to send, and when the next is due; the first one is when the machine stands.
    resting: Option<(u32, i64)>,
    strokes: u32,
    pub(super) ready: bool,
}

impl Machine {
    pub(super) fn new(spec: MachineSpec, index: u16, clock: DeviceClock, source: Source) -> Self {
        let console = Console::new(spec.temper);
        Self {
            spec,
            index,
            clock,
            sources: vec![source],
            state: MachineStatus::Idle,
            user_present: false,
            claim: None,
            claim_since_dev_ms: None,
            code: None,
            console,
            play: None,
            lifting: None,
            targets: Reading::new(),
            resting: None,
            strokes: 0,
            ready: false,
        }
    }

    /// The machine.
    #[must_use]
    pub const fn id(&self) -> MachineId {
        self.spec.machine
    }

    /// What it is.
    #[must_use]
    pub const fn spec(&self) -> &MachineSpec {
        &self.spec
    }

    /// What it does now.
    #[must_use]
    pub const fn state(&self) -> MachineStatus {
        self.state
    }

    /// The claim in its memory.
    #[must_use]
    pub const fn claim(&self) -> Option<HeldClaim> {
        self.claim
    }

    /// The code on its screen.
    #[must_use]
    pub fn code(&self, now_ms: i64) -> Option<&str> {
        self.code.as_ref().filter(|(_, until_ms)| *until_ms > now_ms).map(|(code, _)| code.as_str())
    }

    /// Sources of all its boots, the running one last.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether a workout is being replayed, or sets are lifted.
    #[must_use]
    pub const fn is_playing(&self) -> bool {
        self.play.is_some() || self.lifting.is_some()
    }

    /// What the hub set and the readings show.
    #[must_use]
    pub const fn targets(&self) -> &Reading {
        &self.targets
    }

    /// Changes how the machine takes orders.
    pub fn set_temper(&mut self, temper: Temper) {
        self.spec.temper = temper;
        self.console.set_temper(temper);
    }

    /// Goes on after a reboot: the new boot counts by the new clock, what is played goes on where it was.
    pub(super) fn restart(&mut self, clock: DeviceClock, source: Source) {
        self.clock = clock;
        self.claim_since_dev_ms = None;
        self.sources.push(source);
        if let Some(source) = self.sources.last_mut().filter(|_| self.claim.is_some()) {
            source.claim_begins();
        }
        if let Some(play) = &mut self.play {
            play.started_dev_ms = clock.at(play.started_ms);
        }
    }

    /// The same machine with buffers that were never told what is stored; idle and unclaimed.
    pub(super) fn with_old_buffers(&self) -> Self {
        let mut old = self.clone();
        old.sources = self.sources.iter().map(Source::with_old_buffer).collect();
        (old.claim, old.claim_since_dev_ms, old.code, old.play, old.lifting, old.resting) = (None, None, None, None, None, None);
        old.sources.iter_mut().for_each(Source::forget_claim);
        (old.state, old.user_present) = (MachineStatus::Idle, false);
        old
    }

    pub(super) fn hello(&self) -> MachineHello {
        MachineHello {
            machine: self.spec.machine,
            model: self.spec.model.clone(),
            state: self.state,
            user_present: Some(self.user_present),
            claim: self.claim,
            clock: self.index,
            ranges: self.spec.ranges,
            screen: self.spec.screen,
            claim_since_dev_ms: self.claim_since_dev_ms,
        }
    }

    /// Keeps a claim, and with it from which number of the running boot and since when it counts. The same again changes neither.
    pub(super) fn keep_claim(&mut self, claim: Option<HeldClaim>, now_ms: i64, out: &mut Vec<ClientFrame>) {
        if claim.map(|claim| claim.fence) != self.claim.map(|claim| claim.fence) {
            self.sources.iter_mut().for_each(Source::forget_claim);
            self.claim_since_dev_ms = claim.map(|_| self.clock.at(now_ms));
            if let Some(source) = self.sources.last_mut().filter(|_| claim.is_some()) {
                source.claim_begins();
            }
        }
        self.claim = claim;
        if let Some(claim) = claim {
            self.code = None;
            out.push(ClaimHeld { machine: self.spec.machine, fence: claim.fence }.into());
        }
    }

    pub(super) fn clear_claim(&mut self, fence: u64) {
        self.claim = self.claim.filter(|claim| claim.fence > fence);
        if self.claim.is_none() {
            self.claim_since_dev_ms = None;
            self.sources.iter_mut().for_each(Source::forget_claim);
        }
    }

    pub(super) fn show_code(&mut self, code: Text<16>, until_ms: i64) {
        self.code = Some((code, until_ms));
    }

    /// Whether an order under this fence has power here.
    pub(super) fn obeys(&self, fence: u64) -> bool {
        self.claim.is_none_or(|claim| claim.fence <= fence)
    }

    fn change(&mut self, state: MachineStatus, cause: Cause, out: &mut Vec<ClientFrame>) {
        self.state = state;
        let user_present = Some(self.user_present);
        out.push(MachineState { machine: self.spec.machine, state, cause, user_present }.into());
    }

    /// Somebody begins to train: the workout is replayed from its first record, `speed` times as fast.
    pub fn play(&mut self, workout: Arc<Workout>, speed: f64, now_ms: i64, out: &mut Vec<ClientFrame>) {
        self.user_present = true;
        self.resting = None;
        self.targets = Reading::new();
        self.play = Some(Play { workout, next: 0, started_ms: now_ms, started_dev_ms: self.clock.at(now_ms), speed });
        self.change(MachineStatus::Active, Cause::User, out);
    }

    /// Somebody begins to lift.
    pub fn lift(&mut self, sets: u16, reps: u16, load_hg: u32, speed: f64, now_ms: i64, out: &mut Vec<ClientFrame>) {
        self.user_present = true;
        self.lifting = Some(Lifting { set: 1, sets, rep: 0, reps, load_hg, next_ms: now_ms + REP_EVERY_MS, speed });
        self.change(MachineStatus::Active, Cause::User, out);
    }

    /// Somebody ends at the console: the machine is free.
    pub fn finish(&mut self, out: &mut Vec<ClientFrame>) {
        (self.play, self.lifting, self.resting) = (None, None, None);
        self.user_present = false;
        self.change(MachineStatus::Idle, Cause::User, out);
    }

    /// The safety key is pulled.
    pub fn pull_safety_key(&mut self, out: &mut Vec<ClientFrame>) {
        (self.play, self.lifting) = (None, None);
        self.change(MachineStatus::SafetyStopped, Cause::SafetyKey, out);
    }

    /// A key on the console, an NFC tap, a first movement.
    pub fn sign(&mut self, sign: Sign, out: &mut Vec<ClientFrame>) {
        out.push(SecondSign { machine: self.spec.machine, sign }.into());
    }

    pub(super) fn order(&mut self, order: impl FnOnce(&mut Console, &mut Vec<Word>), now_ms: i64, out: &mut Vec<ClientFrame>) {
        let mut words = Vec::new();
        order(&mut self.console, &mut words);
        self.speak(&words, now_ms, out);
    }

    /// Somebody at the console takes control.
    pub fn take_console(&mut self, now_ms: i64, out: &mut Vec<ClientFrame>) {
        self.order(Console::lose_control, now_ms, out);
    }

    fn speak(&mut self, words: &[Word], now_ms: i64, out: &mut Vec<ClientFrame>) {
        let machine = self.spec.machine;
        for word in words {
            match *word {
                Word::Stop(id, answer, result) => out.push(StopAnswer { machine, id, answer, result }.into()),
                Word::Command(id, stage, result) => out.push(CommandAnswer { machine, id, stage, result }.into()),
                Word::Stops => self.resting = Some((RESTS, now_ms + STANDS_AFTER_MS)),
                Word::Goes(target) => self.go_to(target),
            }
        }
    }

    fn go_to(&mut self, target: Target) {
        match target {
            Target::SpeedCentikmh(speed) => self.targets.set(Field::Speed, speed),
            Target::InclinePermille(incline) => self.targets.set(Field::Incline, incline),
            Target::ResistanceTenths(resistance) => self.targets.set(Field::Resistance, resistance),
            Target::PowerW(power) => self.targets.set(Field::Power, power),
            Target::Pause => (),
        }
    }

    /// When something is due next.
    pub(super) fn due_ms(&self) -> Option<i64> {
        let play = if self.resting.is_some() { None } else { self.play.as_ref().and_then(Play::due_ms) };
        let lift = self.lifting.map(|lifting| lifting.next_ms);
        [play, lift, self.resting.map(|(_, at_ms)| at_ms), self.console.due_ms()].into_iter().flatten().min()
    }

    /// Does everything that is due.
    pub(super) fn tick(&mut self, now_ms: i64, ledger: &mut Ledger, out: &mut Vec<ClientFrame>) {
        let now_dev_ms = self.clock.at(now_ms);
        self.order(|console, words| console.tick(now_ms, now_dev_ms, words), now_ms, out);
        self.rest(now_ms, ledger, out);
        self.lift_on(now_ms, ledger, out);
        while self.resting.is_none()
            && let Some(due_ms) = self.play.as_ref().and_then(Play::due_ms)
            && due_ms <= now_ms
        {
            self.play_on(ledger, out);
        }
    }

    fn play_on(&mut self, ledger: &mut Ledger, out: &mut Vec<ClientFrame>) {
        let Some(play) = self.play.as_mut() else { return };
        let record = play.workout.records[play.next];
        // Device time of the reading: where its second lies on the device's own clock, whatever the host did meanwhile.
        let rate = self.clock.at(1_000_000) - self.clock.at(0);
        let passed = (play.since_start(record.t) as f64 / play.speed * rate as f64 / 1_000_000.0).round() as i64;
        let dev_ms = play.started_dev_ms + passed;
        let mut reading = play.workout.reading(play.next, self.spec.model.kind);
        play.next += 1;
        let over = play.next == play.workout.records.len();
        for (field, value) in self.targets.iter() {
            reading.set(field, value);
        }
        self.record(dev_ms, reading, ledger, out);
        let strokes = self.spec.model.kind == MachineKind::Rower && self.spec.tongue == Tongue::Decoded && self.strokes.is_multiple_of(2);
        self.strokes += 1;
        if strokes {
            let stroke =
                StrokeDetail { stroke: self.strokes, drive_ms: 800, recovery_ms: 1_400, length_cm: 140, peak_force_n: 600, work_j: 420 };
            self.say(dev_ms, Item::Stroke(stroke), Said::Stroke(stroke), ledger, out);
        }
        if over {
            self.play = None;
            self.user_present = false;
            self.change(MachineStatus::Idle, Cause::User, out);
        }
    }

    fn rest(&mut self, now_ms: i64, ledger: &mut Ledger, out: &mut Vec<ClientFrame>) {
        let Some((left, at_ms)) = self.resting.filter(|(_, at_ms)| *at_ms <= now_ms) else { return };
        let mut reading = Reading::new();
        for field in match self.spec.model.kind {
            MachineKind::Rower => [Field::StrokeRate, Field::Power],
            MachineKind::Treadmill => [Field::Speed, Field::Distance],
            _ => [Field::Speed, Field::Power],
        } {
            reading.set(field, 0);
        }
        self.record(self.clock.at(at_ms), reading, ledger, out);
        if left == RESTS {
            (self.play, self.lifting) = (None, None);
            self.change(MachineStatus::Paused, Cause::Remote, out);
            self.order(Console::stands, now_ms, out);
        }
        self.resting = (left > 1).then_some((left - 1, at_ms + REST_EVERY_MS));
        if self.resting.is_none() {
            self.user_present = false;
            self.change(MachineStatus::Idle, Cause::Timeout, out);
        }
    }

    fn lift_on(&mut self, now_ms: i64, ledger: &mut Ledger, out: &mut Vec<ClientFrame>) {
        while let Some(mut lifting) = self.lifting.filter(|lifting| lifting.next_ms <= now_ms) {
            let dev_ms = self.clock.at(lifting.next_ms);
            lifting.rep += 1;
            let rep = super::lifted(lifting.set, lifting.rep, lifting.load_hg);
            self.say(dev_ms, Item::Rep(rep), Said::Rep(rep), ledger, out);
            let mut wait_ms = REP_EVERY_MS;
            if lifting.rep == lifting.reps {
                let set = SetDetail {
                    set: lifting.set,
                    exercise: None,
                    target_reps: lifting.reps,
                    reps: lifting.reps,
                    load_hg: lifting.load_hg,
                    seconds: (i64::from(lifting.reps) * REP_EVERY_MS / 1_000) as u16,
                    rest_s: (SET_REST_MS / 1_000) as u16,
                    tempo: None,
                    note: None,
                };
                self.say(dev_ms, Item::Set(set.clone()), Said::Set(set), ledger, out);
                (lifting.rep, lifting.set, wait_ms) = (0, lifting.set + 1, SET_REST_MS);
            }
            lifting.next_ms += (wait_ms as f64 / lifting.speed).round().max(1.0) as i64;
            let over = lifting.set > lifting.sets;
            self.lifting = (!over).then_some(lifting);
            if over {
                self.user_present = false;
                self.change(MachineStatus::Idle, Cause::User, out);
            }
        }
    }

    /// Numbers a reading in the machine's tongue, and enters it in the ledger as it must be stored.
    pub(super) fn record(&mut self, dev_ms: i64, reading: Reading, ledger: &mut Ledger, out: &mut Vec<ClientFrame>) {
        let Tongue::Raw { layout, bytes_max } = self.spec.tongue else {
            return self.say(dev_ms, Item::Reading(reading.clone()), Said::Reading(reading), ledger, out);
        };
        let characteristic = characteristic_of(self.spec.model.kind);
        let encoded = encode_reading(characteristic, layout, &reading, bytes_max);
        let machine = self.spec.machine;
        let Some(source) = self.sources.last_mut() else { return };
        let mut first = None;
        for part in &encoded.parts {
            let bytes = Blob::new(part).expect("a part is no longer than the notification it is cut for");
            let seq = source.record(dev_ms, Item::Raw { uuid: characteristic.uuid(), bytes }, out);
            first = first.or(Some(seq));
        }
        if let Some(seq) = first {
            let said = Said::Reading(reading.only(!encoded.left_out));
            let absorbed = encoded.parts.len() as u32 - 1;
            ledger.enter(Expected { machine, sensor: source.sensor.clone(), boot: source.boot(), seq, absorbed, dev_ms, said });
        }
    }

    fn say(&mut self, dev_ms: i64, item: Item, said: Said, ledger: &mut Ledger, out: &mut Vec<ClientFrame>) {
        let machine = self.spec.machine;
        let Some(source) = self.sources.last_mut() else { return };
        let seq = source.record(dev_ms, item, out);
        ledger.enter(Expected { machine, sensor: source.sensor.clone(), boot: source.boot(), seq, absorbed: 0, dev_ms, said });
    }
}

/// The data characteristic of a kind of machine.
#[must_use]
pub fn characteristic_of(kind: MachineKind) -> Characteristic {
    match kind {
        MachineKind::Treadmill => Characteristic::Treadmill,
        MachineKind::CrossTrainer => Characteristic::CrossTrainer,
        MachineKind::StepClimber => Characteristic::StepClimber,
        MachineKind::StairClimber => Characteristic::StairClimber,
        MachineKind::Rower => Characteristic::Rower,
        MachineKind::Bike | MachineKind::Strength | MachineKind::Functional | MachineKind::Other => Characteristic::IndoorBike,
    }
}
