use std::time::Duration;

use access::Revision;
use access::lease::{Change, Confirmation, HolderId};
use storage::StorageError;

use super::Leases;

/// How soon, and then how seldom, the leases are read again while other replicas' holders are waited for.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(160);

/// A change is confirmed: no call that arrives from now on is executed under what it took away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmed {
    /// How long it took, from the commit on.
    pub(crate) after: Duration,
}

impl Confirmed {
    /// There was nothing that could have been in use.
    pub(crate) const AT_ONCE: Self = Self { after: Duration::ZERO };

    /// In microseconds; never none at all.
    pub(crate) fn micros(self) -> u64 {
        u64::try_from(self.after.as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

impl Leases {
    /// Waits until changes that this replica has just committed are confirmed: at most as long as a lease lasts. Where there is
    /// none left to make, what another has changed is waited for, who may not know yet that it is confirmed.
    pub(crate) async fn confirm(&self, changes: &[Change]) -> Confirmed {
        let begun = self.clock.monotonic();
        match changes.last() {
            Some(last) => {
                self.committed(changes);
                self.wait(last.revision, begun).await;
            }
            None => match self.store.revision().await {
                Ok(revision) => self.wait(revision, begun).await,
                Err(error) => self.wait_for_the_longest(begun, &error).await,
            },
        }
        let Confirmed { after } = self.confirmed(begun);
        tracing::debug!(changes = changes.len(), micros = after.as_micros(), "changes were confirmed");
        Confirmed { after }
    }

    /// Waits until every change that is committed by now is confirmed: for who finds that another has made the change, and does
    /// not know whether that one was confirmed yet.
    pub(crate) async fn confirm_others(&self) -> Result<Confirmed, StorageError> {
        let begun = self.clock.monotonic();
        let revision = self.store.revision().await?;
        self.wait(revision, begun).await;
        Ok(self.confirmed(begun))
    }

    fn confirmed(&self, begun: Duration) -> Confirmed {
        let after = self.clock.monotonic().saturating_sub(begun);
        self.confirmations.record(after, &[]);
        Confirmed { after }
    }

    async fn wait(&self, revision: Revision, committed_at: Duration) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _waiting = Waiting(self);
        let leases = self.store.live_leases().await;
        let now = self.clock.monotonic();
        match leases {
            Ok(leases) => self.wait_for(Confirmation::new(revision, leases, now)).await,
            Err(error) => self.wait_for_the_longest(committed_at, &error).await,
        }
    }

    /// Where nobody can say who has a lease, each that there was has run out after the longest time.
    async fn wait_for_the_longest(&self, committed_at: Duration, error: &StorageError) {
        tracing::warn!(%error, "the leases cannot be read: a change is confirmed when all have run out");
        let longest = self.duration + self.duration / 20;
        tokio::time::sleep((committed_at + longest).saturating_sub(self.clock.monotonic())).await;
    }

    async fn wait_for(&self, mut confirmation: Confirmation) {
        let mut acknowledged = self.acknowledgements.subscribe();
        let mut hints = self.acknowledgements.hints();
        let mut look = FIRST_LOOK;
        loop {
            acknowledged.borrow_and_update();
            self.acknowledgements.tell(&mut confirmation);
            let now = self.clock.monotonic();
            confirmation.passed(now);
            let Some(end) = confirmation.next_end() else { return };
            let left = end.saturating_sub(now);
            let looked = tokio::select! {
                _ = acknowledged.changed() => false,
                _ = hints.changed() => true,
                () = tokio::time::sleep(left.min(look)) => true,
            };
            if looked {
                hints.borrow_and_update();
                look = (look * 2).min(LAST_LOOK);
                match self.store.noted_acknowledgements().await {
                    Ok(noted) => note(&mut confirmation, &noted),
                    Err(error) => tracing::debug!(%error, "the leases were not read"),
                }
            }
        }
    }
}

/// What other replicas have noted of their holders. One that is not there any more was given back: its end is the waiting replica's
/// own to judge, by its own clock.
fn note(confirmation: &mut Confirmation, noted: &[(HolderId, Revision)]) {
    let (awaited, revision): (Vec<HolderId>, Revision) = (confirmation.awaited().collect(), confirmation.revision());
    for holder in awaited {
        let found = noted.iter().find(|(known, _)| *known == holder);
        confirmation.acknowledged(holder, found.map_or(revision, |(_, acknowledged)| *acknowledged));
    }
}

/// Counts a change that waits, until it is dropped.
struct Waiting<'a>(&'a Leases);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
