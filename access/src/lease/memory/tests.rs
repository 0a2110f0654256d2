use std::cell::Cell;

use futures::channel::oneshot;
use futures::join;
use jiff::Timestamp;
use lifecycle::{Clock, ManualClock};

use super::super::{Change, ToAuthority, ToHolder};
use super::*;
use crate::{AccountId, CredentialId, GrantedKind};

const REFUSAL: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Eq)]
struct Said {
    as_of: i64,
    until: Duration,
}

impl Memorable for Said {
    fn statement(&self) -> Statement {
        let credential = CredentialId { kind: GrantedKind::Token, number: 1 };
        Statement { credential, account: AccountId(1), as_of: Revision(self.as_of) }
    }

    fn aging_at(&self) -> Duration {
        self.until / 2
    }

    fn usable_until(&self) -> Duration {
        self.until
    }

    fn size(&self) -> usize {
        300
    }
}

/// A memory under a lease at revision 5, whose time only the test moves.
struct Stage {
    memory: Memory<u32, Said>,
    lease: LeaseHandle,
    time: ManualClock,
    stream: u64,
}

impl Stage {
    fn new(entries: usize) -> Self {
        let (clock, time) = Clock::manual(Timestamp::UNIX_EPOCH);
        let lease = LeaseHandle::new(clock);
        let stream = lease.change(|holder, _| holder.connect()).stream;
        let bounds = Bounds { entries, bytes: 1 << 30, refusal: REFUSAL };
        let stage = Self { memory: Memory::new(lease.clone(), bounds), lease, time, stream };
        stage.take(&ToHolder::Begin { after: Revision(5), remember_for: Duration::from_secs(1000) });
        stage.lease();
        stage
    }

    fn take(&self, message: &ToHolder) {
        self.lease.change(|holder, now| holder.take(self.stream, message, now)).unwrap();
    }

    fn lease(&self) {
        let ToAuthority::Ask { number } = self.lease.change(Holder::ask) else { panic!("another message") };
        let revision = self.lease.status().applied.unwrap();
        self.take(&ToHolder::Lease { number, duration: Duration::from_secs(100), revision });
    }

    /// A change of the credential that everything here is about.
    fn change(&self, revision: i64) {
        let credential = Some(CredentialId { kind: GrantedKind::Token, number: 1 });
        let change = Change { revision: Revision(revision), account: AccountId(1), credential };
        self.take(&ToHolder::Changes(vec![change]));
    }

    /// What is remembered; `None` for a refusal, an error for nothing.
    fn recalled(&self, key: u32) -> Result<Option<i64>, ()> {
        match self.memory.recall(&key) {
            Recalled::Known { value, .. } => Ok(Some(value.as_of)),
            Recalled::Refused => Ok(None),
            Recalled::Nothing => Err(()),
        }
    }

    async fn ask(&self, key: u32, as_of: i64) -> Option<i64> {
        let until = self.lease.now() + Duration::from_secs(60);
        self.asked(key, async { Ok(Some(Said { as_of, until })) }).await
    }

    async fn asked(&self, key: u32, question: impl Future<Output = Result<Option<Said>, ()>>) -> Option<i64> {
        self.memory.ask(&key, question).await.unwrap().map(|said| said.as_of)
    }
}

#[tokio::test]
async fn as_many_are_remembered_as_there_is_room_for() {
    let stage = Stage::new(20_000);
    for key in 0..10_000 {
        stage.ask(key, 5).await;
    }
    assert_eq!(stage.memory.len(), 10_000);
    assert!((0..10_000).all(|key| stage.recalled(key) == Ok(Some(5))));
    for key in 10_000..100_000 {
        stage.ask(key, 5).await;
    }
    assert!((10_000..=20_000).contains(&stage.memory.len()), "{}", stage.memory.len());
}

#[tokio::test]
async fn what_a_change_makes_untrue_is_used_once_and_not_remembered() {
    let stage = Stage::new(10);
    assert_eq!(stage.ask(1, 5).await, Some(5));
    stage.change(6);
    assert_eq!(stage.recalled(1), Err(()));
    assert_eq!(stage.ask(1, 5).await, Some(5), "the call was there before the question");
    assert_eq!(stage.recalled(1), Err(()));
    assert_eq!(stage.ask(1, 6).await, Some(6));
    assert_eq!(stage.recalled(1), Ok(Some(6)));
}

#[tokio::test]
async fn without_a_lease_each_asks_for_itself() {
    let stage = Stage::new(10);
    stage.ask(1, 5).await;
    stage.time.advance(Duration::from_secs(95));
    assert_eq!(stage.recalled(1), Err(()), "the lease has run out");
    assert_eq!(stage.ask(1, 5).await, Some(5));
    assert_eq!((stage.recalled(1), stage.memory.counts().unleased()), (Err(()), 1));
    stage.lease();
    assert_eq!(stage.recalled(1), Err(()), "nothing was remembered meanwhile, and the rest is too old");
}

#[tokio::test]
async fn of_those_who_ask_at_the_same_time_one_does() {
    let stage = Stage::new(10);
    let asked = Cell::new(0);
    let question = || async {
        asked.set(asked.get() + 1);
        tokio::task::yield_now().await;
        Ok(Some(Said { as_of: 5, until: Duration::from_secs(60) }))
    };
    let answers = join!(stage.asked(1, question()), stage.asked(1, question()), stage.asked(1, question()));
    assert_eq!((answers, asked.get()), ((Some(5), Some(5), Some(5)), 1));
}

#[tokio::test]
async fn who_waits_does_not_take_an_answer_of_before_a_change() {
    let stage = Stage::new(10);
    let (answer, told) = oneshot::channel();
    let first = stage.asked(1, async { Ok(Some(told.await.unwrap())) });
    let second = stage.ask(1, 6);
    let between = async {
        // Both have begun by now, and the first has asked: the change comes before its answer does.
        stage.change(6);
        answer.send(Said { as_of: 5, until: Duration::from_secs(60) }).unwrap();
    };
    let (first, second, ()) = join!(first, second, between);
    assert_eq!((first, second), (Some(5), Some(6)));
    assert_eq!(stage.recalled(1), Ok(Some(6)));
}

#[tokio::test]
async fn a_refusal_is_remembered_for_a_moment_and_until_the_next_change() {
    let stage = Stage::new(10);
    let refused = async || stage.asked(1, async { Ok(None) }).await;
    assert_eq!(refused().await, None);
    assert_eq!(stage.recalled(1), Ok(None));
    stage.change(6);
    assert_eq!(stage.recalled(1), Err(()));
    refused().await;
    assert_eq!(stage.recalled(1), Ok(None));
    stage.time.advance(REFUSAL);
    assert_eq!(stage.recalled(1), Err(()));
    for key in 0..100_000 {
        stage.asked(key, async { Ok(None) }).await;
    }
    assert!(stage.memory.is_empty(), "refusals take no room from what is known");
}

#[tokio::test]
async fn what_is_aging_is_renewed_by_one() {
    let stage = Stage::new(10);
    stage.ask(1, 5).await;
    stage.time.advance(Duration::from_secs(40));
    let aging = || matches!(stage.memory.recall(&1), Recalled::Known { aging: true, .. });
    assert!(aging());
    assert!(!aging(), "the one who was told so first does it");
    stage.memory.renew(&1, async { Err(()) }).await.unwrap_err();
    assert!(aging(), "it failed: the next one tries");
    let until = stage.lease.now() + Duration::from_secs(90);
    stage.memory.renew(&1, async { Ok::<_, ()>(Some(Said { as_of: 5, until })) }).await.unwrap();
    assert!(!aging());
    stage.memory.renew(&1, async { Ok::<_, ()>(None) }).await.unwrap();
    assert_eq!(stage.recalled(1), Err(()));
}
