//! How a workout lives: its stage, its end, its seal.
//!
//! In: what the machine says, the end, the store's totals, time. Out: the stage that follows from what is known, told when it is another, and
//! the question to the store once everything is stored. An amendment after sealing is the store's to make and ours to tell.

use protocol::frame::{EventBody, MachineStatus, Totals, WorkoutStage};
use protocol::limits::{ABANDONED_AFTER_MS, SEAL_AFTER_MS};

use super::stretch::{Close, Stretch};
use super::tell::sealed_event;
use super::{LEFT_MAX, Left, Station, Workout};
use crate::effect::{Effect, Persist};
use crate::input::Now;

/// The store is asked again for totals that it did not tell.
const ASK_AGAIN_MS: i64 = 600_000;
/// A sealed workout can be joined this long.
pub(super) const SEALED_LIFE_MS: i64 = 600_000;

/// How far its life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Ended { at_ms: i64, mono_ms: i64, asked_mono_ms: Option<i64> },
    Sealed { at_ms: i64, mono_ms: i64, revision: u32 },
}

impl Workout {
    /// Its machine says what it does: paused is paused.
    pub fn machine_state(&mut self, status: MachineStatus, now: Now, out: &mut Vec<Effect>) {
        self.paused = !matches!(status, MachineStatus::Active | MachineStatus::Manual);
        self.restage(now, out);
    }

    /// Goes on at another machine, or at none.
    pub fn move_to(&mut self, station: Station, now: Now, out: &mut Vec<Effect>) {
        if (self.station.machine, self.station.fence) != (station.machine, station.fence) {
            self.leave_station(now);
        }
        self.station = station;
        self.paused = false;
        self.alive_mono_ms = now.mono_ms;
        self.tell_stage(now, out);
    }

    fn leave_station(&mut self, now: Now) {
        let Station { machine, fence, .. } = std::mem::take(&mut self.station);
        let Some(machine) = machine else { return };
        if self.left.len() == LEFT_MAX {
            self.left.remove(0);
        }
        self.left.push(Left { machine, fence, at_ms: now.at_ms, is_awaited: false });
    }

    /// The training is over: stretches close, and it seals when all is stored.
    pub fn end(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.life != Life::Running {
            return;
        }
        self.life = Life::Ended { at_ms: now.at_ms, mono_ms: now.mono_ms, asked_mono_ms: None };
        self.leave_station(now);
        self.end_open(|_| true, now, out);
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
        self.tell_and_keep(sealed_event(self.seed.workout, revision), body, now, out);
        self.restage(now, out);
    }

    pub(super) fn ask_for_totals(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Life::Ended { mono_ms, asked_mono_ms, .. } = &mut self.life else { return };
        let waited = asked_mono_ms.is_none_or(|asked| now.mono_ms - asked >= ASK_AGAIN_MS);
        let over_due = now.mono_ms - *mono_ms >= SEAL_AFTER_MS;
        let is_whole = self.stretches.iter().all(Stretch::is_reconciled) && !self.left.iter().any(|left| left.is_awaited);
        if waited && (over_due || is_whole) {
            *asked_mono_ms = Some(now.mono_ms);
            out.push(Effect::Persist(Persist::AddUp { workout: self.seed.workout, revision: 0 }));
        }
    }

    /// The stage that follows from what is known; told when it is another.
    pub(super) fn restage(&mut self, now: Now, out: &mut Vec<Effect>) {
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

    pub(super) fn stage_now(&self) -> WorkoutStage {
        match self.life {
            Life::Sealed { .. } => return WorkoutStage::Sealed,
            Life::Ended { .. } => return WorkoutStage::Ended,
            Life::Running => (),
        }
        // A strap that comes and goes does not interrupt what a machine reads.
        let open = || self.stretches.iter().filter(|stretch| stretch.close == Close::Open);
        let on_machine = open().any(|stretch| stretch.key.machine.is_some());
        let counts = |stretch: &&Stretch| stretch.key.machine.is_some() || !on_machine;
        if open().filter(counts).any(Stretch::is_missed) {
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

    /// Whether no sign of the member came for ten minutes. While a link is lost nobody can know, for a day at most.
    #[must_use]
    pub fn is_silent(&self, now: Now) -> bool {
        let silent = match self.frozen_mono_ms {
            Some(since) => now.mono_ms - since >= SEAL_AFTER_MS,
            None => now.mono_ms - self.alive_mono_ms >= ABANDONED_AFTER_MS,
        };
        self.life == Life::Running && silent
    }

    /// Whether nothing more is expected of it: it was sealed a while ago and may be forgotten.
    #[must_use]
    pub fn is_over(&self, now: Now) -> bool {
        matches!(self.life, Life::Sealed { mono_ms, .. } if now.mono_ms - mono_ms >= SEALED_LIFE_MS)
    }

    /// Its stage.
    #[must_use]
    pub const fn stage(&self) -> WorkoutStage {
        self.stage
    }
}
