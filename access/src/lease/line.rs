use std::time::Duration;

use super::{Change, ToHolder};
use crate::Revision;

/// What the authority's log of changes holds, at the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    /// Every change after this one is there.
    pub after: Revision,
    /// Every change after this one is younger than a grant can be old: where a holder begins that knows nothing.
    pub recent_after: Revision,
    /// The newest change that is committed.
    pub newest: Revision,
}

/// A holder's stream, at the authority: which changes it has been sent, and the lease that is owed to it.
///
/// The order that counts: the lease is written down, **then** the newest revision is read, **then** every change up to it is
/// sent, **then** the lease is. A change that is committed before that reading is known to the holder before it has the lease;
/// one that is committed after it finds the lease written down and waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    sent: Revision,
    owed: Option<Owed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owed {
    number: u64,
    duration: Duration,
    revision: Revision,
}

impl Line {
    /// Begins where the holder stopped, if the log goes back so far, else with what is recent.
    #[must_use]
    pub fn begin(applied: Option<Revision>, log: Log) -> Self {
        let followed = applied.filter(|applied| (log.after..=log.newest).contains(applied));
        Self { sent: followed.unwrap_or(log.recent_after.max(log.after)), owed: None }
    }

    /// The newest change that has been sent: the next ones are those after it.
    #[must_use]
    pub fn sent(&self) -> Revision {
        self.sent
    }

    /// A lease has been written down and is committed, and after that the newest revision was read. A lease that is owed for
    /// an earlier question is not sent any more.
    pub fn owe(&mut self, number: u64, duration: Duration, revision: Revision) {
        self.owed = Some(Owed { number, duration, revision });
    }

    /// Sends the changes that follow what has been sent, and then the lease that is owed, if its time has come.
    #[must_use]
    pub fn send(&mut self, changes: &[Change]) -> Vec<ToHolder> {
        let next: Vec<Change> = changes.iter().filter(|change| change.revision > self.sent).copied().collect();
        let mut messages = Vec::new();
        if let Some(newest) = next.last() {
            self.sent = newest.revision;
            messages.push(ToHolder::Changes(next));
        }
        if let Some(Owed { number, duration, revision }) = self.owed.take_if(|owed| owed.revision <= self.sent) {
            messages.push(ToHolder::Lease { number, duration, revision });
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountId;

    const LOG: Log = Log { after: Revision(10), recent_after: Revision(40), newest: Revision(50) };

    fn changes(revisions: std::ops::RangeInclusive<i64>) -> Vec<Change> {
        revisions.map(|n| Change { revision: Revision(n), account: AccountId(1), credential: None }).collect()
    }

    #[test]
    fn it_begins_where_the_holder_stopped_or_with_what_is_recent() {
        for (applied, sent) in
            [(None, 40), (Some(50), 50), (Some(20), 20), (Some(10), 10), (Some(9), 40), (Some(51), 40)]
        {
            assert_eq!(Line::begin(applied.map(Revision), LOG).sent(), Revision(sent), "{applied:?}");
        }
        let cut = Log { after: Revision(45), ..LOG };
        assert_eq!(Line::begin(None, cut).sent(), Revision(45));
    }

    #[test]
    fn a_lease_follows_the_changes_that_it_counts_on() {
        let mut line = Line::begin(None, LOG);
        line.owe(1, Duration::from_secs(3), Revision(43));
        assert_eq!(line.send(&changes(41..=42)), [ToHolder::Changes(changes(41..=42))]);
        let lease = ToHolder::Lease { number: 1, duration: Duration::from_secs(3), revision: Revision(43) };
        assert_eq!(line.send(&changes(41..=44)), [ToHolder::Changes(changes(43..=44)), lease]);
        assert_eq!(line.send(&changes(41..=44)), []);
        line.owe(2, Duration::from_secs(3), Revision(44));
        assert!(matches!(line.send(&[])[..], [ToHolder::Lease { number: 2, .. }]));
    }
}
