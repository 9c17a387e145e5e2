//! How often somebody may ask.
//!
//! Addresses are counted only while nobody knows who speaks for them: without a token, with a bad one, at log-in. Whoever has a good token
//! is counted by subject. Registered addresses of gyms have a multiple: one Wi-Fi, hundreds of phones. IPv6 counts by /64, which is what
//! one subscriber has. Keys that have not been seen for a while are forgotten; a flood of new ones is bounded.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use config::Limits;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use protocol::{ErrorCode, TenantId};
use uuid::Uuid;

use super::answer::ApiError;
use crate::transport::address::subscriber;

/// Keys that one limiter remembers; beyond, strangers are refused until the old ones are forgotten.
const KEYS_MAX: usize = 200_000;

/// All limiters of the API.
pub(super) struct Rates {
    clock: DefaultClock,
    limits: Limits,
    address: DefaultKeyedRateLimiter<IpAddr>,
    gym: DefaultKeyedRateLimiter<IpAddr>,
    login: DefaultKeyedRateLimiter<IpAddr>,
    gym_login: DefaultKeyedRateLimiter<IpAddr>,
    subject: DefaultKeyedRateLimiter<(TenantId, Uuid)>,
}

/// So many within a time, all at once if somebody likes.
fn quota(count: u32, per: Duration) -> Quota {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let every = per / count.get();
    Quota::with_period(every).unwrap_or(Quota::per_second(count)).allow_burst(count)
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        let hour = Duration::from_secs(3600);
        let ten_minutes = Duration::from_secs(600);
        let times = |count: u32| count.saturating_mul(limits.gym_address_factor);
        Self {
            clock: DefaultClock::default(),
            address: RateLimiter::keyed(quota(limits.requests_per_address_per_hour, hour)),
            gym: RateLimiter::keyed(quota(times(limits.requests_per_address_per_hour), hour)),
            login: RateLimiter::keyed(quota(limits.logins_per_address_per_10m, ten_minutes)),
            gym_login: RateLimiter::keyed(quota(times(limits.logins_per_address_per_10m), ten_minutes)),
            subject: RateLimiter::keyed(quota(limits.requests_per_subject_per_minute, Duration::from_secs(60))),
            limits: limits.clone(),
        }
    }

    /// Counts a request of nobody known.
    pub(super) fn stranger(&self, address: IpAddr) -> Result<(), ApiError> {
        let limiter = if self.limits.factor_of(address) > 1 { &self.gym } else { &self.address };
        self.count(limiter, &subscriber(address))
    }

    /// Counts a log-in.
    pub(super) fn login(&self, address: IpAddr) -> Result<(), ApiError> {
        let limiter = if self.limits.factor_of(address) > 1 { &self.gym_login } else { &self.login };
        self.count(limiter, &subscriber(address))
    }

    /// Counts a request of a known subject.
    pub(super) fn subject(&self, tenant: TenantId, subject: Uuid) -> Result<(), ApiError> {
        self.count(&self.subject, &(tenant, subject))
    }

    fn count<K: std::hash::Hash + Eq + Clone>(&self, limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), ApiError> {
        if limiter.len() > KEYS_MAX {
            return Err(ApiError::new(ErrorCode::Overloaded).after(60_000));
        }
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            ApiError::new(ErrorCode::TooFast).after(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1))
        })
    }

    /// Forgets whoever has all of their quota again.
    pub(super) fn forget(&self) {
        for limiter in [&self.address, &self.gym, &self.login, &self.gym_login] {
            limiter.retain_recent();
        }
        self.subject.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn rates() -> Rates {
        let config = config::load(&config::Sources::of(config::Profile::Production)).unwrap();
        Rates::new(&Limits { gym_addresses: vec!["10.7.0.0/16".parse().unwrap()], ..config.limits })
    }

    fn allowed(mut ask: impl FnMut() -> Result<(), ApiError>) -> usize {
        (0..100_000).take_while(|_| ask().is_ok()).count()
    }

    #[test]
    fn strangers_have_a_thousand_an_hour_and_five_logins_in_ten_minutes_and_are_told_when_to_come_back() {
        let rates = rates();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(allowed(|| rates.stranger(address)), 1000);
        assert_eq!(allowed(|| rates.login(address)), 5);
        let refused = rates.login(address).unwrap_err();
        assert!(refused.retry_after_ms.is_some_and(|ms| ms > 100_000 && ms <= 120_000), "{refused:?}");
        assert_eq!(allowed(|| rates.login("192.0.2.2".parse().unwrap())), 5, "another address has its own");
    }

    #[test]
    fn a_gyms_wifi_has_a_multiple() {
        let rates = rates();
        assert_eq!(allowed(|| rates.login("10.7.1.1".parse().unwrap())), 250);
    }

    #[test]
    fn a_subscriber_with_a_whole_64_counts_once() {
        let rates = rates();
        let mut n = 0u16;
        let count = allowed(|| {
            n = n.wrapping_add(1);
            rates.login(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n)))
        });
        assert_eq!(count, 5);
        assert!(rates.login("2001:db8:0:2::1".parse().unwrap()).is_ok());
    }
}
