use std::collections::BTreeMap;
use std::time::Duration;

use super::HolderId;
use crate::Revision;

/// A lease that was written down and has not run out by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Live {
    /// Whose it is.
    pub holder: HolderId,
    /// How long it still lasts.
    pub left: Duration,
    /// The newest change that the holder has acknowledged.
    pub acknowledged: Revision,
}

/// What the confirmation of a change waits for: each holder that had a lease when the leases were read, **after** the change
/// was committed, until it acknowledges the change or that lease runs out. A lease that is prolonged in the meantime is prolonged
/// to a holder that knows of the change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    revision: Revision,
    awaited: BTreeMap<HolderId, Duration>,
}

impl Confirmation {
    /// Waits for the holders of leases that were read at or before `now`, by a monotonic clock.
    #[must_use]
    pub fn new(revision: Revision, leases: impl IntoIterator<Item = Live>, now: Duration) -> Self {
        let awaited = leases.into_iter().filter(|lease| lease.acknowledged < revision);
        Self { revision, awaited: awaited.map(|lease| (lease.holder, now + lease.left)).collect() }
    }

    /// A holder has acknowledged every change up to a revision.
    pub fn acknowledged(&mut self, holder: HolderId, revision: Revision) {
        if revision >= self.revision {
            self.awaited.remove(&holder);
        }
    }

    /// Time has passed.
    pub fn passed(&mut self, now: Duration) {
        self.awaited.retain(|_, until| now < *until);
    }

    /// The change that is to be confirmed.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whom it waits for.
    pub fn awaited(&self) -> impl Iterator<Item = HolderId> + '_ {
        self.awaited.keys().copied()
    }

    /// When the next of the leases runs out that it waits for. `None`: the change is confirmed.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        self.awaited.values().min().copied()
    }

    /// Whether the change is confirmed: nobody executes under what it took away.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn live(number: u128, left: u64, acknowledged: i64) -> Live {
        let acknowledged = Revision(acknowledged);
        Live { holder: HolderId(Uuid::from_u128(number)), left: second(left), acknowledged }
    }

    #[test]
    fn it_waits_for_each_holder_or_its_lease() {
        let leases = [live(1, 3, 6), live(2, 3, 7), live(3, 2, 0), live(4, 9, 5)];
        let mut confirmation = Confirmation::new(Revision(7), leases, second(10));
        assert_eq!(confirmation.awaited().count(), 3, "one has acknowledged it already");
        confirmation.acknowledged(leases[0].holder, Revision(6));
        confirmation.acknowledged(leases[3].holder, Revision(8));
        assert_eq!(confirmation.next_end(), Some(second(12)));
        confirmation.passed(second(12));
        assert_eq!(confirmation.awaited().collect::<Vec<_>>(), [leases[0].holder]);
        assert!(!confirmation.is_complete());
        confirmation.passed(second(13));
        assert!(confirmation.is_complete());
        assert_eq!(confirmation.next_end(), None);
    }

    #[test]
    fn nobody_to_wait_for_is_no_wait() {
        assert!(Confirmation::new(Revision(7), [], second(0)).is_complete());
    }
}
