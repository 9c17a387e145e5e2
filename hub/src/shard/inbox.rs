//! A shard's inbox: a bounded normal lane and a safety lane that is drained first.
//!
//! In: orders from sessions, other shards, the recorder's reports and the HTTP API. Out: the shard's task, which takes all that waits at
//! once. Pushing never waits: what does not fit is handed back, and the caller says so to its peer (hold, `overloaded`). What must not
//! be lost (the end of a session, a word between state machines) passes the bound: each is owed at most once per thing that was admitted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::text::Text;
use protocol::{GymId, MemberId, SessionId, TenantId};
use room::{Input, MemberInput};
use tokio::sync::Notify;

use super::survey::Survey;
use crate::session::Peer;

/// One part in so many of the normal lane's bound is kept behind it for what no peer repeats.
const RESERVE: usize = 4;

/// A lane that grew past this many orders in a storm gives its memory back once it is empty.
const IDLE_ORDERS_MAX: usize = 4_096;

/// One thing for a shard to do.
pub enum Order {
    /// A session will speak to rooms of this shard: effects may name it from now on.
    Attach(Arc<Peer>),
    /// The shard keeps this session's deadlines.
    Keep(Arc<Peer>),
    /// The session ended; it is named no more.
    Detach(SessionId),
    /// A gym of this shard exists.
    Open {
        /// The gym.
        gym: GymId,
        /// Whose it is.
        tenant: TenantId,
        /// Its name.
        name: Text<64>,
    },
    /// An input of a gym; from a session only while it is attached.
    Gym {
        /// The gym.
        gym: GymId,
        /// The session that sent it, if one did.
        from: Option<SessionId>,
        /// The input.
        input: Input,
    },
    /// Says what everybody of this shard's gyms is doing.
    Survey(Survey),
    /// An input of a member.
    Member {
        /// The member.
        member: MemberId,
        /// Whose they are.
        tenant: TenantId,
        /// The session that sent it, if one did.
        from: Option<SessionId>,
        /// The input.
        input: MemberInput,
    },
}

/// The lane is full; the order comes back.
pub struct Refused(pub Box<Order>);

/// What the shard takes in one go.
#[derive(Default)]
pub struct Taken {
    /// First.
    pub safety: VecDeque<Order>,
    /// Then these.
    pub normal: VecDeque<Order>,
}

impl Taken {
    /// Gives back what a storm left behind; both lanes are empty.
    pub fn give_back(&mut self) {
        for lane in [&mut self.safety, &mut self.normal] {
            if lane.capacity() > IDLE_ORDERS_MAX {
                *lane = VecDeque::new();
            }
        }
    }
}

/// Both lanes.
pub struct Inbox {
    lanes: Mutex<Taken>,
    arrived: Notify,
    urgent: AtomicBool,
    normal_max: usize,
    safety_max: usize,
}

impl Inbox {
    /// Empty lanes with their bounds.
    #[must_use]
    pub fn new(normal_max: usize, safety_max: usize) -> Self {
        Self { lanes: Mutex::default(), arrived: Notify::new(), urgent: AtomicBool::new(false), normal_max, safety_max }
    }

    /// Queues an order on the normal lane.
    ///
    /// # Errors
    /// [`Refused`] with the order when the lane is full; tell the source to hold, or the peer that the hub is overloaded.
    pub fn push(&self, order: Order) -> Result<(), Refused> {
        self.push_within(order, self.normal_max)
    }

    /// Queues an order that its peer does not repeat: it may use a reserve behind the bound.
    ///
    /// # Errors
    /// [`Refused`] when the reserve is full too; end the session, so that the peer tells everything anew.
    pub fn push_reserved(&self, order: Order) -> Result<(), Refused> {
        self.push_within(order, self.normal_max + self.normal_max / RESERVE)
    }

    /// Whether so much is free that what was refused may be asked for again.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lock().normal.len() <= self.normal_max / 2
    }

    fn push_within(&self, order: Order, normal_max: usize) -> Result<(), Refused> {
        let mut lanes = self.lock();
        if lanes.normal.len() >= normal_max {
            return Err(Refused(Box::new(order)));
        }
        lanes.normal.push_back(order);
        self.announce(lanes);
        Ok(())
    }

    /// Queues many orders under one lock, in order, until one does not fit; the iterator is not advanced past it.
    ///
    /// # Errors
    /// [`Refused`] with the first that did not fit; those before it were taken.
    pub fn push_all(&self, orders: impl IntoIterator<Item = Order>) -> Result<(), Refused> {
        let mut lanes = self.lock();
        let was_empty = lanes.normal.is_empty() && lanes.safety.is_empty();
        let mut refused = None;
        for order in orders {
            if lanes.normal.len() >= self.normal_max {
                refused = Some(Refused(Box::new(order)));
                break;
            }
            lanes.normal.push_back(order);
        }
        let some = !lanes.normal.is_empty();
        drop(lanes);
        if was_empty && some {
            self.arrived.notify_one();
        }
        refused.map_or(Ok(()), Err)
    }

    /// Makes a session known ahead of everything that may name it, past the bound: each session owes at most one.
    pub fn attach(&self, peer: Arc<Peer>) {
        let mut lanes = self.lock();
        lanes.safety.push_back(Order::Attach(peer));
        self.urgent.store(true, Ordering::Release);
        self.announce(lanes);
    }

    /// Queues an order on the safety lane, ahead of everything.
    ///
    /// # Errors
    /// [`Refused`] when even that lane is full; the issuer repeats within 250 ms.
    pub fn push_safety(&self, order: Order) -> Result<(), Refused> {
        let mut lanes = self.lock();
        if lanes.safety.len() >= self.safety_max {
            return Err(Refused(Box::new(order)));
        }
        lanes.safety.push_back(order);
        self.urgent.store(true, Ordering::Release);
        self.announce(lanes);
        Ok(())
    }

    /// Queues what must not be lost, past the bound.
    pub fn push_owed(&self, order: Order) {
        let mut lanes = self.lock();
        lanes.normal.push_back(order);
        self.announce(lanes);
    }

    /// Waits until something came since the last call. Safe to drop at await.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Whether the safety lane has something.
    pub fn urgent(&self) -> bool {
        self.urgent.load(Ordering::Acquire)
    }

    /// Takes all that waits; `into` must be empty and lends its memory for what comes next.
    pub fn take(&self, into: &mut Taken) {
        let mut lanes = self.lock();
        self.urgent.store(false, Ordering::Release);
        std::mem::swap(&mut *lanes, into);
    }

    /// Takes the safety lane alone.
    pub fn take_safety(&self, into: &mut VecDeque<Order>) {
        let mut lanes = self.lock();
        self.urgent.store(false, Ordering::Release);
        into.append(&mut lanes.safety);
    }

    /// Orders that wait, both lanes.
    #[must_use]
    pub fn len(&self) -> usize {
        let lanes = self.lock();
        lanes.normal.len() + lanes.safety.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One notification for the first order only: the shard takes them all.
    fn announce(&self, lanes: MutexGuard<'_, Taken>) {
        let first = lanes.normal.len() + lanes.safety.len() == 1;
        drop(lanes);
        if first {
            self.arrived.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn order(n: u128) -> Order {
        Order::Detach(SessionId(Uuid::from_u128(n)))
    }

    #[test]
    fn the_bound_of_the_normal_lane_is_not_the_bound_of_the_safety_lane() {
        let inbox = Inbox::new(2, 1);
        assert!(inbox.push(order(1)).is_ok() && inbox.push(order(2)).is_ok());
        assert!(inbox.push(order(3)).is_err());
        assert!(inbox.push_safety(order(4)).is_ok());
        assert!(inbox.push_safety(order(5)).is_err());
        inbox.push_owed(order(6));
        assert_eq!(inbox.len(), 4);
    }

    #[test]
    fn what_is_not_repeated_has_a_reserve_with_a_bound() {
        let inbox = Inbox::new(8, 1);
        assert!((0..8).all(|n| inbox.has_room() == (n <= 4) && inbox.push(order(n)).is_ok()));
        assert!(inbox.push(order(8)).is_err());
        assert!(inbox.push_reserved(order(9)).is_ok() && inbox.push_reserved(order(10)).is_ok());
        assert!(inbox.push_reserved(order(11)).is_err());
    }

    #[tokio::test]
    async fn whoever_waits_is_told_and_takes_all() {
        let inbox = Inbox::new(10, 10);
        let taken = async {
            inbox.arrived().await;
            let mut taken = Taken::default();
            inbox.take(&mut taken);
            (taken.safety.len(), taken.normal.len())
        };
        let push = async { inbox.push(order(1)).is_ok() && inbox.push_safety(order(2)).is_ok() };
        let (taken, pushed) = tokio::join!(taken, push);
        assert!(pushed);
        assert_eq!(taken, (1, 1));
        assert!(inbox.is_empty());
    }
}
