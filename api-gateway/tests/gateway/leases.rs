//! Leases from the authority of the tests: every holder has one that outlasts its test, and is told of each change.

use std::time::Duration;

use access::lease::wire::to_holder;
use access::lease::{Change, ToAuthority, ToHolder};
use access::{CredentialId, GrantedKind, HandleStream, Revision, ServicePermit};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use proto::Failure;
use proto::token::v1::rpc::Watch;
use proto::token::v1::{WatchRequest, WatchResponse};
use tokio::sync::watch;
use tonic::Streaming;

use crate::authority::{ALICE, Authority};
use crate::stage::{STOP, Stage};

const LEASE: Duration = Duration::from_secs(600);

/// A holder's stream.
struct Stream {
    authority: Authority,
    requests: Streaming<WatchRequest>,
    newest: watch::Receiver<Revision>,
}

impl Stream {
    async fn next(&mut self) -> Option<ToHolder> {
        loop {
            let told = *self.newest.borrow();
            tokio::select! {
                biased;
                changed = self.newest.changed() => {
                    changed.ok()?;
                    let newest = *self.newest.borrow();
                    // Of the one token that there is.
                    let credential = Some(CredentialId { kind: GrantedKind::Token, number: 1 });
                    let change = |revision| Change { revision: Revision(revision), account: ALICE, credential };
                    return Some(ToHolder::Changes((told.0 + 1..=newest.0).map(change).collect()));
                }
                message = self.requests.message() => match ToAuthority::try_from(message.ok()??).ok()? {
                    ToAuthority::Ask { number } => {
                        return Some(ToHolder::Lease { number, duration: LEASE, revision: told });
                    }
                    ToAuthority::Acknowledge { revision } => drop(self.authority.0.acknowledged.send_replace(revision)),
                    ToAuthority::Release => return None,
                },
            }
        }
    }
}

impl HandleStream<Watch> for Authority {
    async fn handle_stream(
        &self,
        _: &ServicePermit,
        mut requests: Streaming<WatchRequest>,
    ) -> Result<BoxStream<'static, Result<WatchResponse, Failure>>, Failure> {
        requests.message().await.unwrap().expect("a holder says who it is");
        let newest = self.0.newest.subscribe();
        let begin = ToHolder::Begin { after: *newest.borrow(), remember_for: LEASE };
        let stream = Stream { authority: self.clone(), requests, newest };
        let next = stream::unfold(stream, async |mut stream| Some((stream.next().await?, stream)));
        let messages = stream::iter([begin]).chain(next);
        Ok(messages.map(|message| Ok(to_holder(message, LEASE))).boxed())
    }
}

impl Authority {
    /// Revokes a token, and waits until that is confirmed.
    pub(crate) async fn revoke(&self, token: &str) {
        self.forget(token);
        self.changed().await;
    }

    /// Tells that something of a token has changed, and waits until that is confirmed.
    pub(crate) async fn changed(&self) {
        self.0.newest.send_modify(|newest| newest.0 += 1);
        let newest = *self.0.newest.borrow();
        self.0.acknowledged.subscribe().wait_for(|acknowledged| *acknowledged >= newest).await.unwrap();
    }
}

#[tokio::test]
async fn who_comes_after_changes_asks_for_what_is_newer() {
    let authority = Authority::leasing();
    authority.0.newest.send_replace(Revision(7));
    let stage = Stage::leased_by(authority).await;
    let token = stage.stopper();
    stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await.assert_done();
    assert_eq!(stage.authority.oldest(), [7], "older ones it may not remember");
    stage.authority.revoke(&token).await;
    stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await.assert_refused(702, "");
    assert_eq!(stage.authority.oldest(), [7, 7], "it knows what has changed since");
}
