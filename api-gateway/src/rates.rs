//! How often calls may come: with one token, of one account, from one address.

use std::convert::Infallible;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use access::lease::Memorable;
use access::{AccountId, CredentialId};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{RateLimiter, clock};
use lifecycle::Clock;
use proto::{ErrorKind, Failure};
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

use crate::config::{RateLimit, RateLimits};
use crate::known::Known;
use crate::refusals::Limit;

/// Of how many tokens, accounts and addresses it is known how often they have called. Of more than these those that call least are
/// forgotten, and may call as if they came for the first time: inventing addresses takes no more room than this.
const REMEMBERED: usize = 16_384;

/// The limits. Who shows a credential that is alive counts by that, and by its account, whatever the address; everybody else by the
/// address.
pub(crate) struct Rates {
    token: Option<Limiter<CredentialId>>,
    account: Option<Limiter<AccountId>>,
    address: Option<Limiter<Network>>,
}

impl Rates {
    pub(crate) fn new(limits: &RateLimits, time: &Clock) -> Self {
        let RateLimits { token, account, address } = *limits;
        let (token, account) = (Limiter::new(token, time), Limiter::new(account, time));
        Self { token, account, address: Limiter::new(address, time) }
    }

    /// One more call with a credential that is alive.
    pub(crate) fn count_credential(&self, known: &Known) -> Result<(), Failure> {
        count(self.token.as_ref(), &known.credential(), Limit::Token)?;
        count(self.account.as_ref(), &known.statement().account, Limit::Account)
    }

    /// One more call from an address that has shown no such credential, or one that is still to be asked about.
    pub(crate) fn count_address(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        address.map_or(Ok(()), |address| count(self.address.as_ref(), &Network::of(address), Limit::Address))
    }
}

fn count<K: Clone + Eq + Hash>(limiter: Option<&Limiter<K>>, key: &K, limit: Limit) -> Result<(), Failure> {
    let Some(limiter) = limiter else { return Ok(()) };
    let Err(wait) = limiter.count(key) else { return Ok(()) };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let who = match limit {
        Limit::Token => "with this credential",
        Limit::Account => "of this account",
        _ => "from this address",
    };
    Err(Failure::new(ErrorKind::Throttled, format!("too many calls {who}: try again in {seconds} s"))
        .with("retryAfter", seconds.to_string())
        .because(limit))
}

/// What counts as one address: whoever has one of IPv6 has all of its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address => address,
        })
    }
}

/// Counts by key, after the generic cell rate algorithm.
struct Limiter<K: Clone + Eq + Hash>(RateLimiter<K, Bounded<K>, Time, NoOpMiddleware<Duration>>);

impl<K: Clone + Eq + Hash> Limiter<K> {
    fn new(limit: RateLimit, time: &Clock) -> Option<Self> {
        let store = Bounded(Cache::with_weighter(64, REMEMBERED as u64, UnitWeighter));
        Some(Self(RateLimiter::new(limit.quota()?, store, Time(time.clone()))))
    }

    /// Where it is too much: after how long it would not be.
    fn count(&self, key: &K) -> Result<(), Duration> {
        self.0.check_key(key).map_err(|early| early.wait_time_from(self.0.clock().now()))
    }
}

/// What is known of each key, up to a bound.
struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Clone + Eq + Hash> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Ok(state) = self.0.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::default()));
        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

#[derive(Clone)]
struct Time(Clock);

impl clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(calls: u32, burst: u32, time: &Clock) -> Limiter<u64> {
        Limiter::new(RateLimit::per_second(calls, burst), time).unwrap()
    }

    #[test]
    fn a_burst_is_let_in_and_then_as_many_as_there_is_time_for() {
        let (time, hand) = Clock::manual("2026-11-28T12:00:00Z".parse().unwrap());
        let limiter = limiter(10, 3, &time);
        for _ in 0..3 {
            assert_eq!(limiter.count(&1), Ok(()));
        }
        assert_eq!(limiter.count(&1), Err(Duration::from_millis(100)));
        assert_eq!(limiter.count(&2), Ok(()), "each counts for itself");
        hand.advance(Duration::from_millis(99));
        assert_eq!(limiter.count(&1), Err(Duration::from_millis(1)), "what was refused costs nothing");
        hand.advance(Duration::from_millis(1));
        assert_eq!(limiter.count(&1), Ok(()));
        assert!(limiter.count(&1).is_err());
        hand.advance(Duration::from_secs(3600));
        let let_in = (0..10).filter(|_| limiter.count(&1).is_ok()).count();
        assert_eq!(let_in, 3, "a long pause is worth one burst");
    }

    #[test]
    fn whoever_calls_much_is_not_forgotten_for_all_those_who_call_once() {
        let (time, _) = Clock::manual("2026-11-28T12:00:00Z".parse().unwrap());
        let limiter = limiter(1, 10, &time);
        while limiter.count(&0).is_ok() {}
        for stranger in 1..200_000 {
            let _ = limiter.count(&stranger);
            if stranger % 1000 == 0 {
                assert!(limiter.count(&0).is_err(), "forgotten after {stranger}");
            }
        }
        assert!(limiter.0.into_state_store().0.len() <= REMEMBERED);
    }

    #[test]
    fn what_is_off_counts_nothing() {
        let (time, _) = Clock::manual("2026-11-28T12:00:00Z".parse().unwrap());
        assert!(Limiter::<u64>::new(RateLimit::Off, &time).is_none());
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        let (time, _) = Clock::manual("2026-11-28T12:00:00Z".parse().unwrap());
        let limits = RateLimits { address: RateLimit::per_second(2, 1), ..RateLimits::default() };
        let rates = Rates::new(&limits, &time);
        let address = Some("192.0.2.1".parse().unwrap());
        rates.count_address(address).unwrap();
        let failure = rates.count_address(address).unwrap_err();
        assert_eq!((failure.kind(), failure.detail("retryAfter")), (ErrorKind::Throttled, Some("1")));
        assert_eq!(failure.message(), "too many calls from this address: try again in 1 s");
        rates.count_address(None).unwrap();
    }
}
