//! A shard: the one task that owns some gyms and members, and steps them.
//!
//! In: orders in its [`Inbox`]. Out: the effects of every step, carried out in order, and one wake for each session that got something. It drains
//! its inbox, the safety lane first and again between chunks, steps all of it, then wakes. Nothing in it waits for a socket, a queue or
//! a database. One gym is stepped by one shard only, `hash(gym) mod shards`; a member across gyms by `hash(member) mod shards`.

mod effects;
mod inbox;
mod survey;
mod task;
mod watchers;
mod wheel;

use std::sync::Arc;

pub use inbox::{Inbox, Order, Refused, Taken};
pub use survey::{Activities, Survey, survey};
pub use task::Shard;
pub use watchers::Watchers;
pub use wheel::Wheel;

use crate::session::Peer;

/// The inboxes of all shards. Cheap to clone.
#[derive(Clone)]
pub struct Shards {
    inboxes: Arc<[Inbox]>,
}

impl Shards {
    /// Empty inboxes for so many shards, each with these bounds.
    #[must_use]
    pub fn new(count: std::num::NonZeroUsize, normal_max: usize, safety_max: usize) -> Self {
        Self { inboxes: (0..count.get()).map(|_| Inbox::new(normal_max, safety_max)).collect() }
    }

    /// One shard's inbox.
    #[must_use]
    pub fn inbox(&self, shard: usize) -> &Inbox {
        &self.inboxes[shard % self.inboxes.len()]
    }

    /// How many shards there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inboxes.len()
    }

    /// Never: there is at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inboxes.is_empty()
    }

    /// Queues an order on the normal lane.
    ///
    /// # Errors
    /// [`Refused`] when the lane is full.
    pub fn push(&self, shard: usize, order: Order) -> Result<(), Refused> {
        self.inbox(shard).push(order)
    }

    /// Queues an order that its peer does not repeat, in the reserve if need be.
    ///
    /// # Errors
    /// [`Refused`] when the reserve is full too.
    pub fn push_reserved(&self, shard: usize, order: Order) -> Result<(), Refused> {
        self.inbox(shard).push_reserved(order)
    }

    /// Queues orders under one lock until one does not fit.
    ///
    /// # Errors
    /// [`Refused`] with the first that did not fit.
    pub fn push_all(&self, shard: usize, orders: impl IntoIterator<Item = Order>) -> Result<(), Refused> {
        self.inbox(shard).push_all(orders)
    }

    /// Queues an order ahead of everything.
    ///
    /// # Errors
    /// [`Refused`] when the safety lane is full.
    pub fn push_safety(&self, shard: usize, order: Order) -> Result<(), Refused> {
        self.inbox(shard).push_safety(order)
    }

    /// Queues what must not be lost.
    pub fn owe(&self, shard: usize, order: Order) {
        self.inbox(shard).push_owed(order);
    }

    /// Makes a session known to a shard.
    pub fn attach(&self, shard: usize, peer: Arc<Peer>) {
        self.inbox(shard).attach(peer);
    }

    /// Orders that wait, by shard.
    #[must_use]
    pub fn waiting(&self) -> Vec<usize> {
        self.inboxes.iter().map(Inbox::len).collect()
    }
}
