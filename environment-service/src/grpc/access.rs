//! The authority's public keys, by which grants are verified: fetched before the first call, renewed from time to time and
//! whenever a grant names one that is not known.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::access::{Credential, GRANT_HEADER, KeyError, KeyRing, Replicas, VerifyingKey};
use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use http::{HeaderMap, HeaderName, Request, Response};
use lifecycle::{Clock, Lifecycle};
use prost::Message;
use proto::Failure;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::{GetPublicKeysRequest, SignedGrant};
use tokio::sync::{Mutex, watch};
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tower::{Layer, Service};

/// How long the authority may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often unknown keys may be asked for: what anybody who reaches this service can make it ask the authority.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How often the keys are renewed in any case, so that one that is to come is known, and one that is withdrawn is forgotten: the authority
/// tells a new one for three times as long before it signs.
const RENEWAL: Duration = Duration::from_secs(5);
/// The first wait before an authority that is not there is asked again; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The authority's keys, kept fresh.
#[derive(Clone)]
pub(crate) struct AuthorityKeys(Arc<Shared>);

struct Shared {
    ring: KeyRing,
    known: watch::Sender<HashSet<String>>,
    authority: Replicas,
    service_key: AsciiMetadataValue,
    clock: Clock,
    /// When the keys were last asked for, and whether they were told.
    last: Mutex<Option<(Duration, bool)>>,
}

/// Why the authority's keys are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the authority does not tell its keys")]
    Authority(#[source] Box<Status>),
    #[error("the authority tells a key that is none")]
    Key(#[source] KeyError),
    #[error("the authority tells no key")]
    None,
}

impl AuthorityKeys {
    /// The keys of the authority there, which knows this service by its key. They go into the ring.
    pub(crate) fn new(authority: Replicas, service_key: &Credential, ring: KeyRing, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            ring,
            known: watch::Sender::new(HashSet::new()),
            authority,
            service_key: service_key.bearer(),
            clock,
            last: Mutex::new(None),
        }))
    }

    /// Resolves when there are keys.
    pub(crate) async fn ready(&self) {
        // The sender lives as long as this does, so the wait ends with keys only.
        drop(self.0.known.subscribe().wait_for(|known| !known.is_empty()).await);
    }

    /// Fetches the keys as soon as the authority is there, and then from time to time.
    pub(crate) async fn renew(self, lifecycle: Lifecycle) {
        let mut wait = FIRST_WAIT;
        loop {
            let pause = match self.fetch().await {
                Ok(()) => {
                    wait = FIRST_WAIT;
                    RENEWAL
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "the authority's keys were not fetched");
                    let pause = wait;
                    wait = LONGEST_WAIT.min(wait * 2);
                    pause
                }
            };
            tokio::select! {
                () = lifecycle.draining() => return,
                () = tokio::time::sleep(pause) => (),
            }
        }
    }

    /// Fetches the keys.
    pub(crate) async fn fetch(&self) -> Result<(), FetchError> {
        let ask = |channel| {
            let mut request = tonic::Request::new(GetPublicKeysRequest {});
            request.metadata_mut().insert("authorization", self.0.service_key.clone());
            request.set_timeout(PATIENCE);
            async move { IntrospectionClient::new(channel).get_public_keys(request).await }
        };
        let answer = self.0.authority.ask(ask).await;
        let keys = answer.map_err(|status| FetchError::Authority(Box::new(status)))?.into_inner().keys;
        let keys: Vec<VerifyingKey> =
            keys.into_iter().map(VerifyingKey::try_from).collect::<Result<_, _>>().map_err(FetchError::Key)?;
        if keys.is_empty() {
            return Err(FetchError::None);
        }
        let known = keys.iter().map(|key| key.key_id().to_owned()).collect();
        self.0.ring.replace(keys);
        self.0.known.send_replace(known);
        Ok(())
    }

    /// Whether the key that a call's grant names is known. A call without a readable grant names none, and is refused
    /// for that.
    fn knows(&self, named: Option<&str>) -> bool {
        let known = self.0.known.borrow();
        !known.is_empty() && named.is_none_or(|key| known.contains(key))
    }

    /// Asks for the keys because of a grant, unless that was done just now. An authority that cannot be asked is an outage:
    /// then nobody can say that the grant is wrong.
    async fn learn(&self, named: Option<String>) -> Result<(), Failure> {
        let mut last = self.0.last.lock().await;
        if self.knows(named.as_deref()) {
            return Ok(());
        }
        let now = self.0.clock.monotonic();
        let told = match *last {
            Some((then, told)) if now.saturating_sub(then) < AT_MOST_EVERY => told,
            _ => {
                let first = self.0.known.borrow().is_empty();
                let fetched = self.fetch().await;
                if let Err(error) = &fetched {
                    tracing::warn!(%error, "the authority's keys were not fetched");
                }
                // The very first keys may lack one that is made right after them.
                *last = if first && fetched.is_ok() { None } else { Some((now, fetched.is_ok())) };
                fetched.is_ok()
            }
        };
        if told { Ok(()) } else { Err(Failure::unavailable("the token authority", "its keys are not known")) }
    }
}

/// The key that a call's grant names.
fn key_id(headers: &HeaderMap) -> Option<String> {
    let one = HeaderMap::from_iter([(HeaderName::from_static(GRANT_HEADER), headers.get(GRANT_HEADER)?.clone())]);
    let grant = MetadataMap::from_headers(one).get_bin(GRANT_HEADER)?.to_bytes().ok()?;
    SignedGrant::decode(grant).ok().map(|grant| grant.key_id)
}

impl<S> Layer<S> for AuthorityKeys {
    type Service = WithKeys<S>;

    fn layer(&self, inner: S) -> WithKeys<S> {
        WithKeys { keys: self.clone(), inner }
    }
}

/// A gRPC service whose calls wait for the key that their grant names.
#[derive(Clone)]
pub(crate) struct WithKeys<S> {
    keys: AuthorityKeys,
    inner: S,
}

impl<S> Service<Request<Body>> for WithKeys<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send> + Clone + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let named = key_id(request.headers());
        if self.keys.knows(named.as_deref()) {
            return Either::Left(self.inner.call(request));
        }
        // The clone takes the place of the service that has been found ready, which goes on with the call.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let keys = self.keys.clone();
        let learnt = async move {
            match keys.learn(named).await {
                Ok(()) => ready.call(request).await,
                Err(failure) => Ok(Status::from(failure).into_http()),
            }
        };
        Either::Right(learnt.boxed())
    }
}
