//! One member's training, over one machine or several.
//!
//! In: what its sources say once it is whole, what became of it in the store, links lost and back, the member's own logs, the end.
//! Out: live frames by class, events, *saved* marks, facts for the store. Owns the stretches of samples that belong to it, their ring,
//! sets, totals so far, points, the ceiling, its event log. Its stage follows from what is known and is never set by hand:
//! created, live, paused, interrupted, reconciling, ended, sealed. It seals when all its sources are reconciled, or after 24 hours, with
//! totals that the store added up; late rows after that come back from the store as an amendment with a revision.
//! Does not know sessions, claims or rights: the gym does.

mod life;
mod points;
mod sets;
mod sources;
mod stretch;
mod tell;
mod totals;

use protocol::frame::{EventBody, SetDetail, Totals, WorkoutSnapshot, WorkoutStage};
use protocol::limits::SEAL_AFTER_MS;
use protocol::text::Text;
use protocol::{Epoch, EventId, Field, GymId, MachineId, MemberId, Reading, RoomName, VisitId, WorkoutId};
pub use tell::sealed_event;

use self::life::Life;
use self::points::Points;
use self::sets::Sets;
use self::stretch::{Link, Stretch};
use crate::alarm::CeilingAlarm;
use crate::classes::Classes;
use crate::effect::{Effect, KeepWhat, Persist};
use crate::input::{Now, WorkoutRecord};
use crate::log::EventLog;
use crate::ring::Ring;
use crate::source::Taken;

/// Sources and boots one workout may have; more are kept without it.
const SOURCES_MAX: usize = 256;
/// Machines remembered that it left.
const LEFT_MAX: usize = 64;
/// *Saved* marks are told this often.
const SAVED_EVERY_MS: i64 = 1_000;
/// A better guess of the start is told where it is so much earlier.
const START_GRAIN_MS: i64 = 500;
/// A start of the store is corrected where it is later than its machine says by more than a clock pair is wrong, and a tenth of its age: drift.
const START_ERROR_MS: i64 = 5_000;
const START_DRIFT: i64 = 10;
/// Fields that show that somebody moves.
const MOVES: [Field; 5] = [Field::Speed, Field::Cadence, Field::Power, Field::StrokeRate, Field::StepRate];

/// What a workout is when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkoutSeed {
    /// The workout.
    pub workout: WorkoutId,
    /// Its gym.
    pub gym: GymId,
    /// Whose.
    pub member: MemberId,
    /// In which visit.
    pub visit: VisitId,
    /// Since when, UTC.
    pub started_at_ms: i64,
    /// Short number of its room.
    pub handle: u32,
    /// Epoch of its event log, drawn at random.
    pub epoch: Epoch,
    /// Names of achievements that the member has.
    pub achievements: Vec<Text<64>>,
    /// Heart-rate ceiling.
    pub ceiling_bpm: Option<u16>,
}

/// Who says when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// This hub granted the claim.
    Seen,
    /// The store.
    Stored,
    /// Nobody: a machine kept the claim, and its clock and its earliest reading tell better than the time of the restart.
    Guessed,
}

/// Where it runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Station {
    /// The machine, if it is on one.
    pub machine: Option<MachineId>,
    /// Fence of the claim; 0 without.
    pub fence: u64,
    /// Whether the member may control the machine.
    pub may_control: bool,
}

/// A machine that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    machine: MachineId,
    fence: u64,
    at_ms: i64,
    /// It could not be heard then, and was not since.
    is_awaited: bool,
}

/// One workout and its room.
#[derive(Debug, Clone)]
pub struct Workout {
    seed: WorkoutSeed,
    /// Events of its room.
    pub log: EventLog,
    /// Watcher classes of its room.
    pub classes: Classes,
    station: Station,
    left: Vec<Left>,
    life: Life,
    stage: WorkoutStage,
    start: Start,
    paused: bool,
    stretches: Vec<Stretch>,
    ring: Ring,
    sets: Sets,
    sealed: Option<Totals>,
    points: Points,
    alarm: CeilingAlarm,
    alive_mono_ms: i64,
    /// Since when a link is lost: the abandonment clock stands still.
    frozen_mono_ms: Option<i64>,
    saved_mono_ms: i64,
}

impl Workout {
    fn new(seed: WorkoutSeed, station: Station, life: Life, stage: WorkoutStage, now: Now) -> Self {
        let room = RoomName::Workout(seed.workout);
        let mut alarm = CeilingAlarm::default();
        alarm.set(seed.ceiling_bpm);
        Self {
            log: EventLog::new(seed.handle, seed.epoch),
            classes: Classes::new(room, seed.handle),
            points: Points::new(seed.achievements.clone()),
            seed,
            station,
            left: Vec::new(),
            life,
            stage,
            start: Start::Seen,
            paused: false,
            stretches: Vec::new(),
            ring: Ring::default(),
            sets: Sets::default(),
            sealed: None,
            alarm,
            alive_mono_ms: now.mono_ms,
            frozen_mono_ms: None,
            saved_mono_ms: now.mono_ms,
        }
    }

    /// Begins a workout and tells the store.
    #[must_use]
    pub fn begin(seed: WorkoutSeed, station: Station, now: Now, out: &mut Vec<Effect>) -> Self {
        let mut workout = Self::new(seed, station, Life::Running, WorkoutStage::Created, now);
        workout.tell_stage(now, out);
        workout
    }

    /// Takes up a workout that ran before a restart: all of its links are lost until its sources are back.
    #[must_use]
    pub fn restore(seed: WorkoutSeed, station: Station, record: &WorkoutRecord, now: Now) -> Self {
        let ended = matches!(record.stage, WorkoutStage::Ended | WorkoutStage::Sealed);
        let ended_at_ms = record.ended_at_ms.unwrap_or(now.at_ms);
        let life = if ended { Life::Ended { at_ms: ended_at_ms, mono_ms: now.mono_ms, asked_mono_ms: None } } else { Life::Running };
        let mut workout = Self::new(seed, station, life, record.stage, now);
        workout.start = Start::Stored;
        workout.stretches = record
            .ranges
            .iter()
            .take(SOURCES_MAX)
            .map(|(range, stored)| {
                let mut stretch = Stretch::new(range.source.clone(), range.boot, range.from_seq);
                (stretch.link, stretch.is_sure) = (Link::Lost, false);
                match range.to_seq {
                    u32::MAX if ended => stretch.end(u32::MAX, ended_at_ms),
                    u32::MAX => (),
                    to_seq => stretch.close_at(to_seq),
                }
                stretch.knows(stored);
                stretch
            })
            .collect();
        workout.stage = workout.stage_now();
        workout.frozen_mono_ms = (workout.stage == WorkoutStage::Interrupted).then_some(now.mono_ms);
        workout
    }

    /// It began before a restart, with a claim that only its machine remembers.
    pub(crate) const fn start_is_guessed(&mut self) {
        self.start = Start::Guessed;
    }

    /// It began at this time at the latest, by its machine. Counts where nobody here saw it begin, and no more than a day back.
    pub(crate) fn started_by(&mut self, at_ms: i64, now: Now, out: &mut Vec<Effect>) {
        let at_ms = at_ms.max(now.at_ms - SEAL_AFTER_MS);
        let error_ms = match self.start {
            Start::Seen => return,
            Start::Guessed => START_GRAIN_MS,
            // Perhaps a guess from before another kill. A device's clock is no better than this.
            Start::Stored => START_ERROR_MS + (now.at_ms - self.seed.started_at_ms) / START_DRIFT,
        };
        if at_ms.saturating_add(error_ms) <= self.seed.started_at_ms {
            self.seed.started_at_ms = at_ms;
            self.persist(out);
        }
    }

    /// Takes what one of its sources said, to show, to count and to chart. Returns whether it belongs: what was read after the end does not.
    pub fn take(&mut self, index: u16, taken: &Taken, now: Now, out: &mut Vec<Effect>) -> bool {
        let Some(stretch) = self.stretches.get_mut(usize::from(index)) else { return false };
        let was = stretch.close;
        let is_lost = matches!(taken.what, KeepWhat::Lost { .. });
        let at_ms = if is_lost { taken.corrected_at_ms } else { stretch.at_ms(taken) };
        // A guess counts numbers for seconds: good enough for a chart, and not to say whose it is.
        let by_ms = if taken.is_outlived && taken.is_guess && !stretch.knows_its_clock() { taken.received_at_ms } else { at_ms };
        if !(is_lost || stretch.admits(taken.seq, by_ms)) {
            if was != stretch.close {
                self.persist_range(index, out);
            }
            return false;
        }
        let to = if let KeepWhat::Lost { to } = taken.what { to.min(stretch.to_seq()) } else { taken.seq };
        stretch.take(taken.seq, to, !taken.is_backfill);
        taken.absorbed.iter().for_each(|part| stretch.take(*part, *part, !taken.is_backfill));
        let closed = was != stretch.close;
        let new = !is_lost && stretch.count(taken.seq, &taken.absorbed);
        if closed {
            self.persist_range(index, out);
        }
        if new {
            self.started_by(by_ms, now, out);
            self.count(index, taken, at_ms, now, out);
        }
        self.restage(now, out);
        true
    }

    fn count(&mut self, index: u16, taken: &Taken, at_ms: i64, now: Now, out: &mut Vec<Effect>) {
        match &taken.what {
            KeepWhat::Reading(reading) => self.read(index, taken, reading, at_ms, now, out),
            KeepWhat::Rep(rep) => {
                self.stretches[usize::from(index)].sums.rep();
                self.tell(self.numbered("rep", index, taken.seq), EventBody::Rep(*rep), now, out);
            }
            KeepWhat::Set(set) => {
                self.stretches[usize::from(index)].sums.set();
                self.sets.count(index, taken.seq, set);
                self.tell_and_keep(self.numbered("set", index, taken.seq), EventBody::Set(set.clone()), now, out);
            }
            KeepWhat::Stroke(_) => self.stretches[usize::from(index)].sums.stroke(),
            KeepWhat::Poison { .. } | KeepWhat::Lost { .. } => return,
        }
        if taken.live_age_ms.is_some() && taken.reading().is_none_or(is_sign_of_life) {
            self.alive_mono_ms = now.mono_ms;
        }
        self.earn(&self.totals(), now, out);
    }

    fn read(&mut self, index: u16, taken: &Taken, reading: &Reading, at_ms: i64, now: Now, out: &mut Vec<Effect>) {
        let stretch = &mut self.stretches[usize::from(index)];
        stretch.sums.read(taken.seq, taken.dev_ms, reading);
        self.ring.push(index, taken.seq, taken.dev_ms, at_ms.saturating_sub(taken.dev_ms), reading, now.at_ms);
        if let Some(age_ms) = taken.live_age_ms {
            self.classes.live(index, taken.seq, age_ms, reading, now, out);
            if let Some(alarm) = self.alarm.live(self.seed.workout, index, reading, age_ms.into(), now) {
                self.raise(alarm, out);
            }
        }
    }

    /// Takes a set that the member logged; the same id twice is one set.
    pub fn log_set(&mut self, id: EventId, logged_at_ms: i64, set: &SetDetail, now: Now, out: &mut Vec<Effect>) {
        self.alive_mono_ms = now.mono_ms;
        self.sets.log(id, set);
        let (workout, member) = (self.seed.workout, self.seed.member);
        out.push(Effect::Persist(Persist::LoggedSet { id, workout, member, logged_at_ms, set: set.clone() }));
        self.tell_and_keep(id, EventBody::SetLogged(set.clone()), now, out);
    }

    /// The member earned these before; they are not earned again.
    pub fn knows_achievements(&mut self, names: &[Text<64>]) {
        self.points.know(names);
    }

    /// Sets or clears the ceiling and tells the room.
    pub fn set_ceiling(&mut self, id: EventId, heart_rate_bpm: Option<u16>, now: Now, out: &mut Vec<Effect>) {
        self.alarm.set(heart_rate_bpm);
        let body = EventBody::Ceiling { member: self.seed.member, heart_rate_bpm };
        self.tell(id, body, now, out);
    }

    /// Time passes: live frames that waited, *saved* marks, the ring's end, sealing.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.classes.tick(now, out);
        if now.mono_ms - self.saved_mono_ms >= SAVED_EVERY_MS {
            self.saved_mono_ms = now.mono_ms;
            self.tell_saved(out);
            self.give_up(now, out);
            self.ring.expire(now.at_ms);
        }
        self.ask_for_totals(now, out);
    }

    /// Totals so far; the store's once it is sealed.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.sealed.unwrap_or_else(|| {
            let mut totals = Totals::default();
            self.stretches.iter().for_each(|stretch| stretch.sums.add_to(&mut totals, stretch.key.machine.is_some()));
            totals
        })
    }

    /// Whether its totals are the store's.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// As it is, with its last 15 minutes.
    #[must_use]
    pub fn snapshot(&self) -> WorkoutSnapshot {
        WorkoutSnapshot {
            workout: self.seed.workout,
            member: self.seed.member,
            stage: self.stage,
            started_at_ms: self.seed.started_at_ms,
            machine: self.station.machine,
            fence: self.station.fence,
            may_control: self.station.may_control,
            sources: (0..self.stretches.len() as u16).filter_map(|index| self.room_source(index)).collect(),
            ring: self.ring.unpack(),
            sets: self.sets.all(),
            points: self.points.total(),
            ceiling_bpm: self.alarm.ceiling_bpm(),
            totals: self.totals(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn seed(&self) -> &WorkoutSeed {
        &self.seed
    }

    /// When its member last gave a sign of life.
    #[must_use]
    pub(crate) const fn alive_mono_ms(&self) -> i64 {
        self.alive_mono_ms
    }

    /// Machines that it was on, as far as they said anything.
    pub(crate) fn machines(&self) -> impl Iterator<Item = MachineId> {
        self.stretches.iter().filter_map(|stretch| stretch.key.machine)
    }

    /// Where it runs.
    #[must_use]
    pub const fn station(&self) -> Station {
        self.station
    }
}

/// Whether a reading shows a person: something moves, or a heart beats under a sensor that touches skin.
pub(crate) fn is_sign_of_life(reading: &Reading) -> bool {
    let moves = MOVES.iter().any(|field| reading.get(*field).is_some_and(|value| value > 0));
    moves || (reading.get(Field::HeartRate).is_some() && reading.get(Field::Contact) != Some(0))
}

#[cfg(test)]
mod tests;
