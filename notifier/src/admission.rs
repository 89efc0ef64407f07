//! How many streams may be open, and how fast new ones may come.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::config::ClientSettings;

/// A refused client may try again after so many seconds, where nothing better is known.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Why a stream is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many are open as may be.
    Full,
    /// As many are open from this address as may be.
    AddressFull,
    /// As many are open for this token's subject as may be.
    UserFull,
    /// New ones come too fast from this address.
    TooFast {
        /// One is free again after so many seconds.
        retry_after_seconds: u32,
    },
}

impl Refused {
    /// When to come again.
    #[must_use]
    pub fn retry_after_seconds(self) -> u32 {
        match self {
            Self::Full | Self::AddressFull | Self::UserFull => RETRY_AFTER_SECONDS,
            Self::TooFast {
                retry_after_seconds,
            } => retry_after_seconds,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressFull => "addressFull",
            Self::UserFull => "userFull",
            Self::TooFast { .. } => "tooFast",
        }
    }
}

/// Gives out the places for streams.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_per_address: u32,
    most_per_user: u32,
    /// Between two new streams of one address, on the long run.
    spacing: Duration,
    taken: Mutex<Taken>,
    open: Gauge,
    opened: Counter,
}

#[derive(Debug, Default)]
struct Taken {
    open: usize,
    addresses: HashMap<IpAddr, Address>,
    /// The streams of each user that has any.
    users: HashMap<Arc<str>, u32>,
    /// At so many addresses those are forgotten of which nothing needs to be remembered.
    sweep_at: usize,
}

/// What is remembered of an address.
#[derive(Debug)]
struct Address {
    open: u32,
    /// The moment at which all its new streams would have come, had they kept the spacing.
    paid_until: Instant,
}

/// A stream's place; it is given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    inner: Arc<Inner>,
    address: IpAddr,
    user: Option<Arc<str>>,
}

impl Admission {
    /// All places are free.
    #[must_use]
    pub fn new(settings: &ClientSettings) -> Self {
        Self(Arc::new(Inner {
            most: settings.max_streams,
            most_per_address: settings.max_streams_per_address,
            most_per_user: settings.max_streams_per_user,
            spacing: Duration::from_secs(1) / settings.new_streams_per_second.max(1),
            taken: Mutex::default(),
            open: metrics::gauge!("notifier_streams_open"),
            opened: metrics::counter!("notifier_streams_opened_total"),
        }))
    }

    /// A place for a stream of `caller`.
    pub fn admit(&self, caller: &Caller, now: Instant) -> Result<Place, Refused> {
        let address = network(caller.address);
        let admitted = self.0.take(address, caller.user.as_ref(), now);
        match admitted {
            Ok(()) => {
                self.0.open.increment(1.0);
                self.0.opened.increment(1);
                Ok(Place {
                    inner: Arc::clone(&self.0),
                    address,
                    user: caller.user.clone(),
                })
            }
            Err(refused) => {
                metrics::counter!("notifier_streams_refused_total", "reason" => refused.name())
                    .increment(1);
                Err(refused)
            }
        }
    }
}

impl Inner {
    fn take(&self, address: IpAddr, user: Option<&Arc<str>>, now: Instant) -> Result<(), Refused> {
        let mut taken = self.taken.lock();
        if taken.open >= self.most {
            return Err(Refused::Full);
        }
        if user.is_some_and(|user| taken.users.get(user) >= Some(&self.most_per_user)) {
            return Err(Refused::UserFull);
        }
        if taken.addresses.len() >= taken.sweep_at {
            taken
                .addresses
                .retain(|_, a| a.open > 0 || a.paid_until > now);
            taken.sweep_at = (taken.addresses.len() * 2).max(64);
        }
        let known = taken.addresses.entry(address).or_insert(Address {
            open: 0,
            paid_until: now,
        });
        if known.open >= self.most_per_address {
            return Err(Refused::AddressFull);
        }
        // All that may be open may come at once; after that one for each that the time has brought.
        let ahead = known.paid_until.saturating_duration_since(now);
        let allowed = self.spacing * (self.most_per_address - 1);
        if let Some(early) = ahead.checked_sub(allowed).filter(|early| !early.is_zero()) {
            let seconds = early.as_secs_f64().ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most a spacing, which is a second or less"
            )]
            let retry_after_seconds = (seconds as u32).max(1);
            return Err(Refused::TooFast {
                retry_after_seconds,
            });
        }
        known.paid_until = known.paid_until.max(now) + self.spacing;
        known.open += 1;
        taken.open += 1;
        if let Some(user) = user {
            *taken.users.entry(Arc::clone(user)).or_insert(0) += 1;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.inner.taken.lock();
        taken.open -= 1;
        if let Some(address) = taken.addresses.get_mut(&self.address) {
            address.open -= 1;
        }
        if let Some(user) = &self.user
            && let Some(open) = taken.users.get_mut(user)
        {
            *open -= 1;
            if *open == 0 {
                taken.users.remove(user);
            }
        }
        self.inner.open.decrement(1.0);
    }
}

/// An IPv6 network is as easily had as an IPv4 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Refused};
    use crate::caller::Caller;
    use crate::config::Cli;
    use std::net::IpAddr;
    use std::time::Duration;
    use tokio::time::Instant;

    fn admission(settings: &[&str]) -> Admission {
        let fixed = ["notifier", "--auth-mode", "disabled"];
        let arguments = fixed.iter().chain(settings);
        let Ok(Cli::Serve(config)) = Cli::try_parse_from(arguments) else {
            panic!("settings that cannot be read");
        };
        Admission::new(&config.clients)
    }

    fn from(address: &str) -> Caller {
        Caller::at(address.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_given_back() {
        let admission = admission(&["--max-streams", "3", "--max-streams-per-address", "2"]);
        let now = Instant::now();
        let admit = |address| admission.admit(&from(address), now);
        let first = admit("10.0.0.1").expect("a place");
        let _second = admit("10.0.0.1").expect("a place");
        assert_eq!(admit("10.0.0.1").err(), Some(Refused::AddressFull));
        // An IPv6 network counts as one address.
        let _third = admit("2001:db8::1").expect("a place");
        assert_eq!(admit("10.0.0.2").err(), Some(Refused::Full));
        drop(first);
        drop(admit("2001:db8::2").expect("a place"));
        let later = now + Duration::from_secs(1);
        admission.admit(&from("10.0.0.1"), later).expect("a place");
    }

    #[test]
    fn a_user_has_so_many_places_from_wherever_and_nothing_is_kept_of_who_has_none() {
        let admission = admission(&["--max-streams-per-user", "2"]);
        let now = Instant::now();
        let admit = |user: Option<&str>, address| {
            let mut caller = from(address);
            caller.user = user.map(Into::into);
            admission.admit(&caller, now)
        };
        let first = admit(Some("ada"), "10.0.0.1").expect("a place");
        let second = admit(Some("ada"), "10.0.0.2").expect("a place");
        let refused = admit(Some("ada"), "10.0.0.3");
        assert_eq!(refused.err(), Some(Refused::UserFull));
        let others = ["bob", "cleo"].map(|user| admit(Some(user), "10.0.0.1").expect("a place"));
        let nobodys = [(); 3].map(|()| admit(None, "10.0.0.1").expect("a place"));
        drop(first);
        let third = admit(Some("ada"), "10.0.0.3").expect("a place");
        drop((second, third, others, nobodys));
        assert!(admission.0.taken.lock().users.is_empty());
    }

    #[test]
    fn new_ones_may_come_all_at_once_and_then_at_the_rate() {
        let admission = admission(&[
            "--max-streams-per-address",
            "3",
            "--new-streams-per-second",
            "2",
        ]);
        let start = Instant::now();
        let admit = |address, after: u64| {
            let now = start + Duration::from_millis(after);
            admission.admit(&from(address), now).map(drop)
        };
        let too_fast = Err(Refused::TooFast {
            retry_after_seconds: 1,
        });
        assert_eq!([(); 3].map(|()| admit("10.0.0.1", 0)), [Ok(()); 3]);
        assert_eq!(admit("10.0.0.1", 0), too_fast);
        assert_eq!(admit("10.0.0.2", 0), Ok(()), "others feel nothing");
        assert_eq!(admit("10.0.0.1", 499), too_fast);
        assert_eq!(admit("10.0.0.1", 500), Ok(()));
        assert_eq!(admit("10.0.0.1", 500), too_fast);
    }

    #[test]
    fn addresses_of_which_nothing_is_to_be_remembered_are_forgotten() {
        let admission = admission(&["--new-streams-per-second", "1000"]);
        let mut now = Instant::now();
        let stays = admission.admit(&from("10.1.0.0"), now).expect("a place");
        for number in 0..100_000_u32 {
            now += Duration::from_millis(1);
            let address = std::net::Ipv4Addr::from_bits(number).to_string();
            drop(admission.admit(&from(&address), now));
        }
        let taken = admission.0.taken.lock();
        assert!(taken.addresses.len() <= 128, "{}", taken.addresses.len());
        assert_eq!(taken.open, 1);
        drop(taken);
        drop(stays);
    }
}
