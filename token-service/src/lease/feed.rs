use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::Revision;
use access::lease::Change;
use storage::{Notifications, StorageError};
use tokio::sync::{Notify, watch};

use super::Leases;
use crate::store::Store;

/// How many of the newest changes are kept in memory: a stream that is further behind reads the log.
const KEPT: usize = 4096;

/// How often the log is read if nothing hints that there is something new: a part of a lease.
const POLLS_PER_LEASE: u32 = 10;

/// How long to wait before notifications are listened for again.
const PAUSE: Duration = Duration::from_secs(1);

/// The changes in their order, as this replica knows them. The log in the database is the truth; this is its newest part.
pub(super) struct Feed {
    store: Store,
    recent: Mutex<Recent>,
    newest: watch::Sender<Revision>,
    hint: Notify,
}

#[derive(Default)]
struct Recent {
    /// Where the changes begin that are kept. `None`: nothing has been read yet.
    after: Option<Revision>,
    changes: VecDeque<Change>,
    /// The newest change that came from another replica.
    foreign: i64,
}

impl Recent {
    fn newest(&self) -> Option<Revision> {
        self.changes.back().map(|change| change.revision).or(self.after)
    }

    /// Takes those that follow.
    fn take(&mut self, changes: &[Change]) -> Vec<Change> {
        let Some(mut newest) = self.newest() else { return Vec::new() };
        let mut taken = Vec::new();
        for change in changes {
            if change.revision.0 == newest.0 + 1 {
                newest = change.revision;
                self.changes.push_back(*change);
                taken.push(*change);
            }
        }
        while self.changes.len() > KEPT {
            self.after = self.changes.pop_front().map(|change| change.revision);
        }
        taken
    }
}

impl Feed {
    pub(super) fn new(store: Store) -> Self {
        Self { store, recent: Mutex::default(), newest: watch::Sender::new(Revision(-1)), hint: Notify::new() }
    }

    /// Tells of every newer revision.
    pub(super) fn subscribe(&self) -> watch::Receiver<Revision> {
        self.newest.subscribe()
    }

    /// The newest change that came from another replica, which may wait for what is acknowledged here.
    pub(super) fn foreign(&self) -> Revision {
        Revision(self.recent().foreign)
    }

    /// Something may be new in the log.
    pub(super) fn hint(&self) {
        self.hint.notify_one();
    }

    /// The changes that follow a revision: all that are known, or a page of the log.
    pub(super) async fn after(&self, revision: Revision) -> Result<Vec<Change>, StorageError> {
        match self.recent_after(revision) {
            Some(changes) => Ok(changes),
            None => self.store.changes_after(revision).await,
        }
    }

    /// The changes that follow a revision, if they are all in memory.
    pub(super) fn recent_after(&self, revision: Revision) -> Option<Vec<Change>> {
        let recent = self.recent();
        if recent.after.is_none_or(|after| after > revision) {
            return None;
        }
        let known = recent.changes.partition_point(|change| change.revision <= revision);
        Some(recent.changes.range(known..).copied().collect())
    }

    /// Sees to it that a revision becomes known.
    pub(super) fn want(&self, revision: Revision) {
        if *self.newest.borrow() < revision {
            self.hint();
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes, if they follow what is known. Answers how many were new.
    fn publish(&self, changes: &[Change], foreign: bool) -> usize {
        let (taken, newest) = {
            let mut recent = self.recent();
            let taken = recent.take(changes);
            if let Some(last) = taken.last().filter(|_| foreign) {
                recent.foreign = last.revision.0;
            }
            (taken, recent.newest())
        };
        if let Some(newest) = newest.filter(|_| !taken.is_empty()) {
            self.newest.send_replace(newest);
        }
        taken.len()
    }

    /// Reads what is new in the log.
    async fn read(&self) -> Result<(), StorageError> {
        let known = self.recent().newest();
        let Some(mut known) = known else {
            let newest = self.store.revision().await?;
            self.recent().after = Some(newest);
            self.newest.send_replace(newest);
            return Ok(());
        };
        loop {
            let page = self.store.changes_after(known).await?;
            let Some(last) = page.last() else { return Ok(()) };
            known = last.revision;
            self.publish(&page, true);
        }
    }
}

impl Leases {
    /// This replica has committed changes: every holder is told at once, without another look at the log.
    pub(super) fn committed(&self, changes: &[Change]) {
        let taken = self.feed.publish(changes, false);
        if taken < changes.len() {
            // Others came in between, from another replica or another call: the log has them in their order.
            self.feed.hint();
        }
        self.deliver_own();
    }

    /// Waits until every change up to a revision is known here.
    pub(super) async fn known(&self, revision: Revision) {
        let mut newest = self.feed.subscribe();
        self.feed.want(revision);
        // The sender lives as long as this does.
        drop(newest.wait_for(|newest| *newest >= revision).await);
    }

    /// Follows the log until the service ends.
    pub(super) async fn follow(self) {
        let mut notifications = None;
        let mut tick = tokio::time::interval(self.duration / POLLS_PER_LEASE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            match self.feed.read().await {
                Ok(()) => self.deliver_own(),
                Err(error) => tracing::warn!(%error, "the log of changes was not read"),
            }
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = self.feed.hint.notified() => {}
                () = hinted(&self.store, &mut notifications) => self.acknowledgements.hint(),
                _ = tick.tick() => {}
            }
        }
    }
}

/// Resolves when another replica has hinted at something. What breaks is mended: until then the log is polled.
async fn hinted(store: &Store, notifications: &mut Option<Notifications>) {
    loop {
        let listening = match notifications.take() {
            Some(listening) => listening,
            None => match store.lease_notifications().await {
                Ok(listening) => listening,
                Err(error) => {
                    tracing::debug!(%error, "notifications are not listened for");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        // It is put back before it is awaited: the wait can be given up at any time.
        let listening = notifications.insert(listening);
        match listening.next().await {
            Ok(()) => return,
            Err(error) => {
                tracing::debug!(%error, "notifications were interrupted");
                *notifications = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
