//! The authority's side of leases: it follows the log of changes, tells each holder on its stream, and confirms a change when
//! each holder has acknowledged it or has no lease any more. The protocol itself is `access::lease`.

mod acknowledgements;
mod confirm;
mod feed;
mod metrics;
mod own;
mod stream;

pub(crate) use confirm::Confirmed;
pub(crate) use own::OwnLease;
pub(crate) use stream::watch;

use std::sync::Arc;
use std::time::Duration;

use access::lease::LeaseHandle;
use jiff::SignedDuration;
use lifecycle::{Clock, Lifecycle};
use opentelemetry::metrics::Meter;
use telemetry::Durations;
use tokio::sync::watch as watched;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::store::Store;
use acknowledgements::Acknowledgements;
use feed::Feed;

/// How far apart the clocks of two machines may be (as grants are verified).
const SKEW: Duration = Duration::from_secs(5);

/// What a change may have waited for its turn, after it took the time: the patience for a lock, twice over.
const WAITED: Duration = Duration::from_secs(10);

/// All of it. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub(crate) struct Leases(Arc<Shared>);

pub(crate) struct Shared {
    store: Store,
    clock: Clock,
    /// How this replica is called.
    replica: String,
    duration: Duration,
    grant_lifetime: Duration,
    feed: Feed,
    acknowledgements: Acknowledgements,
    own: OwnLease,
    /// How many changes wait to be confirmed.
    waiting: watched::Sender<usize>,
    /// How long confirmations took.
    confirmations: Durations,
    lifecycle: Lifecycle,
    /// Cancelled when the service has answered everything.
    ended: CancellationToken,
}

impl Leases {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        replica: String,
        duration: SignedDuration,
        grant_lifetime: SignedDuration,
        meter: &Meter,
        lifecycle: Lifecycle,
    ) -> Self {
        Self(Arc::new(Shared {
            feed: Feed::new(store.clone()),
            store,
            own: OwnLease::new(LeaseHandle::new(clock.clone())),
            clock,
            replica,
            duration: duration.unsigned_abs(),
            grant_lifetime: grant_lifetime.unsigned_abs(),
            acknowledgements: Acknowledgements::default(),
            waiting: watched::Sender::new(0),
            confirmations: metrics::confirmations(meter),
            lifecycle,
            ended: CancellationToken::new(),
        }))
    }

    /// Begins to follow the log and to keep the lease of what this replica itself remembers.
    pub(crate) fn start(&self) -> [JoinHandle<()>; 3] {
        let lifecycle = &self.0.lifecycle;
        [
            lifecycle.spawn("token-service.changes", self.clone().follow()),
            lifecycle.spawn("token-service.acknowledgements", self.clone().note()),
            lifecycle.spawn("token-service.lease", self.clone().keep_own()),
        ]
    }

    /// Everything is answered: what was begun by [`Self::start`] ends.
    pub(crate) fn end(&self) {
        self.0.ended.cancel();
    }

    /// The lease under which this replica remembers what it has read.
    pub(crate) fn own(&self) -> &LeaseHandle {
        self.0.own.handle()
    }

    /// How long a holder has to remember a change: as long as a grant can be used that is older.
    fn remember_for(&self) -> Duration {
        self.0.grant_lifetime + 2 * SKEW
    }

    /// How far back a holder begins that knows nothing.
    fn replayed(&self) -> Duration {
        self.remember_for() + WAITED
    }
}

impl std::ops::Deref for Leases {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
