//! Rate limits: for each client address without an API key, and for each API key.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::{Code, Problem};
use crate::config::{LimitsSection, Rate};
use crate::ids::ApiKeyId;
use crate::metrics::{Limited, Metrics};

/// Buckets kept before those that are full again are dropped: some 10 MB.
const MOST_BUCKETS: usize = 100_000;
/// How often the number of buckets is looked at. Counting them on every request would cost more than
/// the limit itself.
const LOOK_EVERY: u32 = 1024;

/// The limits of one server.
pub(super) struct RateLimits {
    per_address: Option<Buckets<IpAddr>>,
    per_key: Option<Buckets<ApiKeyId>>,
    /// Of the owner's browsers: as much as a program may ask.
    per_session: Option<Buckets<i64>>,
    metrics: Metrics,
}

struct Buckets<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default(), checks: AtomicU32::new(0) }
    }

    fn check(&self, key: &K) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1
            && self.limiter.len() > MOST_BUCKETS
        {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|denied| denied.wait_time_from(self.clock.now()))
    }
}

impl RateLimits {
    pub(super) fn new(limits: &LimitsSection, metrics: Metrics) -> Self {
        Self {
            per_address: limits.enabled.then(|| Buckets::new(limits.per_address)),
            per_key: limits.enabled.then(|| Buckets::new(limits.per_key)),
            per_session: limits.enabled.then(|| Buckets::new(limits.per_key)),
            metrics,
        }
    }

    /// Counts a request without an API key.
    pub(super) fn check_address(&self, address: IpAddr) -> Result<(), Problem> {
        let Some(buckets) = &self.per_address else { return Ok(()) };
        buckets.check(&network_of(address)).map_err(|wait| self.refuse(Limited::Address, wait))
    }

    /// Counts a request with this API key.
    pub(super) fn check_key(&self, key: &ApiKeyId) -> Result<(), Problem> {
        let Some(buckets) = &self.per_key else { return Ok(()) };
        buckets.check(key).map_err(|wait| self.refuse(Limited::Key, wait))
    }

    /// Counts a request of the owner's browser with this session.
    pub(super) fn check_session(&self, session: i64) -> Result<(), Problem> {
        let Some(buckets) = &self.per_session else { return Ok(()) };
        buckets.check(&session).map_err(|wait| self.refuse(Limited::Key, wait))
    }

    fn refuse(&self, by: Limited, wait: Duration) -> Problem {
        self.metrics.limited(by);
        Problem::new(Code::RateLimited).retry_after(wait)
    }

    /// Drops the buckets that are full again. Part of a job.
    pub(super) fn forget_idle(&self) {
        if let Some(buckets) = &self.per_address {
            buckets.limiter.retain_recent();
        }
        if let Some(buckets) = &self.per_key {
            buckets.limiter.retain_recent();
        }
        if let Some(buckets) = &self.per_session {
            buckets.limiter.retain_recent();
        }
    }
}

/// One IPv6 subscriber has at least a /64 and could use a new address for each request.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !0 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn limits(enabled: bool) -> RateLimits {
        let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(2).expect("not zero") };
        RateLimits::new(&LimitsSection { enabled, per_address: rate, per_key: rate }, Metrics::new())
    }

    #[test]
    fn a_neighbour_in_the_same_network_shares_the_bucket() {
        let limits = limits(true);
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!(limits.check_address(v6(1)).is_ok());
        assert!(limits.check_address(v6(2)).is_ok());
        assert_eq!(limits.check_address(v6(3)).expect_err("the third").code(), Code::RateLimited);
        assert!(limits.check_address(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])).is_ok());
        for last in 1..=2 {
            assert!(limits.check_address(IpAddr::from([192, 0, 2, last])).is_ok());
        }
    }

    #[test]
    fn keys_have_buckets_of_their_own_and_limits_can_be_off() {
        let limits = limits(true);
        let key = |text: &str| text.parse::<ApiKeyId>().expect("an id");
        assert!((0..2).all(|_| limits.check_key(&key("aaaaaaaaaaaa")).is_ok()));
        assert!(limits.check_key(&key("aaaaaaaaaaaa")).is_err());
        assert!(limits.check_key(&key("bbbbbbbbbbbb")).is_ok());
        let off = super::tests::limits(false);
        assert!((0..100).all(|_| off.check_key(&key("aaaaaaaaaaaa")).is_ok()));
    }
}
