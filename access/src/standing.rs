//! What a stream stands on: the grant that it was begun under. A call is let in once; a stream is, with each of its answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use lifecycle::Clock;
use proto::{ErrorKind, Failure};
use tokio_util::task::AbortOnDropHandle;

use crate::Claims;
use crate::lease::{LeaseHandle, Statement};

/// Whether what let a call in still does.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    lease: LeaseHandle,
    statement: Statement,
    /// When the grant, or its credential, ends.
    until: Timestamp,
    clock: Clock,
}

impl Standing {
    /// Of a call that was let in under these claims.
    pub(crate) fn new(claims: &Claims, lease: LeaseHandle, clock: Clock) -> Self {
        let until = claims.credential_expires_at.map_or(claims.expires_at, |end| end.min(claims.expires_at));
        Self { lease, statement: Statement::from(claims), until, clock }
    }

    /// Whether one more answer may be given at this moment.
    fn allow(&self) -> Result<(), Failure> {
        self.lease.allow(&self.statement)?;
        if self.clock.now() < self.until { Ok(()) } else { Err(expired()) }
    }

    /// Resolves when none may be any more.
    async fn lost(self) -> Failure {
        let expiry = async {
            // Looked at again, should the clock have been set meanwhile.
            while self.clock.now() < self.until {
                tokio::time::sleep(self.until.duration_since(self.clock.now()).unsigned_abs()).await;
            }
        };
        tokio::select! {
            refusal = self.lease.lost(&self.statement) => refusal.into(),
            () = expiry => expired(),
        }
    }
}

fn expired() -> Failure {
    Failure::new(ErrorKind::StaleGrant, "the grant has expired")
}

/// Answers that are given only while their call would be let in.
pub(crate) struct Standings<T> {
    slot: Arc<Mutex<Slot<T>>>,
    standing: Standing,
    /// Ends them when their call would not be let in any more, although nobody asks for an answer: whoever reads nothing any more
    /// keeps nothing by it.
    _release: AbortOnDropHandle<()>,
}

/// What a handler answers, and what is to be told once it is over. What the handler holds for its stream is free then.
enum Slot<T> {
    Open { answers: BoxStream<'static, Result<T, Failure>>, reader: Option<Waker> },
    Ended(Option<Failure>),
}

impl<T: 'static> Standings<T> {
    pub(crate) fn new(answers: BoxStream<'static, Result<T, Failure>>, standing: Standing) -> Self {
        let slot = Arc::new(Mutex::new(Slot::Open { answers, reader: None }));
        let (held, lost) = (Arc::clone(&slot), standing.clone().lost());
        let release = tokio::spawn(async move {
            let failure = lost.await;
            let mut slot = lock(&held);
            // It may have ended by itself.
            if let Slot::Open { reader, .. } = &mut *slot {
                let reader = reader.take();
                let before = std::mem::replace(&mut *slot, Slot::Ended(Some(failure)));
                drop(slot);
                drop(before);
                reader.inspect(Waker::wake_by_ref);
            }
        });
        Self { slot, standing, _release: AbortOnDropHandle::new(release) }
    }
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: 'static> Stream for Standings<T> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut slot = lock(&self.slot);
        let answer = match &mut *slot {
            Slot::Ended(failure) => return Poll::Ready(failure.take().map(Err)),
            Slot::Open { answers, reader } => {
                *reader = Some(context.waker().clone());
                ready!(answers.poll_next_unpin(context))
            }
        };
        // Asked after the answer was made: nothing that happens after a change was applied is told.
        let answer = answer.map(|answer| answer.and_then(|answer| self.standing.allow().map(|()| answer)));
        let before = match answer {
            Some(Ok(_)) => None,
            _ => Some(std::mem::replace(&mut *slot, Slot::Ended(None))),
        };
        drop(slot);
        // What a handler holds may take its time to be freed.
        drop(before);
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::stream;
    use jiff::SignedDuration;

    use super::*;
    use crate::lease::{Change, ToAuthority, ToHolder};
    use crate::{AccountId, Confinement, CredentialId, GrantedKind, PermissionSet, Revision};

    const LONG: Duration = Duration::from_secs(600);
    const GRANT: Duration = Duration::from_secs(60);

    fn lease(clock: Clock) -> LeaseHandle {
        let lease = LeaseHandle::new(clock);
        lease.change(|holder, now| {
            let stream = holder.connect().stream;
            let begin = ToHolder::Begin { after: Revision(0), remember_for: LONG };
            holder.take(stream, &begin, now).unwrap();
            let ToAuthority::Ask { number } = holder.ask(now) else { panic!("it asks") };
            holder.take(stream, &ToHolder::Lease { number, duration: LONG, revision: Revision(0) }, now).unwrap();
        });
        lease
    }

    fn revoke(lease: &LeaseHandle, claims: &Claims) {
        let change = Change { revision: Revision(1), account: claims.account, credential: Some(claims.credential) };
        lease.change(|holder, now| holder.take(1, &ToHolder::Changes(vec![change]), now)).unwrap();
    }

    fn claims(clock: &Clock, credential_left: Option<Duration>) -> Claims {
        let end = |left: Duration| clock.now() + SignedDuration::try_from(left).unwrap();
        Claims {
            credential: CredentialId { kind: GrantedKind::Token, number: 7 },
            account: AccountId(3),
            administrator: false,
            permissions: PermissionSet::default(),
            confinement: Confinement::NONE,
            audience: "environment-service".to_owned(),
            issued_at: clock.now(),
            expires_at: end(GRANT),
            as_of: Revision(0),
            credential_expires_at: credential_left.map(end),
            superseded: false,
        }
    }

    fn start() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    #[tokio::test]
    async fn an_answer_that_was_made_before_a_change_was_applied_is_not_given_after_it() {
        let (clock, _) = Clock::manual(start());
        let (lease, claims) = (lease(clock.clone()), claims(&clock, None));
        let held = Arc::new(());
        let (inside, during, of) = (Arc::clone(&held), lease.clone(), claims.clone());
        // The change comes between the question for the answer and the answer.
        let answers = stream::iter([1, 2]).map(move |number| {
            let _held = &inside;
            if number == 2 {
                revoke(&during, &of);
            }
            Ok(number)
        });
        let mut kept = Standings::new(answers.boxed(), Standing::new(&claims, lease, clock));
        assert_eq!(kept.next().await.unwrap().unwrap(), 1);
        assert_eq!(kept.next().await.unwrap().unwrap_err().kind(), ErrorKind::StaleGrant);
        assert_eq!(Arc::strong_count(&held), 1, "what the handler holds is free");
        assert!(kept.next().await.is_none());
    }

    #[tokio::test]
    async fn what_a_handler_holds_is_free_although_nobody_reads() {
        let (clock, _) = Clock::manual(start());
        let (lease, claims) = (lease(clock.clone()), claims(&clock, None));
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        let answers = stream::repeat(()).map(move |()| {
            let _held = &held;
            Ok(())
        });
        let mut kept = Standings::new(answers.boxed(), Standing::new(&claims, lease.clone(), clock));
        kept.next().await.unwrap().unwrap();
        revoke(&lease, &claims);
        released.await.unwrap_err();
        assert_eq!(kept.next().await.unwrap().unwrap_err().kind(), ErrorKind::StaleGrant);
        assert!(kept.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_has_nothing_to_tell_ends_too() {
        let (clock, _) = Clock::manual(start());
        let (lease, claims) = (lease(clock.clone()), claims(&clock, None));
        for (end, kind) in [("release", ErrorKind::Unavailable), ("revoke", ErrorKind::StaleGrant)] {
            let lease = if end == "release" { self::lease(clock.clone()) } else { lease.clone() };
            let standing = Standing::new(&claims, lease.clone(), clock.clone());
            let mut kept = Standings::<()>::new(stream::pending().boxed(), standing);
            let (ended, ()) = tokio::join!(kept.next(), async {
                match end {
                    "release" => drop(lease.change(|holder, _| holder.release())),
                    _ => revoke(&lease, &claims),
                }
            });
            assert_eq!(ended.unwrap().unwrap_err().kind(), kind, "{end}");
        }
    }

    #[tokio::test]
    async fn nothing_is_given_beyond_the_grant_or_its_credential() {
        for left in [None, Some(GRANT / 2)] {
            let (clock, hand) = Clock::manual(start());
            let (lease, claims) = (lease(clock.clone()), claims(&clock, left));
            let standing = Standing::new(&claims, lease, clock);
            let mut kept = Standings::new(stream::repeat(()).map(Ok).boxed(), standing);
            hand.advance(left.unwrap_or(GRANT) - Duration::from_millis(1));
            kept.next().await.unwrap().unwrap();
            hand.advance(Duration::from_millis(1));
            let failure = kept.next().await.unwrap().unwrap_err();
            assert_eq!((failure.kind(), failure.message()), (ErrorKind::StaleGrant, "the grant has expired"));
        }
    }
}
