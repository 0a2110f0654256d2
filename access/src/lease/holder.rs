use std::collections::BTreeMap;
use std::time::Duration;

use super::{Change, Statement, ToAuthority, ToHolder};
use crate::{AccountId, CredentialId, Revision};

/// A lease is used for a twentieth less than it was given for: so far apart the clocks of two machines may run.
const DRIFT: u32 = 20;

/// What a holder knows: its lease, and which statements are no longer true. It does nothing by itself and knows no clock: `now`
/// is the time of a monotonic one that counts suspension.
///
/// That a statement is refused which a change has made untrue never depends on a clock: what is no longer remembered raises the
/// floor below which every statement is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// How many changes are remembered at most.
    capacity: usize,
    /// Which stream is the present one.
    stream: u64,
    /// Whether the present stream has said where it begins.
    begun: bool,
    /// The newest change that is applied. `None`: nothing is known yet.
    applied: Option<Revision>,
    /// Every change after this one is remembered. A statement that is older is refused, whatever it is about.
    floor: Revision,
    remember_for: Duration,
    remembered: BTreeMap<Revision, Remembered>,
    /// The newest remembered change of each credential, and of each whole account.
    credentials: BTreeMap<CredentialId, Revision>,
    accounts: BTreeMap<AccountId, Revision>,
    questions: u64,
    /// The question that is not answered yet, and when it was asked.
    asked: Option<(u64, Duration)>,
    leased_until: Option<Duration>,
    /// Goes up when the changes no longer follow those of before: what was remembered earlier says nothing then.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Remembered {
    change: Change,
    until: Duration,
}

/// How a new stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resume {
    /// The stream's number: what comes on it is taken only as long as it is the present one.
    pub stream: u64,
    /// The newest change that is applied. `None`: nothing is known yet.
    pub applied: Option<Revision>,
}

/// Why a holder neither serves nor executes under a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It has no lease: changes may be confirmed that it knows nothing of.
    #[error("there is no lease")]
    NoLease,
    /// A change has come since, or may have.
    #[error("what was said of the credential may be untrue by now")]
    Stale,
}

/// What came is not what has to come next: the stream is to be ended, and another begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Disorder {
    /// It came on a stream that is not the present one.
    #[error("the stream is not the present one")]
    OldStream,
    /// It came before the stream's beginning, or the beginning came twice.
    #[error("the stream did not begin with its beginning")]
    Beginning,
    /// A change is missing, or came again.
    #[error("the change {0} does not follow the one before")]
    Gap(Revision),
    /// A lease came before the changes that it counts on.
    #[error("a lease came ahead of the change {0}")]
    EarlyLease(Revision),
}

impl Holder {
    /// A holder that knows nothing yet, and will remember so many changes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            stream: 0,
            begun: false,
            applied: None,
            floor: Revision(0),
            remember_for: Duration::ZERO,
            remembered: BTreeMap::new(),
            credentials: BTreeMap::new(),
            accounts: BTreeMap::new(),
            questions: 0,
            asked: None,
            leased_until: None,
            generation: 0,
        }
    }

    /// Begins another stream. The lease goes on, as long as it lasts.
    pub fn connect(&mut self) -> Resume {
        self.stream += 1;
        self.begun = false;
        self.asked = None;
        Resume { stream: self.stream, applied: self.applied }
    }

    /// Asks for a lease. A question that was not answered is given up.
    pub fn ask(&mut self, now: Duration) -> ToAuthority {
        self.questions += 1;
        self.asked = Some((self.questions, now));
        ToAuthority::Ask { number: self.questions }
    }

    /// Takes what came on a stream. What is answered has to be sent, after it has been taken and not before.
    ///
    /// # Errors
    /// Where it is not what has to come next. Nothing of it counts then that could be wrong.
    pub fn take(&mut self, stream: u64, message: &ToHolder, now: Duration) -> Result<Option<ToAuthority>, Disorder> {
        if stream != self.stream {
            return Err(Disorder::OldStream);
        }
        if self.begun == matches!(message, ToHolder::Begin { .. }) {
            return Err(Disorder::Beginning);
        }
        match message {
            ToHolder::Begin { after, remember_for } => {
                self.begin(*after, *remember_for);
                Ok(None)
            }
            ToHolder::Changes(changes) => {
                changes.iter().try_for_each(|change| self.apply(*change, now))?;
                Ok(self.applied.map(|revision| ToAuthority::Acknowledge { revision }))
            }
            ToHolder::Lease { number, duration, revision } => self.lease(*number, *duration, *revision).map(|()| None),
        }
    }

    fn begin(&mut self, after: Revision, remember_for: Duration) {
        self.begun = true;
        self.remember_for = remember_for;
        if self.applied == Some(after) {
            return;
        }
        // What happened in between is not known: whatever was said before counts no more.
        self.remembered.clear();
        self.credentials.clear();
        self.accounts.clear();
        self.applied = Some(after);
        self.floor = after;
        self.leased_until = None;
        self.generation += 1;
    }

    fn apply(&mut self, change: Change, now: Duration) -> Result<(), Disorder> {
        let next = self.applied.map(|applied| Revision(applied.0 + 1));
        if next != Some(change.revision) {
            return Err(Disorder::Gap(change.revision));
        }
        self.applied = next;
        self.remembered.insert(change.revision, Remembered { change, until: now + self.remember_for });
        match change.credential {
            Some(credential) => self.credentials.insert(credential, change.revision),
            None => self.accounts.insert(change.account, change.revision),
        };
        if self.remembered.len() > self.capacity {
            self.forget_oldest();
        }
        Ok(())
    }

    fn lease(&mut self, number: u64, duration: Duration, revision: Revision) -> Result<(), Disorder> {
        if self.applied.is_none_or(|applied| applied < revision) {
            return Err(Disorder::EarlyLease(revision));
        }
        // An answer to a question that was given up is none: when that one was asked is not known any more.
        if let Some((_, at)) = self.asked.take_if(|(asked, _)| *asked == number) {
            let until = at + (duration - duration / DRIFT);
            self.leased_until = self.leased_until.max(Some(until));
        }
        Ok(())
    }

    /// Gives the lease back. Nothing is served or executed from then on, unless it asks for another.
    pub fn release(&mut self) -> ToAuthority {
        self.asked = None;
        self.leased_until = None;
        ToAuthority::Release
    }

    /// Forgets changes that no grant is older than which could still be used.
    pub fn forget(&mut self, now: Duration) {
        while self.remembered.first_key_value().is_some_and(|(_, oldest)| oldest.until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((revision, Remembered { change, .. })) = self.remembered.pop_first() else { return };
        self.floor = revision;
        match change.credential {
            Some(credential) => remove_if(&mut self.credentials, &credential, revision),
            None => remove_if(&mut self.accounts, &change.account, revision),
        }
    }

    /// Whether there is a lease at this moment.
    #[must_use]
    pub fn is_leased(&self, now: Duration) -> bool {
        self.leased_until.is_some_and(|until| now < until)
    }

    /// How long the lease lasts from this moment on.
    #[must_use]
    pub fn lease_left(&self, now: Duration) -> Duration {
        self.leased_until.map_or(Duration::ZERO, |until| until.saturating_sub(now))
    }

    /// Whether no change that is known makes a statement untrue. Only what passes this may be remembered; it may be used once
    /// in any case by the call that asked.
    #[must_use]
    pub fn admits(&self, statement: &Statement) -> bool {
        let Some(applied) = self.applied else { return false };
        if statement.as_of >= applied {
            return true;
        }
        let older_than = |change: Option<&Revision>| change.is_some_and(|change| statement.as_of < *change);
        statement.as_of >= self.floor
            && !older_than(self.credentials.get(&statement.credential))
            && !older_than(self.accounts.get(&statement.account))
    }

    /// Whether a call that arrives at this moment may be served, or executed, under a statement that was made before.
    ///
    /// # Errors
    /// Where it may not.
    pub fn allow(&self, statement: &Statement, now: Duration) -> Result<(), Refusal> {
        if !self.is_leased(now) {
            return Err(Refusal::NoLease);
        }
        if self.admits(statement) { Ok(()) } else { Err(Refusal::Stale) }
    }

    /// The newest change that is applied.
    #[must_use]
    pub fn applied(&self) -> Option<Revision> {
        self.applied
    }

    /// A statement of before this change is refused, whatever it is about. Whoever asks for one need not be told it.
    #[must_use]
    pub fn floor(&self) -> Revision {
        self.floor
    }

    /// What was remembered in another generation says nothing in this one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

fn remove_if<K: Ord>(map: &mut BTreeMap<K, Revision>, key: &K, revision: Revision) {
    if map.get(key) == Some(&revision) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests;
