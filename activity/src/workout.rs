//! A stored workout as a file is written from it.

use protocol::WorkoutId;
use protocol::frame::{MachineKind, SetDetail, Totals};

use crate::lap::{Lap, laps};
use crate::timeline::Timeline;
use crate::{Sport, fit, tcx};

/// A machine of the workout, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name in the gym.
    pub name: String,
    /// What is done on it.
    pub sport: Sport,
}

impl Device {
    /// A machine by name and kind.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: MachineKind) -> Self {
        Self { name: name.into(), sport: Sport::of_machine(kind) }
    }
}

/// A set as it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetDone {
    /// When it was over, UTC.
    pub at_ms: i64,
    /// What.
    pub set: SetDetail,
}

/// Everything that goes into a file.
pub struct Workout {
    /// Which; the serial number of a FIT file is made of it.
    pub workout: WorkoutId,
    /// When it began, UTC.
    pub started_at_ms: i64,
    /// When it ended, UTC; none while it runs.
    pub ended_at_ms: Option<i64>,
    /// What it was, where the machines do not say.
    pub sport: Option<Sport>,
    /// The sealed totals, or what is stored by now.
    pub totals: Totals,
    /// Its machines; points name them by place.
    pub machines: Vec<Device>,
    /// Its readings.
    pub timeline: Timeline,
    /// Its sets in order of time.
    pub sets: Vec<SetDone>,
}

/// A file could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the encoder refused a message: {0}")]
pub struct WriteError(pub(crate) String);

impl Workout {
    /// The workout as a FIT activity file.
    ///
    /// # Errors
    /// [`WriteError`] where the encoder refuses, which no stored workout is known to cause.
    pub fn to_fit(&self) -> Result<Vec<u8>, WriteError> {
        fit::write(self)
    }

    /// The workout as a TCX document. TCX has no sets and no session: laps carry the sums.
    #[must_use]
    pub fn to_tcx(&self) -> String {
        tcx::write(self)
    }

    /// One lap for each stay at a machine.
    #[must_use]
    pub fn laps(&self) -> Vec<Lap> {
        laps(&self.timeline)
    }

    /// What the whole was: what all its machines agree on.
    pub(crate) fn sport(&self) -> Sport {
        let sports = self.machines.iter().map(|machine| machine.sport);
        self.sport
            .unwrap_or_else(|| if self.machines.is_empty() && !self.sets.is_empty() { Sport::Strength } else { Sport::of_all(sports) })
    }

    /// What a lap was.
    pub(crate) fn sport_of(&self, machine: Option<u16>) -> Sport {
        machine.and_then(|place| self.machines.get(usize::from(place))).map_or_else(|| self.sport(), |machine| machine.sport)
    }

    /// First and last second, readings that were told before the start or after the end included.
    pub(crate) fn span_s(&self) -> (i64, i64) {
        let started = self.started_at_ms.div_euclid(1000);
        let ended = self.ended_at_ms.map_or(started, |ended| ended.div_euclid(1000)).max(started);
        let (first, last) = self.timeline.span().unwrap_or((started, ended));
        (started.min(first), ended.max(last))
    }

    /// How long the timer ran, milliseconds. Totals add up their sources, and a timer does not run twice at once.
    pub(crate) fn timer_ms(&self) -> i64 {
        let (from_s, to_s) = self.span_s();
        self.totals.duration_ms.clamp(0, (to_s - from_s) * 1000)
    }
}
