//! What the gateway's own limits refuse: counted, and told in the log now and then. A line for each would make a flood worse.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lifecycle::Clock;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use proto::{ErrorKind, Failure};

/// How often the log tells of a limit at most.
const PAUSE: Duration = Duration::from_secs(10);

/// What refuses calls. It is the source of the failures that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Limit {
    #[error("the rate limit of a token")]
    Token,
    #[error("the rate limit of an account")]
    Account,
    #[error("the rate limit of an address")]
    Address,
    #[error("max_calls")]
    Calls,
    #[error("max_streams")]
    Streams,
    #[error("what its service can take")]
    Load,
}

/// There is no room at this moment; `what` says where.
pub(crate) fn busy(what: &str, limit: Limit) -> Failure {
    Failure::new(ErrorKind::Unavailable, format!("{what}, try again")).with("retryAfter", "1").because(limit)
}

impl Limit {
    const ALL: [Self; 6] = [Self::Token, Self::Account, Self::Address, Self::Calls, Self::Streams, Self::Load];

    /// The limit that a failure comes from, if it does.
    pub(crate) fn of(failure: &Failure) -> Option<Self> {
        std::error::Error::source(failure)?.downcast_ref().copied()
    }

    /// As metrics and logs have it.
    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Account => "account",
            Self::Address => "address",
            Self::Calls => "calls",
            Self::Streams => "streams",
            Self::Load => "load",
        }
    }
}

/// How many calls each limit has refused.
#[derive(Clone)]
pub(crate) struct Refusals(Arc<[Count; Limit::ALL.len()]>, Clock);

#[derive(Default)]
struct Count {
    calls: AtomicU64,
    /// How many of them the log knows of.
    told: AtomicU64,
    /// From when on it may be told of more, in milliseconds of the clock.
    again_at: AtomicU64,
}

impl Refusals {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::default(), clock)
    }

    /// One more.
    pub(crate) fn note(&self, limit: Limit) {
        let count = &self.0[limit as usize];
        let calls = count.calls.fetch_add(1, Relaxed) + 1;
        let now = self.1.monotonic();
        let (again_at, next) = (count.again_at.load(Relaxed), millis(now + PAUSE));
        if millis(now) < again_at || count.again_at.compare_exchange(again_at, next, Relaxed, Relaxed).is_err() {
            return;
        }
        let more = calls.saturating_sub(count.told.swap(calls, Relaxed));
        tracing::warn!(limit = limit.name(), calls = more, "a limit refuses calls");
    }

    /// Shows them.
    pub(crate) fn show(&self, meter: &Meter) {
        let counts = Arc::clone(&self.0);
        meter
            .u64_observable_counter("portcullis.gateway.refusals")
            .with_unit("{call}")
            .with_description("Calls that a limit of the gateway has refused")
            .with_callback(move |seen| {
                for limit in Limit::ALL {
                    let calls = counts[limit as usize].calls.load(Relaxed);
                    seen.observe(calls, &[KeyValue::new("limit", limit.name())]);
                }
            })
            .build();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
