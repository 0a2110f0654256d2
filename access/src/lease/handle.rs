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
}

/// A lease as it is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// How long it lasts.
    pub left: Duration,
    /// The newest change that is applied.
    pub applied: Option<Revision>,
}

impl LeaseHandle {
    /// A holder that has no lease yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let id = HolderId(uuid::Uuid::new_v4());
        let (holder, leased) = (RwLock::new(Holder::new(CAPACITY)), watch::Sender::new(false));
        Self(Arc::new(Shared { id, holder, clock, leased }))
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
        self.read(|holder| LeaseStatus { left: holder.lease_left(now), applied: holder.applied() })
    }

    /// Whether a call that arrives at this moment may be executed under a statement.
    ///
    /// # Errors
    /// Where it may not.
    pub fn allow(&self, statement: &Statement) -> Result<(), Refusal> {
        let now = self.now();
        self.read(|holder| holder.allow(statement, now))
    }

    /// Resolves when there is a lease.
    pub async fn leased(&self) {
        // The sender lives as long as this does.
        drop(self.0.leased.subscribe().wait_for(|leased| *leased).await);
    }

    pub(super) fn read<T>(&self, ask: impl FnOnce(&Holder) -> T) -> T {
        ask(&self.0.holder.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what the holder knows. `now` is read before it may have to wait.
    pub fn change<T>(&self, change: impl FnOnce(&mut Holder, Duration) -> T) -> T {
        let now = self.now();
        let (changed, leased) = {
            let mut holder = self.0.holder.write().unwrap_or_else(PoisonError::into_inner);
            let changed = change(&mut holder, now);
            (changed, holder.is_leased(now))
        };
        self.0.leased.send_if_modified(|known| std::mem::replace(known, leased) != leased);
        changed
    }
}
