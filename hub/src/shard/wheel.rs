//! Deadlines of the sessions that a shard is home to: each is looked at about once a second, a slice of them per tick.
//!
//! In: sessions as they begin, ticks. Out: [`Peer::look`]. One coarse wheel instead of a timer a session: heartbeats, write deadlines and
//! token expiry bear a second. Sessions that are closing fall out by themselves.

use std::sync::Arc;

use room::Now;

use crate::session::{Deadlines, Peer};

/// Time in which every session is looked at once.
pub(super) const TURN_MS: i64 = 1_000;

/// The sessions, in slices.
pub struct Wheel {
    slices: Vec<Vec<Arc<Peer>>>,
    next: usize,
    fill: usize,
    deadlines: Deadlines,
}

impl Wheel {
    /// A wheel that is turned one slice each `tick_ms`.
    #[must_use]
    pub fn new(tick_ms: i64, deadlines: Deadlines) -> Self {
        let slices = usize::try_from(TURN_MS / tick_ms.max(1)).unwrap_or(1).max(1);
        Self { slices: vec![Vec::new(); slices], next: 0, fill: 0, deadlines }
    }

    /// Keeps a session from now on.
    pub fn add(&mut self, peer: Arc<Peer>) {
        let slices = self.slices.len();
        self.slices[self.fill % slices].push(peer);
        self.fill = (self.fill + 1) % slices;
    }

    /// Looks at the sessions of the next slice.
    pub fn turn(&mut self, now: Now) {
        let slice = &mut self.slices[self.next];
        slice.retain(|peer| {
            peer.look(now, self.deadlines);
            peer.closing().is_none()
        });
        if slice.capacity() > 2 * slice.len() + 16 {
            slice.shrink_to_fit();
        }
        self.next = (self.next + 1) % self.slices.len();
    }

    /// Sessions kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slices.iter().map(Vec::len).sum()
    }

    /// Whether it keeps none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
