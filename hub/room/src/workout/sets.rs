//! Sets of a workout: as machines counted them and as the member logged them. Both stand, by source.
//!
//! In: sets with what makes each once. Out: all of them, for the snapshot. Bounded: over it the oldest is no longer shown; the store has it.

use protocol::EventId;
use protocol::frame::SetDetail;

/// Sets shown of each kind.
const SETS_MAX: usize = 128;

/// The sets of one workout.
#[derive(Debug, Clone, Default)]
pub(super) struct Sets {
    counted: Vec<((u16, u32), SetDetail)>,
    logged: Vec<(EventId, SetDetail)>,
}

impl Sets {
    /// Takes a set that a machine counted, by source and seq.
    pub(super) fn count(&mut self, source: u16, seq: u32, set: &SetDetail) {
        put(&mut self.counted, (source, seq), set);
    }

    /// Takes a set that the member logged.
    pub(super) fn log(&mut self, id: EventId, set: &SetDetail) {
        put(&mut self.logged, id, set);
    }

    /// All, the machines' first.
    pub(super) fn all(&self) -> Vec<SetDetail> {
        let counted = self.counted.iter().map(|(_, set)| set);
        counted.chain(self.logged.iter().map(|(_, set)| set)).cloned().collect()
    }
}

fn put<K: PartialEq>(sets: &mut Vec<(K, SetDetail)>, key: K, set: &SetDetail) {
    if sets.iter().any(|(known, _)| *known == key) {
        return;
    }
    if sets.len() == SETS_MAX {
        sets.remove(0);
    }
    sets.push((key, set.clone()));
}
