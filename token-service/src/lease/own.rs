use std::sync::{Mutex, PoisonError};

use access::Revision;
use access::lease::{Disorder, Holder, LeaseHandle, Line, ToAuthority, ToHolder};
use storage::StorageError;

use super::Leases;
use crate::store::NewLease;

/// What operators see of it.
const NAME: &str = "token-service";

/// So often in the time that a lease lasts.
const QUESTIONS_PER_LEASE: u32 = 3;

/// The lease of what this replica itself remembers: it is a holder like any other, only that its stream is no stream.
pub(crate) struct OwnLease {
    handle: LeaseHandle,
    line: Mutex<Option<(u64, Line)>>,
}

impl OwnLease {
    pub(super) fn new(handle: LeaseHandle) -> Self {
        Self { handle, line: Mutex::new(None) }
    }

    pub(super) fn handle(&self) -> &LeaseHandle {
        &self.handle
    }

    fn sent(&self) -> Option<Revision> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, line)| line.sent())
    }

    /// Passes on what follows, and answers what is acknowledged.
    fn pass(&self, step: impl FnOnce(&mut Line) -> Vec<ToHolder>) -> Option<Revision> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let (stream, messages) = {
            let (stream, line) = line.as_mut()?;
            (*stream, step(line))
        };
        let mut acknowledged = None;
        for message in messages {
            match self.handle.change(|holder, now| holder.take(stream, &message, now)) {
                Ok(Some(ToAuthority::Acknowledge { revision })) => acknowledged = Some(revision),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the own lease begins anew");
                    *line = None;
                    return None;
                }
            }
        }
        acknowledged
    }
}

impl Leases {
    /// There may be new changes. Those that are not in memory any more come with the next lease.
    pub(super) fn deliver_own(&self) {
        let passed = self.own.pass(|line| {
            let changes = self.feed.recent_after(line.sent()).unwrap_or_default();
            line.send(&changes)
        });
        self.acknowledge_own(passed);
    }

    fn acknowledge_own(&self, acknowledged: Option<Revision>) {
        if let Some(revision) = acknowledged {
            self.acknowledgements.add(self.own.handle.id(), revision, self.feed.foreign());
        }
    }

    /// Keeps the own lease until the service ends, and gives it back then.
    pub(super) async fn keep_own(self) {
        let mut tick = tokio::time::interval(self.duration / QUESTIONS_PER_LEASE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.ended.cancelled() => break,
                _ = tick.tick() => {}
            }
            let renewed = tokio::select! {
                () = self.ended.cancelled() => break,
                renewed = self.renew_own() => renewed,
            };
            if let Err(error) = renewed {
                tracing::warn!(%error, "the own lease was not prolonged: nothing is remembered without it");
            }
        }
        self.own.handle.change(|holder, _| holder.release());
        if let Err(error) = self.store.release_lease(self.own.handle.id()).await {
            tracing::debug!(%error, "the own lease was not given back");
        }
    }

    async fn renew_own(&self) -> Result<(), OwnLeaseError> {
        if self.own.sent().is_none() {
            self.begin_own().await?;
        }
        self.own.handle.change(Holder::forget);
        let question = self.own.handle.change(Holder::ask);
        let ToAuthority::Ask { number } = question else { return Ok(()) };
        let acknowledged = self.own.handle.status().applied.unwrap_or(Revision(0));
        self.store.renew_lease(&self.own_lease(acknowledged)).await?;
        self.acknowledgements.leased(self.own.handle.id(), acknowledged);
        let revision = self.store.revision().await?;
        self.known(revision).await;
        self.own.pass(|line| {
            line.owe(number, self.duration, revision);
            Vec::new()
        });
        while let Some(sent) = self.own.sent() {
            let changes = self.feed.after(sent).await?;
            let passed = self.own.pass(|line| line.send(&changes));
            self.acknowledge_own(passed);
            if changes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    async fn begin_own(&self) -> Result<(), OwnLeaseError> {
        let log = self.store.change_log(self.clock.now() - self.replayed()).await?;
        let resume = self.own.handle.change(|holder, _| holder.connect());
        let line = Line::begin(resume.applied, log);
        let begin = ToHolder::Begin { after: line.sent(), remember_for: self.remember_for() };
        self.own.handle.change(|holder, now| holder.take(resume.stream, &begin, now))?;
        self.acknowledgements.begin(self.own.handle.id(), NAME, line.sent());
        *self.own.line.lock().unwrap_or_else(PoisonError::into_inner) = Some((resume.stream, line));
        Ok(())
    }

    fn own_lease(&self, acknowledged: Revision) -> NewLease<'_> {
        NewLease {
            holder: self.own.handle.id(),
            name: NAME,
            place: &self.replica,
            replica: &self.replica,
            duration: self.duration,
            acknowledged,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum OwnLeaseError {
    #[error("the database did not answer")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Disorder(#[from] Disorder),
}
