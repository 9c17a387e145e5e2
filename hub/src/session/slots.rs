//! What a connection bound: slot to source handle, machine to gym.
//!
//! In: binds that were checked. Out: the handle that a shard knows, looked up for each reading. Sorted vectors: a phone has none, a
//! gateway a few hundred, and neither pays for a hash table.

use protocol::limits::{MACHINES_PER_SESSION_MAX, SLOTS_PER_SESSION_MAX};
use protocol::{ErrorCode, GymId, MachineId};
use room::input::SourceHandle;

/// What a slot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The source's handle on this node.
    pub handle: SourceHandle,
    /// The gym that takes its readings.
    pub gym: GymId,
    /// The shard that steps that gym.
    pub shard: usize,
}

/// A gym and its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The gym.
    pub gym: GymId,
    /// Its shard.
    pub shard: usize,
}

/// Slots and machines of one connection.
#[derive(Default)]
pub struct Slots {
    slots: Vec<(u16, Bound)>,
    machines: Vec<(MachineId, Home)>,
}

impl Slots {
    /// What a slot stands for.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<Bound> {
        self.slots.binary_search_by_key(&slot, |&(known, _)| known).ok().map(|at| self.slots[at].1)
    }

    /// Binds a slot.
    ///
    /// # Errors
    /// [`ErrorCode::SlotTaken`] or [`ErrorCode::TooManySlots`].
    pub fn bind(&mut self, slot: u16, bound: Bound) -> Result<(), ErrorCode> {
        match self.slots.binary_search_by_key(&slot, |&(known, _)| known) {
            Ok(_) => Err(ErrorCode::SlotTaken),
            Err(_) if self.slots.len() >= SLOTS_PER_SESSION_MAX => Err(ErrorCode::TooManySlots),
            Err(at) => {
                self.slots.insert(at, (slot, bound));
                Ok(())
            }
        }
    }

    /// Frees a slot. Answers what it stood for.
    pub fn unbind(&mut self, slot: u16) -> Option<Bound> {
        let at = self.slots.binary_search_by_key(&slot, |&(known, _)| known).ok()?;
        Some(self.slots.remove(at).1)
    }

    /// The gym of a machine that this connection announced.
    #[must_use]
    pub fn machine(&self, machine: MachineId) -> Option<Home> {
        self.machines.binary_search_by_key(&machine, |&(known, _)| known).ok().map(|at| self.machines[at].1)
    }

    /// Announces a machine; again is nothing new.
    ///
    /// # Errors
    /// [`ErrorCode::TooManySlots`] past the bound of machines.
    pub fn announce(&mut self, machine: MachineId, home: Home) -> Result<(), ErrorCode> {
        match self.machines.binary_search_by_key(&machine, |&(known, _)| known) {
            Ok(at) => self.machines[at].1 = home,
            Err(_) if self.machines.len() >= MACHINES_PER_SESSION_MAX => return Err(ErrorCode::TooManySlots),
            Err(at) => self.machines.insert(at, (machine, home)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const BOUND: Bound = Bound { handle: SourceHandle(1), gym: GymId(Uuid::nil()), shard: 0 };

    #[test]
    fn as_many_slots_as_allowed_and_not_one_more() {
        let mut slots = Slots::default();
        for slot in 0..SLOTS_PER_SESSION_MAX as u16 {
            slots.bind(slot, BOUND).unwrap();
        }
        assert_eq!(slots.bind(9_999, BOUND), Err(ErrorCode::TooManySlots));
        assert_eq!(slots.bind(5, BOUND), Err(ErrorCode::SlotTaken));
        assert_eq!(slots.unbind(5), Some(BOUND));
        assert_eq!(slots.bind(9_999, BOUND), Ok(()));
        assert_eq!(slots.get(5), None);
    }
}
