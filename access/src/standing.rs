//! What a stream stands on: the grant that it was begun under. A call is let in once; a stream is, with each of its answers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use jiff::Timestamp;
use lifecycle::Clock;
use proto::{ErrorKind, Failure};

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
    /// Nothing when it is over: what the handler holds for its stream is free then.
    answers: Option<BoxStream<'static, Result<T, Failure>>>,
    standing: Standing,
    lost: BoxFuture<'static, Failure>,
}

impl<T> Standings<T> {
    pub(crate) fn new(answers: BoxStream<'static, Result<T, Failure>>, standing: Standing) -> Self {
        Self { answers: Some(answers), lost: standing.clone().lost().boxed(), standing }
    }

    fn end(&mut self, failure: Failure) -> Poll<Option<Result<T, Failure>>> {
        self.answers = None;
        Poll::Ready(Some(Err(failure)))
    }
}

impl<T> Stream for Standings<T> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(answers) = &mut this.answers else { return Poll::Ready(None) };
        if let Poll::Ready(failure) = this.lost.poll_unpin(context) {
            return this.end(failure);
        }
        match ready!(answers.poll_next_unpin(context)) {
            // Asked after the answer was made: nothing that happens after a change was applied is told.
            Some(Ok(answer)) => match this.standing.allow() {
                Ok(()) => Poll::Ready(Some(Ok(answer))),
                Err(failure) => this.end(failure),
            },
            ended => {
                this.answers = None;
                Poll::Ready(ended)
            }
        }
    }
}
