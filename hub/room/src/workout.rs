//! One member's training, over one machine or several.
//!
//! In: what its sources say once it is whole, what became of it in the store, links lost and back, the member's own logs, the end.
//! Out: live frames by class, events, *saved* marks, facts for the store. Owns the stretches of samples that belong to it, their ring,
//! sets, totals so far, points, the ceiling, its event log. Its stage follows from what is known and is never set by hand:
//! created, live, paused, interrupted, reconciling, ended, sealed. It seals when all its sources are reconciled, or after 24 hours, with
//! totals that the store added up; late rows after that come back from the store as an amendment with a revision.
//! Does not know sessions, claims or rights: the gym does.

mod points;
mod sets;
mod stretch;
mod tell;
mod totals;

use protocol::frame::{EventBody, MachineStatus, RoomSource, SetDetail, Totals, WorkoutSnapshot, WorkoutStage};
use protocol::limits::{ABANDONED_AFTER_MS, SEAL_AFTER_MS};
use protocol::text::Text;
use protocol::{Epoch, EventId, Field, GymId, MachineId, MemberId, Reading, RoomName, SeqRanges, VisitId, WorkoutId};

use self::points::Points;
use self::sets::Sets;
use self::stretch::{Close, Link, Stretch};
use self::totals::Progress;
use crate::alarm::CeilingAlarm;
use crate::classes::Classes;
use crate::effect::{Effect, KeepWhat, Persist};
use crate::input::{Now, SourceKey, WorkoutRecord};
use crate::log::EventLog;
use crate::ring::Ring;
use crate::source::Taken;

/// Sources and boots one workout may have; more are kept without it.
const SOURCES_MAX: usize = 64;
/// *Saved* marks are told this often.
const SAVED_EVERY_MS: i64 = 1_000;
/// The store is asked again for totals that it did not tell.
const ASK_AGAIN_MS: i64 = 600_000;
/// A sealed workout can be joined this long.
const SEALED_LIFE_MS: i64 = 600_000;
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

/// How far its life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Ended { at_ms: i64, mono_ms: i64, asked_mono_ms: Option<i64> },
    Sealed { at_ms: i64, mono_ms: i64, revision: u32 },
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
    life: Life,
    stage: WorkoutStage,
    paused: bool,
    stretches: Vec<Stretch>,
    ring: Ring,
    sets: Sets,
    progress: Progress,
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
            life,
            stage,
            paused: false,
            stretches: Vec::new(),
            ring: Ring::default(),
            sets: Sets::default(),
            progress: Progress::default(),
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
        let life = if ended { Life::Ended { at_ms: now.at_ms, mono_ms: now.mono_ms, asked_mono_ms: None } } else { Life::Running };
        let mut workout = Self::new(seed, station, life, record.stage, now);
        workout.frozen_mono_ms = (!ended).then_some(now.mono_ms);
        workout.stretches = record
            .ranges
            .iter()
            .take(SOURCES_MAX)
            .map(|range| {
                let mut stretch = Stretch::new(range.source.clone(), range.boot, range.from_seq);
                stretch.link = Link::Lost;
                match range.to_seq {
                    u32::MAX if ended => stretch.close = Close::ByTime(now.at_ms),
                    u32::MAX => (),
                    to_seq => stretch.close_at(to_seq),
                }
                stretch
            })
            .collect();
        workout
    }

    /// A source contributes from this seq on. Returns its index in the room; none where the workout has as many as it may.
    pub fn attach(&mut self, key: &SourceKey, boot: u32, from_seq: u32, now: Now, out: &mut Vec<Effect>) -> Option<u16> {
        let going_on = self.stretches.iter().rposition(|stretch| stretch.is_of(key, boot) && stretch.to_seq() >= from_seq);
        if let Some(index) = going_on {
            return u16::try_from(index).ok();
        }
        if self.stretches.len() == SOURCES_MAX {
            return None;
        }
        let index = u16::try_from(self.stretches.len()).ok()?;
        self.stretches.push(Stretch::new(key.clone(), boot, from_seq.max(1)));
        self.persist_range(index, out);
        let body = EventBody::Source(self.room_source(index)?);
        self.tell(self.cause(format_args!("source:{:?}:{}:{boot}:{from_seq}", key.machine, key.sensor)), body, now, out);
        Some(index)
    }

    /// Stretches of a source in one boot: (index, from seq, to seq). A source that is bound again goes on in them.
    pub fn stretches_of(&self, key: &SourceKey, boot: u32) -> impl Iterator<Item = (u16, u32, u32)> {
        let of = move |(_, stretch): &(usize, &Stretch)| stretch.is_of(key, boot);
        self.stretches.iter().enumerate().filter(of).map(|(at, stretch)| (at as u16, stretch.from_seq, stretch.to_seq()))
    }

    /// Takes what one of its sources said, to show, to count and to chart. Returns whether it belongs: what was read after the end does not.
    pub fn take(&mut self, index: u16, taken: &Taken, now: Now, out: &mut Vec<Effect>) -> bool {
        let Some(stretch) = self.stretches.get_mut(usize::from(index)) else { return false };
        let was = stretch.close;
        let is_lost = matches!(taken.what, KeepWhat::Lost { .. });
        if !(is_lost || stretch.admits(taken.seq, taken.corrected_at_ms)) {
            if was != stretch.close {
                self.persist_range(index, out);
            }
            return false;
        }
        let to = if let KeepWhat::Lost { to } = taken.what { to.min(stretch.to_seq()) } else { taken.seq };
        stretch.take(taken.seq, to);
        taken.absorbed.iter().for_each(|part| stretch.take(*part, *part));
        let closed = was != stretch.close;
        let new = !is_lost && stretch.counted.insert(taken.seq, taken.seq) == 1;
        if closed {
            self.persist_range(index, out);
        }
        if new {
            self.count(index, taken, now, out);
        }
        self.restage(now, out);
        true
    }

    fn count(&mut self, index: u16, taken: &Taken, now: Now, out: &mut Vec<Effect>) {
        match &taken.what {
            KeepWhat::Reading(reading) => self.read(index, taken, reading, now, out),
            KeepWhat::Rep(rep) => {
                self.progress.rep();
                self.tell(self.numbered("rep", index, taken.seq), EventBody::Rep(*rep), now, out);
            }
            KeepWhat::Set(set) => {
                self.progress.set();
                self.sets.count(index, taken.seq, set);
                self.tell_and_keep(self.numbered("set", index, taken.seq), EventBody::Set(set.clone()), now, out);
            }
            KeepWhat::Stroke(_) => self.progress.stroke(),
            KeepWhat::Poison { .. } | KeepWhat::Lost { .. } => return,
        }
        if taken.live_age_ms.is_some() && taken.reading().is_none_or(is_sign_of_life) {
            self.alive_mono_ms = now.mono_ms;
        }
        self.earn(&self.totals(), now, out);
    }

    fn read(&mut self, index: u16, taken: &Taken, reading: &Reading, now: Now, out: &mut Vec<Effect>) {
        let stretch = &mut self.stretches[usize::from(index)];
        self.progress.take(&mut stretch.counters, taken.seq, taken.dev_ms, reading);
        self.ring.push(index, taken.seq, taken.dev_ms, taken.offset_ms(), reading, now.at_ms);
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

    /// Its machine says what it does: paused is paused.
    pub fn machine_state(&mut self, status: MachineStatus, now: Now, out: &mut Vec<Effect>) {
        self.paused = !matches!(status, MachineStatus::Active | MachineStatus::Manual);
        self.restage(now, out);
    }

    /// The connection of a source is gone; it may go on reading into its buffer.
    pub fn link_lost(&mut self, key: &SourceKey, boot: u32, now: Now, out: &mut Vec<Effect>) {
        for stretch in self.stretches.iter_mut().filter(|stretch| stretch.is_of(key, boot)) {
            stretch.link = Link::Lost;
        }
        self.restage(now, out);
    }

    /// A source is bound again and holds these seqs. An older boot of which nothing is pending is done: its source would have bound it.
    pub fn link_back(&mut self, key: &SourceKey, boot: u32, held: &SeqRanges, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            let was = stretch.close;
            if stretch.is_of(key, boot) {
                stretch.back(held);
            } else if stretch.key == *key && stretch.boot < boot && stretch.link == Link::Lost {
                stretch.close_at(stretch.newest_seq.max(stretch.from_seq.saturating_sub(1)));
                stretch.link = Link::Up;
            }
            if was != self.stretches[index].close {
                self.persist_range(index as u16, out);
            }
        }
        self.restage(now, out);
    }

    /// These seqs of a boot are stored.
    pub fn stored(&mut self, key: &SourceKey, boot: u32, stored: &SeqRanges, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            if stretch.is_of(key, boot) {
                let was = stretch.close;
                stretch.store(stored);
                if was != stretch.close {
                    self.persist_range(index as u16, out);
                }
            }
        }
        self.restage(now, out);
    }

    /// A source contributed up to this seq and no further: the member left its machine.
    pub fn detach(&mut self, key: &SourceKey, boot: u32, to_seq: u32, now: Now, out: &mut Vec<Effect>) {
        for index in 0..self.stretches.len() {
            let stretch = &mut self.stretches[index];
            if stretch.is_of(key, boot) && stretch.close == Close::Open {
                match stretch.link {
                    Link::Up => stretch.close_at(to_seq.max(stretch.from_seq.saturating_sub(1))),
                    Link::Lost => stretch.close = Close::ByTime(now.at_ms),
                }
                self.persist_range(index as u16, out);
            }
        }
        self.restage(now, out);
    }

    /// Goes on at another machine, or at none.
    pub fn move_to(&mut self, station: Station, now: Now, out: &mut Vec<Effect>) {
        self.station = station;
        self.paused = false;
        self.alive_mono_ms = now.mono_ms;
        self.tell_stage(now, out);
    }

    /// The training is over: stretches close, and it seals when all is stored.
    pub fn end(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.life != Life::Running {
            return;
        }
        self.life = Life::Ended { at_ms: now.at_ms, mono_ms: now.mono_ms, asked_mono_ms: None };
        self.station = Station::default();
        for index in 0..self.stretches.len() {
            if self.stretches[index].close == Close::Open {
                self.stretches[index].end(now.at_ms);
                self.persist_range(index as u16, out);
            }
        }
        self.restage(now, out);
    }

    /// The store added it up: seals it, or amends it where it was sealed.
    pub fn totals_known(&mut self, revision: u32, totals: Totals, now: Now, out: &mut Vec<Effect>) {
        match self.life {
            Life::Running => return,
            Life::Ended { at_ms, .. } => {
                self.life = Life::Sealed { at_ms, mono_ms: now.mono_ms, revision };
                out.push(Effect::Persist(Persist::Totals { workout: self.seed.workout, revision, totals }));
            }
            Life::Sealed { revision: known, .. } if revision <= known => return,
            Life::Sealed { at_ms, .. } => self.life = Life::Sealed { at_ms, mono_ms: now.mono_ms, revision },
        }
        self.sealed = Some(totals);
        self.earn(&totals, now, out);
        let body = EventBody::Sealed { workout: self.seed.workout, revision, totals };
        self.tell_and_keep(self.cause(format_args!("sealed:{revision}")), body, now, out);
        self.restage(now, out);
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
            self.ring.expire(now.at_ms);
        }
        self.ask_for_totals(now, out);
    }

    fn ask_for_totals(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Life::Ended { mono_ms, asked_mono_ms, .. } = &mut self.life else { return };
        let waited = asked_mono_ms.is_none_or(|asked| now.mono_ms - asked >= ASK_AGAIN_MS);
        let over_due = now.mono_ms - *mono_ms >= SEAL_AFTER_MS;
        if waited && (over_due || self.stretches.iter().all(Stretch::is_reconciled)) {
            *asked_mono_ms = Some(now.mono_ms);
            out.push(Effect::Persist(Persist::AddUp { workout: self.seed.workout, revision: 0 }));
        }
    }

    /// The stage that follows from what is known; told when it is another.
    fn restage(&mut self, now: Now, out: &mut Vec<Effect>) {
        let stage = self.stage_now();
        let interrupted = stage == WorkoutStage::Interrupted;
        match self.frozen_mono_ms {
            None if interrupted => self.frozen_mono_ms = Some(now.mono_ms),
            Some(since) if !interrupted => {
                self.alive_mono_ms += now.mono_ms - since;
                self.frozen_mono_ms = None;
            }
            None | Some(_) => (),
        }
        if stage != self.stage {
            self.stage = stage;
            self.tell_stage(now, out);
        }
    }

    fn stage_now(&self) -> WorkoutStage {
        match self.life {
            Life::Sealed { .. } => return WorkoutStage::Sealed,
            Life::Ended { .. } => return WorkoutStage::Ended,
            Life::Running => (),
        }
        // A strap that comes and goes does not interrupt what a machine reads.
        let open = || self.stretches.iter().filter(|stretch| stretch.close == Close::Open);
        let on_machine = open().any(|stretch| stretch.key.machine.is_some());
        let counts = |stretch: &&Stretch| stretch.key.machine.is_some() || !on_machine;
        if open().filter(counts).any(|stretch| stretch.link == Link::Lost) {
            WorkoutStage::Interrupted
        } else if open().filter(counts).any(Stretch::is_draining) {
            WorkoutStage::Reconciling
        } else if self.stretches.iter().all(|stretch| stretch.counted.is_empty()) && self.stage == WorkoutStage::Created {
            WorkoutStage::Created
        } else if self.paused {
            WorkoutStage::Paused
        } else {
            WorkoutStage::Live
        }
    }

    /// Whether no sign of the member came for ten minutes. While a link is lost nobody can know.
    #[must_use]
    pub fn is_silent(&self, now: Now) -> bool {
        self.life == Life::Running && self.frozen_mono_ms.is_none() && now.mono_ms - self.alive_mono_ms >= ABANDONED_AFTER_MS
    }

    /// Whether nothing more is expected of it: it was sealed a while ago and may be forgotten.
    #[must_use]
    pub fn is_over(&self, now: Now) -> bool {
        matches!(self.life, Life::Sealed { mono_ms, .. } if now.mono_ms - mono_ms >= SEALED_LIFE_MS)
    }

    /// Totals so far; the store's once it is sealed.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let sources = self.stretches.iter().map(|stretch| (stretch.key.machine.is_some(), &stretch.counters));
        self.sealed.unwrap_or_else(|| self.progress.totals(sources))
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

    fn room_source(&self, index: u16) -> Option<RoomSource> {
        let Stretch { key, boot, .. } = self.stretches.get(usize::from(index))?;
        Some(RoomSource { source: index, machine: key.machine, sensor: key.sensor.clone(), boot: *boot, workout: None })
    }

    /// What it was made with.
    #[must_use]
    pub const fn seed(&self) -> &WorkoutSeed {
        &self.seed
    }

    /// Its stage.
    #[must_use]
    pub const fn stage(&self) -> WorkoutStage {
        self.stage
    }

    /// Where it runs.
    #[must_use]
    pub const fn station(&self) -> Station {
        self.station
    }
}

/// Whether a reading shows a person: something moves, or a heart beats under a sensor that touches skin.
fn is_sign_of_life(reading: &Reading) -> bool {
    let moves = MOVES.iter().any(|field| reading.get(*field).is_some_and(|value| value > 0));
    moves || (reading.get(Field::HeartRate).is_some() && reading.get(Field::Contact) != Some(0))
}

#[cfg(test)]
mod tests;
