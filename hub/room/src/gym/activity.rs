//! What everybody in a gym is doing, as a drain wants to know it: nothing, resting between two sets, or in the middle of one.
//!
//! In: the clock. Out: each machine that is in use and each member who trains, once. Changes nothing: it is a look, not an input. The careful side is
//! taken where nothing is known: a workout whose link is lost counts as a set in progress, because the member may well be running.

use std::collections::BTreeMap;

use protocol::frame::WorkoutStage;
use protocol::limits::STALE_MS;
use protocol::{MachineId, MemberId};

use crate::gym::Gym;
use crate::input::Now;
use crate::machine::Machine;
use crate::workout::Workout;

/// How little somebody should be disturbed, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Activity {
    /// Trains not.
    #[default]
    Idle,
    /// Trains, and rests between two sets.
    Resting,
    /// In the middle of a set, or on a machine that moves.
    InSet,
}

/// Whose activity it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A machine, and so the gateway that carries it.
    Machine(MachineId),
    /// A member, and so their phones.
    Member(MemberId),
}

impl Gym {
    /// Everybody who does something; whoever is not named is idle.
    #[must_use]
    pub fn activities(&self, now: Now) -> BTreeMap<Who, Activity> {
        let mut found = BTreeMap::new();
        let mut note = |who, activity: Activity| {
            let known: &mut Activity = found.entry(who).or_default();
            *known = activity.max(*known);
        };
        for machine in self.machines.values().filter(|machine| machine.motion.moves(now.mono_ms)) {
            note(Who::Machine(machine.id()), Activity::InSet);
        }
        for workout in self.workouts.values() {
            let machine = workout.station().machine;
            let activity = of_workout(workout, machine.and_then(|machine| self.machines.get(&machine)), now);
            if activity == Activity::Idle {
                continue;
            }
            note(Who::Member(workout.seed().member), activity);
            machine.into_iter().for_each(|machine| note(Who::Machine(machine), activity));
        }
        found
    }
}

fn of_workout(workout: &Workout, machine: Option<&Machine>, now: Now) -> Activity {
    use WorkoutStage::{Created, Ended, Interrupted, Live, Paused, Reconciling, Sealed};
    let shown = machine.and_then(|machine| machine.motion.shows(now.mono_ms));
    let silent = machine.is_none() && now.mono_ms - workout.alive_mono_ms() > STALE_MS;
    match (workout.stage(), shown) {
        (Ended | Sealed, _) => Activity::Idle,
        (Interrupted, _) | (_, Some(true)) => Activity::InSet,
        (Created | Paused, _) | (_, Some(false)) => Activity::Resting,
        (Live | Reconciling, None) if silent => Activity::Resting,
        (Live | Reconciling, None) => Activity::InSet,
    }
}
