//! The layer in front of a service's handlers: it decides each call by its path, before a byte of the request is read.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use futures::future::Either;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use jiff::Timestamp;
use lifecycle::Clock;
use proto::catalog::{Access, ServiceRole};
use proto::{Catalog, ErrorKind, Failure, Method};
use tls::Peer;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};

use crate::lease::{LeaseHandle, Refusal, Statement};
use crate::permit::{AccountPermit, AdministratorPermit, PublicPermit, ServicePermit, SessionPermit};
use crate::standing::Standing;
use crate::{
    Claims, Denied, GATEWAY_KEY_HEADER, GRANT_HEADER, GrantError, KeyRing, ORIGIN_HEADER, Origin, ServiceKey,
    ServiceKeys, decide, decide_service,
};

/// Base 64 as gRPC has it in binary metadata: with padding or without.
const BINARY_METADATA: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decides each call of the gRPC services that it stands in front of.
#[derive(Clone, Debug)]
pub struct AccessLayer {
    catalog: &'static Catalog,
    audience: &'static str,
    keys: KeyRing,
    service_keys: ServiceKeys,
    lease: Option<LeaseHandle>,
    clock: Clock,
}

impl AccessLayer {
    /// A layer for the service called `audience`, which verifies grants by `keys`. Other services can call it only
    /// where it is told of their keys.
    #[must_use]
    pub fn new(audience: &'static str, keys: KeyRing, clock: Clock) -> Self {
        let (catalog, service_keys) = (proto::catalog(), ServiceKeys::default());
        Self { catalog, audience, keys, service_keys, lease: None, clock }
    }

    /// Lets these services call what is for services.
    #[must_use]
    pub fn with_service_keys(mut self, keys: ServiceKeys) -> Self {
        self.service_keys = keys;
        self
    }

    /// Executes under a grant only while there is a lease, and not under one that a known change makes untrue. The authority, which
    /// reads each credential anew and looks whether it has changed since its grant, needs none.
    #[must_use]
    pub fn with_lease(mut self, lease: LeaseHandle) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Leaves the permit for the handler in the request's extensions.
    fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Failure> {
        let path = request.uri().path();
        let Some(method) = self.catalog.by_grpc_path(path) else {
            return Err(Failure::new(ErrorKind::UnknownMethod, format!("no method {path}")));
        };
        match method.access() {
            Some(Access::Service { .. }) => {
                let service = self.service(method, request)?;
                decide_service(method, service.role).map_err(|denied| {
                    tracing::warn!(rpc.method = method.name(), service = service.name, "a service key was refused");
                    denied.failure(method)
                })?;
                let origin = self.vouched(request).unwrap_or_else(|| peer(request));
                request.extensions_mut().insert(ServicePermit::new(&service.name, origin));
            }
            Some(Access::Public) => {
                let origin = self.vouched(request).unwrap_or_else(|| peer(request));
                request.extensions_mut().insert(PublicPermit::new(origin));
            }
            access => {
                let arrived = self.arrival();
                let claims = self.claims(method, request.headers())?;
                decide(method, Some(claims.rights())).map_err(|denied| denied.failure(method))?;
                let vouched = self.vouched(request);
                if let Some(origin) = &vouched {
                    claims.confinement.allow_address(origin.address)?;
                }
                if let Some(arrived) = arrived {
                    log_admission(method, &claims, arrived, request.headers());
                }
                if let Some(lease) = self.lease.as_ref().filter(|_| method.is_streaming()) {
                    let standing = Standing::new(&claims, lease.clone(), self.clock.clone());
                    request.extensions_mut().insert(standing);
                }
                let origin = vouched.unwrap_or_else(|| peer(request));
                match access {
                    Some(Access::Session | Access::SessionWithPassword) => {
                        request.extensions_mut().insert(SessionPermit::new(claims, origin));
                    }
                    Some(Access::Administrator | Access::AdministratorWithPassword) => {
                        request.extensions_mut().insert(AdministratorPermit::new(claims, origin));
                    }
                    _ => {
                        request.extensions_mut().insert(AccountPermit::new(claims, origin));
                    }
                }
            }
        }
        Ok(())
    }

    /// When a call came, where admissions are logged. It is asked before anything is decided, so that a process that is
    /// frozen while it decides does not seem to have admitted a call that came after its end.
    fn arrival(&self) -> Option<Timestamp> {
        tracing::enabled!(tracing::Level::DEBUG).then(|| self.clock.now())
    }

    /// What the call's grant says.
    fn claims(&self, method: &Method, headers: &HeaderMap) -> Result<Claims, Failure> {
        let grant = grant(headers).ok_or(GrantError::Missing);
        let verified = grant.and_then(|grant| self.keys.verify(&grant, self.audience, self.clock.now()));
        let claims = verified.map_err(|error| {
            tracing::debug!(rpc.method = method.name(), error = %error, "a grant was refused");
            Denied::NotAuthenticated.failure(method).because(error)
        })?;
        let allowed = self.lease.as_ref().map_or(Ok(()), |lease| lease.allow(&Statement::from(&claims)));
        allowed.map_err(Failure::from)?;
        Ok(claims)
    }

    /// Where the call came in, as a gateway says. Anybody else is not believed, other services neither.
    fn vouched<B>(&self, request: &Request<B>) -> Option<Origin> {
        let headers = request.headers();
        let gateway = headers.get(GATEWAY_KEY_HEADER);
        let key = gateway.map_or_else(|| service_key(headers), |key| key.to_str().ok())?;
        let service = self.service_keys.service(key).ok()?;
        if service.role != ServiceRole::Gateway || !may_be(request, service) {
            return None;
        }
        Origin::from_bytes(&BINARY_METADATA.decode(headers.get(ORIGIN_HEADER)?.as_bytes()).ok()?)
    }

    /// The service whose key the call carries. Behind TLS the certificate has to be the service's own; of a client's key that a gateway
    /// passes on, showing its own beside, the gateway's.
    fn service<B>(&self, method: &Method, request: &Request<B>) -> Result<&ServiceKey, Failure> {
        let key = service_key(request.headers());
        let key = key.ok_or_else(|| Failure::new(ErrorKind::NotAuthenticated, "a service key is needed"))?;
        let service = self.service_keys.service(key).map_err(|error| {
            tracing::warn!(rpc.method = method.name(), "an unknown service key was refused");
            Failure::new(ErrorKind::NotAuthenticated, "the service key is not known").because(error)
        })?;
        // What somebody has shown to a gateway is a client's key, or none: those of services are shown by themselves.
        let passed_on = request.headers().contains_key(GATEWAY_KEY_HEADER);
        let may_be_shown = !passed_on || service.role == ServiceRole::Client;
        if may_be_shown && (may_be(request, service) || self.is_passed_on(request)) {
            return Ok(service);
        }
        tracing::warn!(
            rpc.method = method.name(),
            service = service.name,
            "a service key that another has shown was refused"
        );
        Err(Failure::new(ErrorKind::NotAuthenticated, "the service key is not shown by the service whose it is"))
    }

    /// Whether a gateway's own key stands beside, on a connection of that gateway.
    fn is_passed_on<B>(&self, request: &Request<B>) -> bool {
        let key = request.headers().get(GATEWAY_KEY_HEADER).and_then(|key| key.to_str().ok());
        let gateway = key.and_then(|key| self.service_keys.service(key).ok());
        gateway.is_some_and(|gateway| gateway.role == ServiceRole::Gateway && may_be(request, gateway))
    }
}

/// Neither is the caller's fault: without a lease nobody can say whether the grant is good, and for a stale one there may be a
/// newer.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoLease => Self::unavailable("the token authority", refusal),
            Refusal::Stale => Self::new(ErrorKind::StaleGrant, "the grant is older than a change of its credential"),
        }
    }
}

/// Under whose grant a call was admitted, which the chaos test holds against what was revoked before. The request's id is
/// believed of anybody: it decides nothing.
fn log_admission(method: &Method, claims: &Claims, arrived: Timestamp, headers: &HeaderMap) {
    let origin = headers.get(ORIGIN_HEADER).and_then(|value| BINARY_METADATA.decode(value.as_bytes()).ok());
    let origin = origin.and_then(|bytes| Origin::from_bytes(&bytes));
    tracing::debug!(
        rpc.method = method.name(),
        credential = %claims.credential,
        call.arrived_at = %arrived,
        grant.issued_at = %claims.issued_at,
        request.id = origin.as_ref().map_or("", |origin| &origin.request_id),
        "a call was admitted"
    );
}

fn service_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Whether the other end of the connection may be a service: one that has shown a certificate has to have the service's name in it.
fn may_be<B>(request: &Request<B>, service: &ServiceKey) -> bool {
    request.extensions().get::<Peer>().is_none_or(|peer| peer.may_be(&service.name))
}

/// What is known of a caller that nobody vouches for: the other end of its connection.
fn peer<B>(request: &Request<B>) -> Origin {
    let connection = request.extensions();
    let address = connection.get::<Peer>().and_then(Peer::address);
    let address = address.or_else(|| connection.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr));
    Origin::new(address.map(|address| address.ip()), "", "")
}

/// The one grant of a call, decoded. Two are as good as none: which one would count?
fn grant(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all(GRANT_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    BINARY_METADATA.decode(value.as_bytes()).ok()
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> AccessService<S> {
        AccessService { layer: self.clone(), inner }
    }
}

/// A gRPC service behind the [`AccessLayer`].
#[derive(Clone, Debug)]
pub struct AccessService<S> {
    layer: AccessLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for AccessService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.layer.admit(&mut request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(failure) => Either::Right(ready(Ok(Status::from(failure).into_http()))),
        }
    }
}
