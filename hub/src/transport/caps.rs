//! How many sockets there may be: in all, of strangers, of strangers from one address.
//!
//! In: each connection as it comes. Out: a [`Place`] that frees itself, or a refusal. A gym is one address with hundreds of phones: registered
//! addresses have a higher class, and whoever said who they are no longer counts by address. IPv6 counts by /64, which one subscriber has
//! whole. Users and devices are counted by the directory.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
};

use config::Limits;
use dashmap::DashMap;

use super::address::subscriber;
use crate::metrics::Limit;

/// A cap that a connection would pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// Connections in all.
    #[error("the hub has as many connections as it may")]
    Everywhere,
    /// Strangers in all.
    #[error("the hub has as many connections that have not said hello as it may")]
    Strangers,
    /// Strangers from one address.
    #[error("this address has as many connections that have not said hello as it may")]
    Address,
}

impl Crowded {
    /// The limit that was met.
    #[must_use]
    pub const fn limit(self) -> Limit {
        match self {
            Self::Everywhere => Limit::Connections,
            Self::Strangers => Limit::Unauthenticated,
            Self::Address => Limit::Address,
        }
    }
}

/// The counts.
#[derive(Clone)]
pub struct Caps {
    counts: Arc<Counts>,
}

struct Counts {
    connections: AtomicU32,
    strangers: AtomicU32,
    addresses: DashMap<IpAddr, u32>,
    limits: Limits,
}

/// A connection's place. Dropped, it is free again.
pub struct Place {
    counts: Arc<Counts>,
    /// What a stranger counts by.
    stranger: Option<IpAddr>,
}

impl Caps {
    /// Nobody yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            counts: Arc::new(Counts { connections: AtomicU32::new(0), strangers: AtomicU32::new(0), addresses: DashMap::new(), limits }),
        }
    }

    /// A place for a stranger.
    ///
    /// # Errors
    /// [`Crowded`] names the cap; nothing is counted.
    pub fn enter(&self, address: IpAddr) -> Result<Place, Crowded> {
        let counts = &self.counts;
        let limits = &counts.limits;
        if !up_to(&counts.connections, limits.connections) {
            return Err(Crowded::Everywhere);
        }
        if !up_to(&counts.strangers, limits.unauthenticated) {
            counts.connections.fetch_sub(1, AcqRel);
            return Err(Crowded::Strangers);
        }
        if !counts.seat(address) {
            counts.strangers.fetch_sub(1, AcqRel);
            counts.connections.fetch_sub(1, AcqRel);
            return Err(Crowded::Address);
        }
        Ok(Place { counts: counts.clone(), stranger: Some(subscriber(address)) })
    }

    /// A place for a connection of a trusted proxy, which does not count by its own address.
    ///
    /// # Errors
    /// [`Crowded`] names the cap; nothing is counted.
    pub fn enter_behind_proxy(&self) -> Result<Place, Crowded> {
        let counts = &self.counts;
        if !up_to(&counts.connections, counts.limits.connections) {
            return Err(Crowded::Everywhere);
        }
        Ok(Place { counts: counts.clone(), stranger: None })
    }

    /// Connections, and strangers among them.
    #[must_use]
    pub fn count(&self) -> (u32, u32) {
        (self.counts.connections.load(Acquire), self.counts.strangers.load(Acquire))
    }
}

impl Counts {
    /// Counts a stranger of an address, unless it has as many as it may.
    fn seat(&self, address: IpAddr) -> bool {
        let limits = &self.limits;
        let mut per_address = limits.unauthenticated_per_address;
        if limits.gym_addresses.iter().any(|network| network.contains(&address)) {
            per_address = per_address.saturating_mul(limits.gym_address_factor);
        }
        let mut count = self.addresses.entry(subscriber(address)).or_insert(0);
        let free = *count < per_address;
        *count += u32::from(free);
        free
    }
}

impl Place {
    /// A proxy told the real address of a stranger: from now on it counts by that.
    ///
    /// # Errors
    /// [`Crowded`] when that address has as many as it may.
    pub fn moved(&mut self, address: IpAddr) -> Result<(), Crowded> {
        if self.stranger == Some(subscriber(address)) {
            return Ok(());
        }
        self.known();
        if !up_to(&self.counts.strangers, self.counts.limits.unauthenticated) {
            return Err(Crowded::Strangers);
        }
        if !self.counts.seat(address) {
            self.counts.strangers.fetch_sub(1, AcqRel);
            return Err(Crowded::Address);
        }
        self.stranger = Some(subscriber(address));
        Ok(())
    }

    /// The stranger said who they are.
    pub fn known(&mut self) {
        if let Some(address) = self.stranger.take() {
            self.counts.strangers.fetch_sub(1, AcqRel);
            if let Some(mut count) = self.counts.addresses.get_mut(&address) {
                *count -= 1;
            }
            self.counts.addresses.remove_if(&address, |_, count| *count == 0);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.known();
        self.counts.connections.fetch_sub(1, AcqRel);
    }
}

/// Counts one up unless the bound is reached.
fn up_to(count: &AtomicU32, max: u32) -> bool {
    count.fetch_update(AcqRel, Acquire, |count| (count < max).then_some(count + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn caps(connections: u32, strangers: u32, per_address: u32) -> Caps {
        let mut limits = config::load(&config::Sources::of(config::Profile::Production)).expect("the manual is good").limits;
        (limits.connections, limits.unauthenticated, limits.unauthenticated_per_address) = (connections, strangers, per_address);
        limits.gym_addresses = vec!["10.1.0.0/16".parse().unwrap()];
        limits.gym_address_factor = 3;
        Caps::new(limits)
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn an_address_has_as_many_strangers_as_allowed_and_not_one_more() {
        let caps = caps(100, 50, 2);
        let places: Vec<_> = (0..2).map(|_| caps.enter(address(1)).unwrap()).collect();
        assert_eq!(caps.enter(address(1)).err(), Some(Crowded::Address));
        assert!(caps.enter(address(2)).is_ok());
        drop(places);
        assert!(caps.enter(address(1)).is_ok());
        assert_eq!(caps.count(), (0, 0));
    }

    #[test]
    fn a_subscriber_with_a_whole_64_counts_once() {
        let caps = caps(100, 50, 2);
        let of = |address: &str| address.parse::<IpAddr>().unwrap();
        let (_a, b) = (caps.enter(of("2001:db8:0:1::1")).unwrap(), caps.enter(of("2001:db8:0:1::2")).unwrap());
        assert_eq!(caps.enter(of("2001:db8:0:1:ffff::3")).err(), Some(Crowded::Address));
        let mut other = caps.enter(of("2001:db8:0:2::1")).unwrap();
        assert_eq!(other.moved(of("2001:db8:0:1::4")).err(), Some(Crowded::Address));
        drop((b, other));
        assert!(caps.enter(of("2001:db8:0:1::5")).is_ok(), "what has left is counted no more");
    }

    #[test]
    fn whoever_said_hello_no_longer_counts_by_address() {
        let caps = caps(100, 50, 1);
        let mut place = caps.enter(address(1)).unwrap();
        place.known();
        assert_eq!(caps.count(), (1, 0));
        assert!(caps.enter(address(1)).is_ok());
    }

    #[test]
    fn a_registered_gym_has_more() {
        let caps = caps(100, 50, 2);
        let gym: IpAddr = Ipv4Addr::new(10, 1, 2, 3).into();
        let places: Vec<_> = (0..6).map(|_| caps.enter(gym).unwrap()).collect();
        assert_eq!(caps.enter(gym).err(), Some(Crowded::Address));
        drop(places);
    }

    #[test]
    fn strangers_and_connections_have_bounds_of_their_own() {
        let caps = caps(3, 2, 10);
        let (mut a, _b) = (caps.enter(address(1)).unwrap(), caps.enter(address(2)).unwrap());
        assert_eq!(caps.enter(address(3)).err(), Some(Crowded::Strangers));
        a.known();
        let _c = caps.enter(address(3)).unwrap();
        assert_eq!(caps.enter(address(4)).err(), Some(Crowded::Everywhere));
    }
}
