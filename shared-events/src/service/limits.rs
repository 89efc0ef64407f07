//! What one caller may take: requests a second, requests at once, and bad tokens a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::auth::{Caller, Role};
use super::problem::Problem;

/// Whoever has been quiet for long enough is forgotten once so many are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// The bounds on each caller.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Requests a second of one caller, the subject of a token, on the long run; over it a request is
    /// answered 429. The role `service`, which is bounded by its own settings, and AUTH_MODE=disabled,
    /// where there are no callers, have no such bound
    #[arg(long, env = "CALLER_REQUESTS_PER_SECOND", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub caller_requests_per_second: u32,

    /// Requests that one caller may send at once before the bound on those a second holds
    #[arg(long, env = "CALLER_BURST", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub caller_burst: u32,

    /// Requests of one caller that are under way at once; over it a request is answered 429
    #[arg(long, env = "CALLER_CONCURRENCY", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub caller_concurrency: u32,

    /// Requests a second of one address (an IPv6 network of 64 bits counts as one) whose token is not
    /// valid; over it they are answered 429 instead of 401. Who has a valid token is let in all the same
    #[arg(long, env = "BAD_TOKENS_PER_SECOND", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub bad_tokens_per_second: u32,
}

/// Counts what callers take.
#[derive(Debug)]
pub(super) struct Limits {
    requests: Rate<String>,
    bad_tokens: Rate<IpAddr>,
    under_way: Arc<Mutex<HashMap<String, u32>>>,
    concurrency: u32,
}

impl Limits {
    pub(super) fn new(settings: &LimitSettings) -> Self {
        let (rate, burst) = (settings.caller_requests_per_second, settings.caller_burst);
        let bad = settings.bad_tokens_per_second;
        Self {
            requests: Rate::new(rate, burst),
            bad_tokens: Rate::new(bad, bad),
            under_way: Arc::default(),
            concurrency: settings.caller_concurrency,
        }
    }

    /// Room for one request of a caller, held while it is under way; the problem to answer where there
    /// is none.
    pub(super) fn admit(&self, caller: &Caller) -> Result<Option<Place>, Problem> {
        if caller.expires_at().is_none() || caller.roles().contains(&Role::Service) {
            return Ok(None);
        }
        let subject = caller.subject();
        self.requests.take(&subject.to_owned()).map_err(|seconds| {
            Problem::too_many_requests("you send requests faster than you may", seconds)
        })?;
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(subject.to_owned()).or_default();
        if *count >= self.concurrency {
            let detail = "as many of your requests are under way as may be";
            return Err(Problem::too_many_requests(detail, 1));
        }
        *count += 1;
        Ok(Some(Place {
            subject: subject.to_owned(),
            under_way: Arc::clone(&self.under_way),
        }))
    }

    /// Counts a token that was refused; the problem to answer where there were too many.
    pub(super) fn bad_token(&self, address: IpAddr) -> Result<(), Problem> {
        let taken = self.bad_tokens.take(&network(address));
        taken.map_err(|seconds| {
            Problem::too_many_requests("too many tokens that are not valid come from you", seconds)
        })
    }
}

/// One request that is under way.
#[derive(Debug)]
pub(super) struct Place {
    subject: String,
    under_way: Arc<Mutex<HashMap<String, u32>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.subject);
            }
        }
    }
}

/// So many a second for each, and some at once.
#[derive(Debug)]
struct Rate<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(per_second: u32, burst: u32) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        Self(RateLimiter::keyed(quota))
    }

    /// Takes one; in how many seconds there is another where there is none.
    fn take(&self, key: &K) -> Result<(), u32> {
        if self.0.len() > MOST_REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1)
        })
    }
}

/// What one person can have many addresses of counts as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, network};

    #[test]
    fn each_has_its_own_rate_and_is_told_when_to_come_again() {
        let rate = Rate::new(1, 3);
        for _ in 0..3 {
            assert_eq!(rate.take(&"a"), Ok(()));
        }
        assert_eq!(rate.take(&"a"), Err(1));
        assert_eq!(rate.take(&"b"), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.7"), of("10.0.0.7"));
        assert_ne!(of("10.0.0.7"), of("10.0.0.8"));
    }
}
