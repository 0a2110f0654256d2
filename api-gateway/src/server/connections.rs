//! Those who connect: how many, for how long, and by what each is served.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use lifecycle::Lifecycle;
use opentelemetry::metrics::Meter;
use tls::{Certificates, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Shared;
use super::exchange::Exchange;
use super::head::MAX_HEAD_BYTES;
use super::keeping::{Cut, Cuts, Patience, keep};
use super::socket::Socket;
use super::timely::Timely;
use crate::Config;
use crate::addresses::{Addresses, Place};
use crate::call::Peer;
use crate::http_request::MAX_FIELDS;
use crate::rates::Network;

/// How many streams that their client has reset may wait to be accepted before a connection is ended.
const MAX_PENDING_RESETS: usize = 20;
/// How many streams of a connection may be reset for what their client does wrong.
const MAX_FAULTY_STREAMS: usize = 100;
/// How long to wait after a connection could not be accepted: most often there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What each connection is held to.
struct Bounds {
    /// How many there may be.
    all: usize,
    addresses: Addresses,
    /// Of HTTP/2: how many calls at once.
    calls: u32,
    patience: Patience,
    cuts: Cuts,
}

impl Bounds {
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
            cuts,
        }
    }
}

/// How connections are served.
pub(super) struct Connections {
    shared: Arc<Shared>,
    router: Router,
    certificates: Option<Certificates>,
    room: Arc<Semaphore>,
    bounds: Bounds,
    lifecycle: Lifecycle,
    /// All of them are to end.
    closing: CancellationToken,
}

impl Connections {
    /// Calls go to what is shared, all else to the router.
    pub(super) fn new(
        (shared, router): (Arc<Shared>, Router),
        certificates: Option<Certificates>,
        config: &Config,
        meter: &Meter,
        lifecycle: Lifecycle,
    ) -> Self {
        let room = Arc::new(Semaphore::new(config.max_connections));
        let bounds = Bounds::new(config, meter);
        Self { shared, router, certificates, room, bounds, lifecycle, closing: CancellationToken::new() }
    }

    /// What is shown to those who connect.
    pub(super) fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Tells each to end after the call that it is at.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// The next one, as soon as there is room for it.
    pub(super) async fn next(&self, listener: &TcpListener) -> (TcpStream, OwnedSemaphorePermit) {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed");
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

    /// Resolves when there is none any more.
    pub(super) async fn none_left(&self) {
        let all = u32::try_from(self.bounds.all).unwrap_or(u32::MAX);
        drop(self.room.acquire_many(all).await);
    }

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

    /// Serves a connection as long as it lasts.
    pub(super) fn serve(&self, (stream, permit): (TcpStream, OwnedSemaphorePermit)) {
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
