use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lifecycle::Clock;
use tokio::sync::watch;

use super::{Holder, HolderId, Refusal, Statement};
use crate::Revision;

/// How many changes are remembered at most: some ten megabytes.
const CAPACITY: usize = 100_000;

/// A process's lease, as those ask it who serve or execute. Cheap to clone; every clone sees the same.
#[derive(Clone, Debug)]
pub struct LeaseHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: HolderId,
    holder: RwLock<Holder>,
    clock: Clock,
    /// Whether there has been a lease since the last stream began.
    leased: watch::Sender<bool>,
    /// Told anew whenever a statement may have become untrue.
    changed: watch::Sender<()>,
    /// When the present lease began, in microseconds of the holder's time. It is written under the holder's lock.
    since: AtomicU64,
    refusals: Refusals,
}

/// How many calls were not executed, since the start.
#[derive(Debug, Default)]
pub struct Refusals {
    stale: AtomicU64,
    unleased: AtomicU64,
}

impl Refusals {
    fn count(&self, refusal: Refusal) {
        let count = match refusal {
            Refusal::NoLease => &self.unleased,
            Refusal::Stale => &self.stale,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls under a statement that a change has made untrue, or may have.
    #[must_use]
    pub fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    /// Calls that came when there was no lease.
    #[must_use]
    pub fn unleased(&self) -> u64 {
        self.unleased.load(Ordering::Relaxed)
    }
}

/// A lease as it is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// How long it lasts.
    pub left: Duration,
    /// For how long there has been a lease without a gap. `None`: there is none.
    pub held: Option<Duration>,
    /// The newest change that is applied.
    pub applied: Option<Revision>,
}

impl LeaseHandle {
    /// A holder that has no lease yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let id = HolderId(uuid::Uuid::new_v4());
        let (holder, leased) = (RwLock::new(Holder::new(CAPACITY)), watch::Sender::new(false));
        let (changed, since, refusals) = (watch::Sender::new(()), AtomicU64::default(), Refusals::default());
        Self(Arc::new(Shared { id, holder, clock, leased, changed, since, refusals }))
    }

    /// Who holds it.
    #[must_use]
    pub fn id(&self) -> HolderId {
        self.0.id
    }

    /// The holder's time: the machine's monotonic clock, which counts suspension.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.clock.monotonic()
    }

    /// Whether there is a lease at this moment.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        let now = self.now();
        self.read(|holder| holder.is_leased(now))
    }

    /// How it is at this moment.
    #[must_use]
    pub fn status(&self) -> LeaseStatus {
        let now = self.now();
        self.read(|holder| {
            let since = Duration::from_micros(self.0.since.load(Ordering::Relaxed));
            let held = holder.is_leased(now).then(|| now.saturating_sub(since));
            LeaseStatus { left: holder.lease_left(now), held, applied: holder.applied() }
        })
    }

    /// Whether a call that arrives at this moment may be executed under a statement.
    ///
    /// # Errors
    /// Where it may not.
    pub fn allow(&self, statement: &Statement) -> Result<(), Refusal> {
        let now = self.now();
        self.read(|holder| holder.allow(statement, now)).inspect_err(|refusal| self.0.refusals.count(*refusal))
    }

    /// [`Holder::floor`].
    #[must_use]
    pub fn floor(&self) -> Revision {
        self.read(Holder::floor)
    }

    /// How many calls [`Self::allow`] has refused.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// Resolves when there is a lease.
    pub async fn leased(&self) {
        // The sender lives as long as this does.
        drop(self.0.leased.subscribe().wait_for(|leased| *leased).await);
    }

    /// Resolves when nothing may be executed under a statement any more. Whoever goes on under one, call or stream, asks
    /// [`allow`](Self::allow) at each step all the same: this may come a moment later.
    pub async fn lost(&self, statement: &Statement) -> Refusal {
        let mut changed = self.0.changed.subscribe();
        loop {
            if let Err(refusal) = self.allow(statement) {
                return refusal;
            }
            let left = self.status().left;
            tokio::select! {
                // The sender lives as long as this does.
                _ = changed.changed() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    pub(super) fn read<T>(&self, ask: impl FnOnce(&Holder) -> T) -> T {
        ask(&self.0.holder.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what the holder knows. `now` is read before it may have to wait.
    pub fn change<T>(&self, change: impl FnOnce(&mut Holder, Duration) -> T) -> T {
        let now = self.now();
        let (changed, leased, untrue) = {
            let mut holder = self.0.holder.write().unwrap_or_else(PoisonError::into_inner);
            let (before, known) = (holder.is_leased(now), (holder.applied(), holder.floor()));
            let changed = change(&mut holder, now);
            let leased = holder.is_leased(now);
            if leased && !before {
                self.0.since.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            (changed, leased, before && !leased || known != (holder.applied(), holder.floor()))
        };
        self.0.leased.send_if_modified(|known| std::mem::replace(known, leased) != leased);
        self.0.changed.send_if_modified(|()| untrue);
        changed
    }
}
