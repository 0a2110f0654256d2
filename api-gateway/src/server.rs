use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use lifecycle::Lifecycle;
use proto::{Failure, catalog};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;

use crate::answer::Answer;
use crate::authority::Authority;
use crate::call::Calls;
use crate::http_request::Limits;
use crate::upstream::Upstreams;
use crate::{Config, ConfigError, readiness};

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(15);
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
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
    address: SocketAddr,
    router: Router,
    connections: Arc<Semaphore>,
    lifecycle: Lifecycle,
}

#[derive(Clone)]
struct Shared {
    calls: Calls,
    lifecycle: Lifecycle,
}

impl Gateway {
    /// Begins to listen. The services need not be there yet.
    ///
    /// # Errors
    /// Where the configuration cannot be used, or the address not be listened on.
    pub async fn bind(config: Config, lifecycle: Lifecycle) -> Result<Self, RunError> {
        config.validate()?;
        let service_key = config.service_key()?;
        let endpoints = config.endpoints()?;
        let authority = endpoints.get(AUTHORITY).ok_or_else(|| ConfigError::MissingUpstream(AUTHORITY.to_owned()))?;
        let timeout = config.introspection_timeout.unsigned_abs();
        let calls = Calls {
            catalog: catalog(),
            authority: Authority::new(authority.connect_lazy(), &service_key, timeout),
            upstreams: Upstreams::new(
                endpoints.iter().map(|(name, endpoint)| (*name, endpoint.connect_lazy())).collect(),
            ),
            limits: Limits {
                body_time: config.body_timeout.unsigned_abs(),
                body: config.max_body_bytes,
                parameter: config.max_parameter_bytes,
            },
            room: Arc::new(Semaphore::new(config.max_calls)),
        };
        let listen = |source| RunError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let router = router(Shared { calls, lifecycle: lifecycle.clone() });
        let connections = Arc::new(Semaphore::new(config.max_connections));
        Ok(Self { listener, address, router, connections, lifecycle })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the drain begins, and then until every accepted call is answered.
    ///
    /// # Errors
    /// None so far.
    pub async fn serve(self) -> Result<(), RunError> {
        tracing::info!(address = %self.address, "api-gateway is listening");
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = self.lifecycle.draining() => break,
                accepted = accept(&self.listener, &self.connections) => accepted,
            };
            self.connection(accepted, &graceful);
        }
        drop(self.listener);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = self.lifecycle.aborted() => {}
        }
        Ok(())
    }

    fn connection(&self, (stream, permit): (TcpStream, OwnedSemaphorePermit), graceful: &GracefulShutdown) {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD_BYTES);
        server.http2().timer(TokioTimer::new()).max_header_list_size(16 * 1024).keep_alive_interval(Some(HEAD));
        let service = TowerToHyperService::new(self.router.clone());
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        drop(self.lifecycle.spawn("api-gateway.connection", async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        }));
    }
}

/// The audience that is the authority as well.
const AUTHORITY: &str = "token-service";

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

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .fallback(call)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(shared)
}

async fn healthy() -> Response {
    Answer::json(StatusCode::OK, 0, "{\"alive\":true}".to_owned()).into_response("")
}

async fn ready(State(shared): State<Shared>) -> Response {
    let Calls { authority, upstreams, .. } = &shared.calls;
    readiness::answer(authority, upstreams, shared.lifecycle.is_draining()).await.into_response("")
}

async fn call(State(shared): State<Shared>, request: Request) -> Response {
    shared.calls.answer(request).await
}

/// What a caller gets for a fault of ours. The panic's own text goes to the log by the panic hook.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a call panicked");
    Answer::failure(&Failure::internal("a call panicked"), false).into_response("")
}
