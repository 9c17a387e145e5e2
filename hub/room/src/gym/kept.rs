//! What a machine keeps with its claim: from which number of each source it counts, and since when.
//!
//! In: words of `machine_hello` and `bind` after a break. Out: stretches and a start that this hub, or its store, did not get to know before a
//! kill. Counts only for the claim that the machine named and that stands: whoever was on it before gave other numbers.

use protocol::limits::SEQ_RANGES_MAX;
use protocol::{SeqRanges, SessionId, WorkoutId};

use super::Gym;
use crate::input::SourceHandle;
use crate::machine::Link;
use crate::source::Source;
use crate::turn::Turn;

/// The claim that a machine named in its last `machine_hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its fence.
    pub(crate) fence: u64,
    /// Its workout.
    pub(crate) workout: WorkoutId,
    /// What the machine's clock showed when it took the claim, if the machine knows.
    pub(crate) since_dev_ms: Option<i64>,
}

impl Gym {
    /// The first number of a source under the claim that stands, by its machine's own word; after whatever is known to be of other workouts.
    pub(super) fn claimed_from(&self, source: &Source) -> Option<u32> {
        let machine = self.machines.get(&source.key.machine?)?;
        let hold = machine.hold.as_ref().filter(|hold| machine.kept.is_some_and(|kept| kept.fence == hold.held.fence))?;
        self.kept_from(source, hold.held.workout)
    }

    fn kept_from(&self, source: &Source, workout: WorkoutId) -> Option<u32> {
        let others = self.workouts.iter().filter(|(id, _)| **id != workout);
        let ends = others.flat_map(|(_, other)| other.stretches_of(&source.key, source.boot)).map(|(_, _, to_seq)| to_seq);
        let of_others = ends.filter(|to_seq| *to_seq < u32::MAX).max().unwrap_or(0);
        source.claim_from_seq.map(|from_seq| from_seq.max(of_others + 1))
    }

    /// A source is back whose machine kept a claim that ended while nobody heard it: what it holds and read until then is of the workout that
    /// left. What it reads from now on it read after that, and what another workout began with belongs there.
    pub(super) fn kept_by_who_left(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, held: &SeqRanges) {
        let Some(source) = self.sources.get(&handle) else { return };
        let Some(machine) = source.key.machine.and_then(|id| self.machines.get(&id)) else { return };
        let (id, key, boot) = (machine.id(), source.key.clone(), source.boot);
        let kept = machine.kept.filter(|kept| machine.hold.as_ref().is_none_or(|hold| hold.held.fence != kept.fence));
        if let Some(kept) = kept
            && let Some(from_seq) = self.kept_from(source, kept.workout)
        {
            let others = self.workouts.iter().filter(|(other, _)| **other != kept.workout);
            let begins = others.flat_map(|(_, other)| other.stretches_of(&key, boot)).map(|(_, begin, _)| begin);
            let next = begins.filter(|begin| *begin > from_seq).min();
            let lists_all = held.iter().len() < SEQ_RANGES_MAX;
            let last = if lists_all { held.max() } else { u32::MAX };
            if let Some(workout) = self.workouts.get_mut(&kept.workout).filter(|_| from_seq <= last) {
                workout.attach_left(&key, boot, (id, kept.fence), from_seq..=last, turn.now, turn.out);
                if let Some(next) = next {
                    workout.gives_way(&key, boot, next, turn.now, turn.out);
                }
            }
        }
        self.workouts.values_mut().for_each(|workout| workout.is_back(id));
    }

    /// The clock of a connection is known better: so is when the claims began that its machines kept.
    pub(super) fn kept_since(&mut self, turn: &mut Turn<'_>, session: SessionId, clock: u16) {
        let Some(connection) = self.connections.get(&session) else { return };
        let Some(device) = connection.clocks.get(&clock) else { return };
        for id in &connection.machines {
            let Some(machine) = self.machines.get(id).filter(|machine| machine.link == Link::Up { session, clock }) else { continue };
            let (Some(kept), Some(hold)) = (machine.kept, &machine.hold) else { continue };
            let since = kept.since_dev_ms.filter(|_| kept.fence == hold.held.fence);
            if let Some(at_ms) = since.and_then(|dev_ms| device.to_utc(dev_ms, turn.now))
                && let Some(workout) = self.workouts.get_mut(&hold.held.workout)
            {
                workout.started_by(at_ms, turn.now, turn.out);
            }
        }
    }
}
