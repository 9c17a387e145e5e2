//! Everything a shard draws: randomness, ids, fences, handles.
//!
//! In: a seed from the system's randomness, the node's start number, which shard of how many. Out: UUIDv7, epochs, codes, fences,
//! room handles. Owned by the shard and handed into every step, so that a log of inputs with its seed replays exactly.
//! The generator is a cryptographic one because codes on screens are drawn from it and seen by anyone who looks.

use protocol::{Epoch, EventId, MachineId};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

/// Bits below the node's start number in a fence.
const FENCE_BITS: u32 = 24;
/// Largest fence: whole numbers stay exact in JSON up to here.
pub const FENCE_MAX: u64 = (1 << 53) - 1;
/// Names of things that follow from their cause (RFC 9562 version 5) live in this namespace.
const DERIVED: Uuid = Uuid::from_u128(0x6f1d_2b7a_90c4_5e38_a1f0_53d7_c2b8_4e69);

/// What a shard draws from.
#[derive(Debug)]
pub struct Draw {
    rng: StdRng,
    start: u64,
    stride: u32,
    fence: u32,
    handle: u32,
}

impl Draw {
    /// A drawer for shard `shard` of `shards` on a node that is at its `start`-th start.
    ///
    /// `seed` must come from the system's randomness in production; the same seed draws the same.
    #[must_use]
    pub fn new(seed: [u8; 32], start: u64, shard: u32, shards: u32) -> Self {
        let stride = shards.max(1);
        let first = shard % stride + 1;
        Self { rng: StdRng::from_seed(seed), start, stride, fence: first, handle: first }
    }

    /// The next fence, `start << 24 + n`: no other shard and no other start of this node draws it. Above `above` even where a machine
    /// kept a fence of a store that was lost; `None` when no exact number is left.
    pub fn fence(&mut self, above: u64) -> Option<u64> {
        if self.fence >> FENCE_BITS != 0 {
            return None;
        }
        let fence = (self.start << FENCE_BITS) + u64::from(self.fence);
        self.fence += self.stride;
        let fence = fence.max(above.checked_add(1)?);
        (fence <= FENCE_MAX).then_some(fence)
    }

    /// The next short number of a room on this node.
    pub fn handle(&mut self) -> u32 {
        let handle = self.handle;
        self.handle = self.handle.wrapping_add(self.stride);
        handle
    }

    /// A new epoch of an event log.
    pub fn epoch(&mut self) -> Epoch {
        Epoch(self.rng.next_u64())
    }

    /// A number of 0..`below`, evenly.
    pub fn below(&mut self, below: u32) -> u32 {
        let below = below.max(1);
        let fair = u32::MAX - u32::MAX % below;
        loop {
            let drawn = self.rng.next_u32();
            if drawn < fair {
                return drawn % below;
            }
        }
    }

    /// A UUIDv7 (RFC 9562 section 5.7) of the time and fresh randomness.
    pub fn uuid(&mut self, at_ms: i64) -> Uuid {
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(at_ms).unwrap_or(0), &random).into_uuid()
    }
}

/// The id that follows from a cause: what it is, whose, and its number. Same cause, same id, on every node and after every restart.
#[must_use]
pub fn derived(what: &str, whose: Uuid, number: u64) -> Uuid {
    let mut name = Vec::with_capacity(what.len() + 24);
    name.extend_from_slice(what.as_bytes());
    name.extend_from_slice(whose.as_bytes());
    name.extend_from_slice(&number.to_be_bytes());
    Uuid::new_v5(&DERIVED, &name)
}

/// The id of an event about a claim.
#[must_use]
pub fn claim_event(what: &str, machine: MachineId, fence: u64) -> EventId {
    EventId(derived(what, machine.0, fence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_of_all_shards_and_starts_differ_and_grow() {
        let mut seen = std::collections::BTreeSet::new();
        for start in [7, 8] {
            for shard in 0..3 {
                let mut draw = Draw::new([1; 32], start, shard, 3);
                let fences: Vec<u64> = (0..50).map(|_| draw.fence(0).expect("fences left")).collect();
                assert!(fences.is_sorted());
                assert!(fences.iter().all(|fence| fence >> FENCE_BITS == start && seen.insert(*fence)));
            }
        }
    }

    #[test]
    fn a_fence_is_above_what_a_machine_kept_from_a_lost_store() {
        let mut draw = Draw::new([1; 32], 1, 0, 1);
        assert_eq!(draw.fence(900 << FENCE_BITS), Some((900 << FENCE_BITS) + 1));
        assert_eq!(draw.fence(u64::MAX), None);
        assert_eq!(draw.fence(FENCE_MAX), None);
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        let draw = |seed| {
            let mut draw = Draw::new([seed; 32], 1, 0, 1);
            (draw.epoch(), draw.uuid(1_700_000_000_000), draw.below(1_000_000))
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn ids_carry_their_time_and_their_version() {
        let id = Draw::new([9; 32], 1, 0, 1).uuid(1_764_000_000_123);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().map(|time| time.to_unix()), Some((1_764_000_000, 123_000_000)));
        assert_eq!(derived("stop", id, 4), derived("stop", id, 4));
        assert_ne!(derived("stop", id, 4), derived("stop", id, 5));
    }
}
