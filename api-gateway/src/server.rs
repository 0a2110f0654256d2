mod connections;
mod ending;
mod exchange;
mod head;
mod keeping;
mod socket;
mod timely;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::lease::{LeaseHandle, LeaseKeeper};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::StatusCode;
use lifecycle::{Clock, Lifecycle};
use opentelemetry::metrics::Meter;
use proto::catalog;
use tls::Certificates;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::answer::Answer;
use crate::authority::Authority;
use crate::bodies::Bodies;
use crate::call::Calls;
use crate::call_metrics::CallMetrics;
use crate::client_address::TrustedProxies;
use crate::credential_use::Uses;
use crate::http_request::Limits;
use crate::introspection::Introspections;
use crate::load::Load;
use crate::page::Page;
use crate::rates::Rates;
use crate::readiness::Readiness;
use crate::refusals::Refusals;
use crate::standards::{ClientAuthority, Endpoint, METADATA_PATH, Standards};
use crate::stream::Streaming;
use crate::upstream::{self, Upstreams};
use crate::{Config, ConfigError, dashboard, openapi};
use connections::Connections;

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
    connections: Connections,
    upstream_certificates: Option<Certificates>,
    address: SocketAddr,
    /// How long connections are taken after it was told to end.
    drain_delay: Duration,
    uses: Uses,
    load: Load,
    authority: Authority,
    keeper: LeaseKeeper,
    released: CancellationToken,
    lifecycle: Lifecycle,
}

struct Shared {
    calls: Calls,
    standards: Standards,
    readiness: Readiness,
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
        let (services, streams) = upstream::services(&config, upstream_certificates.as_ref())?;
        let missing = || ConfigError::MissingUpstream(AUTHORITY.to_owned());
        let replicas = services.get(AUTHORITY).cloned().ok_or_else(missing)?;
        let authority = Authority::new(replicas.clone(), &service_key, config.introspection_timeout.unsigned_abs());
        let lease = LeaseHandle::new(Clock::system());
        let remembered = (config.remembered_credentials, config.remembered_bytes);
        lease.show(meter);
        let introspections = Introspections::new(authority.clone(), lease.clone(), remembered, lifecycle.clone());
        let upstreams = Upstreams::new((services, streams), AUTHORITY, &service_key);
        let calls = calls(&config, introspections, upstreams, meter, &lifecycle);
        let (listener, address) = listen(config.listen).await?;
        calls.introspections.show(meter);
        calls.refusals.show(meter);
        let load = calls.load.clone();
        let (uses, timeout) = (calls.uses.clone(), config.introspection_timeout.unsigned_abs());
        let standards = Standards {
            calls: calls.clone(),
            authority: ClientAuthority::new(replicas.clone(), &service_key, timeout),
            issuer: config.issuer(address)?.into(),
        };
        let readiness = Readiness::new(authority.clone(), calls.upstreams.clone());
        let shared = Arc::new(Shared { calls, standards, readiness, lifecycle: lifecycle.clone() });
        let router = router(Arc::clone(&shared));
        let connections = Connections::new((shared, router), certificates, &config, meter, lifecycle.clone());
        let released = CancellationToken::new();
        let keeper = LeaseKeeper::new(lease, replicas, service_key.bearer(), address.to_string(), released.clone());
        Ok(Self {
            listener,
            connections,
            upstream_certificates,
            address,
            drain_delay: config.drain_delay.unsigned_abs(),
            uses,
            load,
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
        let connections = self.connections;
        for certificates in [connections.certificates(), self.upstream_certificates.as_ref()].into_iter().flatten() {
            let followed = certificates.clone().follow(self.lifecycle.clone());
            self.lifecycle.spawn("api-gateway.certificates", followed);
        }
        let tls = connections.certificates().is_some();
        tracing::info!(address = %self.address, tls, "api-gateway is listening");
        let reports = self.uses.clone().report(self.authority.clone(), self.lifecycle.clone());
        let reports = self.lifecycle.spawn("api-gateway.uses", reports);
        let kept = self.lifecycle.spawn("api-gateway.lease", self.keeper.keep());
        self.lifecycle.spawn("api-gateway.load", self.load.watch(self.lifecycle.clone()));
        let last_call = async {
            self.lifecycle.draining().await;
            tokio::select! {
                () = tokio::time::sleep(self.drain_delay) => {}
                () = self.lifecycle.aborted() => {}
            }
        };
        tokio::pin!(last_call);
        loop {
            let accepted = tokio::select! {
                () = &mut last_call => break,
                accepted = connections.next(&self.listener) => accepted,
            };
            connections.serve(accepted);
        }
        drop(self.listener);
        connections.close();
        tokio::select! {
            () = connections.none_left() => {}
            () = self.lifecycle.aborted() => {}
        }
        // Every call is answered: what they were is told before the end, and nobody need wait for this gateway any more.
        self.released.cancel();
        self.uses.end();
        drop((reports.await, kept.await));
        Ok(())
    }
}

/// All that a call is answered by, as the configuration says.
fn calls(
    config: &Config,
    introspections: Introspections,
    upstreams: Upstreams,
    meter: &Meter,
    lifecycle: &Lifecycle,
) -> Calls {
    Calls {
        catalog: catalog(),
        introspections,
        upstreams,
        uses: Uses::new(Clock::system()),
        proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        limits: limits(config),
        page: Page::new(config.public_url.as_ref().and_then(|url| url.parse().ok())),
        bodies: Bodies::new(config.max_calls),
        room: Arc::new(Semaphore::new(config.max_calls)),
        load: Load::new(catalog(), config.max_waiting_calls, config.max_calls, &Clock::system()),
        rates: Arc::new(Rates::new(&config.rate_limits, &Clock::system())),
        refusals: Refusals::new(Clock::system()),
        patience: config.call_timeout.unsigned_abs(),
        streaming: Streaming {
            room: Arc::new(Semaphore::new(config.max_streams)),
            keep_alive: config.stream_keep_alive.unsigned_abs(),
            lifecycle: lifecycle.clone(),
        },
        metrics: CallMetrics::new(meter),
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

/// The audience that is the authority as well.
pub(crate) const AUTHORITY: &str = "token-service";

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
    let answer = shared.readiness.answer(shared.lifecycle.is_draining()).await;
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
