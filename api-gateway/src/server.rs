mod addresses;
mod ending;
mod exchange;
mod head;
mod keeping;
mod socket;
mod timely;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::lease::{LeaseHandle, LeaseKeeper};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use lifecycle::{Clock, Lifecycle};
use opentelemetry::metrics::Meter;
use proto::catalog;
use tls::{Certificates, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::answer::Answer;
use crate::authority::Authority;
use crate::call::{Calls, Peer};
use crate::call_metrics::CallMetrics;
use crate::client_address::TrustedProxies;
use crate::credential_use::Uses;
use crate::http_request::{Limits, MAX_FIELDS};
use crate::introspection::Introspections;
use crate::load::Load;
use crate::page::Page;
use crate::rates::{Network, Rates};
use crate::refusals::Refusals;
use crate::standards::{ClientAuthority, Endpoint, METADATA_PATH, Standards};
use crate::stream::Streaming;
use crate::upstream::{self, Upstreams};
use crate::{Config, ConfigError, dashboard, openapi, readiness};
use addresses::{Addresses, Place};
use exchange::Exchange;
use keeping::{Cut, Cuts, Patience, keep};
use socket::Socket;
use timely::Timely;

/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How many streams that their client has reset may wait to be accepted before a connection is ended.
const MAX_PENDING_RESETS: usize = 20;
/// How many streams of a connection may be reset for what their client does wrong.
const MAX_FAULTY_STREAMS: usize = 100;
/// How long to wait after a connection could not be accepted: most often there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        source: std::io::Error,
    },
}

/// The api-gateway, listening.
pub struct Gateway {
    listener: TcpListener,
    certificates: Option<Certificates>,
    upstream_certificates: Option<Certificates>,
    address: SocketAddr,
    shared: Arc<Shared>,
    connections: Arc<Semaphore>,
    bounds: ConnectionBounds,
    uses: Uses,
    authority: Authority,
    keeper: LeaseKeeper,
    released: CancellationToken,
    lifecycle: Lifecycle,
}

/// What each connection is held to.
struct ConnectionBounds {
    /// How many there may be.
    all: usize,
    addresses: Addresses,
    /// Of HTTP/2: how many calls at once.
    calls: u32,
    patience: Patience,
    /// How long they are taken after the gateway was told to end.
    drain_delay: Duration,
    cuts: Cuts,
}

impl ConnectionBounds {
    fn new(config: &Config, meter: &Meter) -> Self {
        let cuts = Cuts::default();
        cuts.show(meter);
        Self {
            all: config.max_connections,
            addresses: Addresses::new(config.max_connections_per_address),
            calls: config.max_calls_per_connection,
            patience: Patience {
                head: config.head_timeout.unsigned_abs(),
                idle: config.idle_timeout.unsigned_abs(),
                answer: config.answer_timeout.unsigned_abs(),
            },
            drain_delay: config.drain_delay.unsigned_abs(),
            cuts,
        }
    }
}

struct Shared {
    calls: Calls,
    standards: Standards,
    authority: Authority,
    lifecycle: Lifecycle,
}

impl Gateway {
    /// Begins to listen. The services need not be there yet.
    ///
    /// # Errors
    /// Where the configuration cannot be used, or the address not be listened on.
    pub async fn bind(config: Config, lifecycle: Lifecycle) -> Result<Self, RunError> {
        Self::bind_with(config, &telemetry::meter("api-gateway"), lifecycle).await
    }

    /// The same, with another meter than the process's.
    ///
    /// # Errors
    /// Where the configuration cannot be used, or the address not be listened on.
    pub async fn bind_with(config: Config, meter: &Meter, lifecycle: Lifecycle) -> Result<Self, RunError> {
        config.validate()?;
        let service_key = config.service_key()?;
        let (certificates, upstream_certificates) = (config.certificates()?, config.upstream_certificates()?);
        let (services, streams) = upstream::services(&config, upstream_certificates.clone())?;
        let missing = || ConfigError::MissingUpstream(AUTHORITY.to_owned());
        let replicas = services.get(AUTHORITY).cloned().ok_or_else(missing)?;
        let authority = Authority::new(replicas.clone(), &service_key, config.introspection_timeout.unsigned_abs());
        let lease = LeaseHandle::new(Clock::system());
        let remembered = (config.remembered_credentials, config.remembered_bytes);
        lease.show(meter);
        let calls = Calls {
            catalog: catalog(),
            introspections: Introspections::new(authority.clone(), lease.clone(), remembered, lifecycle.clone()),
            upstreams: Upstreams::new((services, streams), AUTHORITY, &service_key),
            uses: Uses::new(Clock::system()),
            proxies: TrustedProxies::new(config.trusted_proxies.clone()),
            limits: limits(&config),
            page: Page::new(config.public_url.as_ref().and_then(|url| url.parse().ok())),
            room: Arc::new(Semaphore::new(config.max_calls)),
            load: Load::new(catalog(), config.max_waiting_calls, config.max_calls),
            rates: Arc::new(Rates::new(&config.rate_limits, &Clock::system())),
            refusals: Refusals::new(Clock::system()),
            patience: config.call_timeout.unsigned_abs(),
            streaming: Streaming {
                room: Arc::new(Semaphore::new(config.max_streams)),
                keep_alive: config.stream_keep_alive.unsigned_abs(),
                lifecycle: lifecycle.clone(),
            },
            metrics: CallMetrics::new(meter),
        };
        let (listener, address) = listen(config.listen).await?;
        calls.introspections.show(meter);
        calls.refusals.show(meter);
        let (uses, timeout) = (calls.uses.clone(), config.introspection_timeout.unsigned_abs());
        let standards = Standards {
            calls: calls.clone(),
            authority: ClientAuthority::new(replicas.clone(), &service_key, timeout),
            issuer: config.issuer(address)?.into(),
        };
        let shared = Arc::new(Shared { calls, standards, authority: authority.clone(), lifecycle: lifecycle.clone() });
        let connections = Arc::new(Semaphore::new(config.max_connections));
        let bounds = ConnectionBounds::new(&config, meter);
        let released = CancellationToken::new();
        let keeper = LeaseKeeper::new(lease, replicas, service_key.bearer(), address.to_string(), released.clone());
        Ok(Self {
            listener,
            certificates,
            upstream_certificates,
            address,
            shared,
            connections,
            bounds,
            uses,
            authority,
            keeper,
            released,
            lifecycle,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the drain begins and its delay is over, and then until every accepted call is answered.
    ///
    /// # Errors
    /// None so far.
    pub async fn serve(self) -> Result<(), RunError> {
        for certificates in [&self.certificates, &self.upstream_certificates].into_iter().flatten() {
            let followed = certificates.clone().follow(self.lifecycle.clone());
            self.lifecycle.spawn("api-gateway.certificates", followed);
        }
        tracing::info!(address = %self.address, tls = self.certificates.is_some(), "api-gateway is listening");
        let reports = self.uses.clone().report(self.authority.clone(), self.lifecycle.clone());
        let reports = self.lifecycle.spawn("api-gateway.uses", reports);
        let kept = self.lifecycle.spawn("api-gateway.lease", self.keeper.keep());
        let router = router(Arc::clone(&self.shared));
        let (shared, certificates) = (self.shared, self.certificates);
        let (bounds, lifecycle) = (self.bounds, self.lifecycle);
        let closing = CancellationToken::new();
        let connections = Connections { shared, router, certificates, bounds, lifecycle, closing };
        let lifecycle = &connections.lifecycle;
        let last_call = async {
            lifecycle.draining().await;
            tokio::select! {
                () = tokio::time::sleep(connections.bounds.drain_delay) => {}
                () = lifecycle.aborted() => {}
            }
        };
        tokio::pin!(last_call);
        loop {
            let accepted = tokio::select! {
                () = &mut last_call => break,
                accepted = accept(&self.listener, &self.connections) => accepted,
            };
            connections.serve(accepted);
        }
        drop(self.listener);
        connections.closing.cancel();
        tokio::select! {
            () = none_left(&self.connections, connections.bounds.all) => {}
            () = lifecycle.aborted() => {}
        }
        // Every call is answered: what they were is told before the end, and nobody need wait for this gateway any more.
        self.released.cancel();
        self.uses.end();
        drop((reports.await, kept.await));
        Ok(())
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        body_time: config.body_timeout.unsigned_abs(),
        body: config.max_body_bytes,
        parameter: config.max_parameter_bytes,
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let failed = |source| RunError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// How connections are served.
struct Connections {
    shared: Arc<Shared>,
    router: Router,
    certificates: Option<Certificates>,
    bounds: ConnectionBounds,
    lifecycle: Lifecycle,
    /// All of them are to end.
    closing: CancellationToken,
}

impl Connections {
    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let head = self.bounds.patience.head;
        let mut server = auto::Builder::new(TokioExecutor::new());
        let mut http1 = server.http1();
        http1.timer(TokioTimer::new()).header_read_timeout(head);
        http1.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_FIELDS);
        let mut http2 = server.http2();
        http2.timer(TokioTimer::new()).keep_alive_interval(Some(head)).keep_alive_timeout(head);
        http2.max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
        http2.max_concurrent_streams(self.bounds.calls);
        http2.max_pending_accept_reset_streams(MAX_PENDING_RESETS);
        http2.max_local_error_reset_streams(MAX_FAULTY_STREAMS);
        server
    }

    /// The place of a connection among those of its address; a proxy that is believed has as many as it likes. An error where there
    /// are too many.
    fn place(&self, peer: Option<Peer>) -> Result<Option<Place>, Cut> {
        let Some(Peer(address)) = peer.filter(|peer| !self.shared.calls.proxies.trusts(peer.0.to_canonical())) else {
            return Ok(None);
        };
        self.bounds.addresses.enter(Network::of(address)).map(Some).ok_or(Cut::Address)
    }

    fn serve(&self, (stream, permit): (TcpStream, OwnedSemaphorePermit)) {
        let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
        let place = match self.place(peer) {
            Ok(place) => place,
            Err(cut) => return self.bounds.cuts.note(cut),
        };
        let exchange = Arc::new(Exchange::default());
        let asks = Arc::clone(&exchange);
        let (shared, router) = (Arc::clone(&self.shared), self.router.clone());
        let lifecycle = self.lifecycle.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let answering = asks.answering();
            let mut request = asks.request(request).map(Body::new);
            peer.map(|peer| request.extensions_mut().insert(peer));
            let (shared, router) = (Arc::clone(&shared), router.clone());
            let (lifecycle, version) = (lifecycle.clone(), request.version());
            async move {
                // What is a call does not go through the router: it would only be looked up twice.
                let mut response = match shared.calls.method(request.uri().path()) {
                    Some(method) => shared.calls.answer(Some(method), request).await,
                    None => router.oneshot(request).await?,
                };
                // Of HTTP/2 a frame says it (RFC 9113, section 8.2.2).
                if version < Version::HTTP_2 && lifecycle.is_draining() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answering.response(response))
            }
        });
        let (patience, cuts) = (self.bounds.patience, self.bounds.cuts.clone());
        let (server, certificates) = (self.builder(), self.certificates.clone());
        let closing = self.closing.clone();
        drop(self.lifecycle.spawn("api-gateway.connection", async move {
            let kept = async {
                let stream = let_in(certificates, stream, patience.head, &closing).await?;
                let socket = Socket::new(stream, Arc::clone(&exchange));
                let socket = TokioIo::new(Timely::new(socket, patience.answer, Arc::clone(&exchange)));
                let connection = server.serve_connection(socket, service).into_owned();
                keep(connection, &exchange, patience, &closing).await.map_err(Some)
            };
            if let Err(Some(cut)) = kept.await {
                cuts.note(cut);
            }
            drop((place, permit));
        }));
    }
}

/// A connection after its handshake, where there is to be one. Who takes too long for that has said nothing yet.
async fn let_in(
    certificates: Option<Certificates>,
    stream: TcpStream,
    patience: Duration,
    closing: &CancellationToken,
) -> Result<Stream, Option<Cut>> {
    let Some(certificates) = certificates else { return Ok(Stream::Plain(stream)) };
    tokio::select! {
        accepted = tls::accept(&certificates, stream, patience) => accepted.map_err(|error| {
            tracing::debug!(%error, "a connection was not let in");
            (error.kind() == ErrorKind::TimedOut).then_some(Cut::Silent)
        }),
        // No call can have come by it.
        () = closing.cancelled() => Err(None),
    }
}

/// Resolves when there is no connection any more.
async fn none_left(connections: &Semaphore, all: usize) {
    let all = u32::try_from(all).unwrap_or(u32::MAX);
    drop(connections.acquire_many(all).await);
}

/// The audience that is the authority as well.
pub(crate) const AUTHORITY: &str = "token-service";

/// The next connection, as soon as there is room for one.
async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(connections).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is one small packet; waiting to fill it would only delay it.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Beside the API: whether the gateway lives and whether it serves, where the verb does not matter, since nothing is changed;
/// and the endpoints that follow standards.
fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", any(healthy).connect(call))
        .route("/readyz", any(ready).connect(call))
        .route(openapi::PATH, any(api_document))
        .route(METADATA_PATH, any(metadata))
        .route(Endpoint::Introspection.path(), any(introspect))
        .route(Endpoint::Revocation.path(), any(revoke))
        .fallback(call)
        .with_state(shared)
}

async fn healthy() -> Response {
    Answer::json(StatusCode::OK, 0, "{\"alive\":true}".to_owned()).into_response(&Uuid::now_v7().to_string())
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let upstreams = &shared.calls.upstreams;
    let answer = readiness::answer(&shared.authority, upstreams, shared.lifecycle.is_draining()).await;
    answer.into_response(&Uuid::now_v7().to_string())
}

async fn api_document(request: Request) -> Response {
    openapi::answer(request.method()).into_response(&Uuid::now_v7().to_string())
}

async fn metadata(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.standards.metadata(&request)
}

async fn introspect(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.standards.answer(Endpoint::Introspection, request).await
}

async fn revoke(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.standards.answer(Endpoint::Revocation, request).await
}

/// What is no method of the API: the dashboard, or nothing that there is.
async fn call(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match dashboard::answer(&request) {
        Some(answer) => answer,
        None => shared.calls.answer(None, request).await,
    }
}
