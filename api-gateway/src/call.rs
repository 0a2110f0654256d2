//! The way of a call: from a path to an answer.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use access::{Confinement, Credential, Origin, decide};
use axum::body::HttpBody;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use http::header::{SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Method as Verb};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use proto::catalog::Access;
use proto::{Catalog, ErrorKind, Failure, Method};
use telemetry::SpanResult;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tonic::metadata::BinaryMetadataValue;
use tracing::{Instrument, Span};
use zeroize::Zeroizing;

use crate::answer::{Answer, Form, NoCredential};
use crate::bodies::Bodies;
use crate::call_metrics::CallMetrics;
use crate::client_address::TrustedProxies;
use crate::credential_use::Uses;
use crate::http_request::{self, Limits};
use crate::introspection::Introspections;
use crate::known::Known;
use crate::load::Load;
use crate::page::{self, CookieUse, Page};
use crate::parameters::{self, Parameters};
use crate::rates::Rates;
use crate::refusals::{self, Limit, Refusals};
use crate::request_log::RequestLog;
use crate::stream::Streaming;
use crate::upstream::Upstreams;

/// Carries out calls.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) catalog: &'static Catalog,
    pub(crate) introspections: Introspections,
    pub(crate) upstreams: Upstreams,
    pub(crate) uses: Uses,
    pub(crate) proxies: TrustedProxies,
    pub(crate) limits: Limits,
    pub(crate) page: Page,
    pub(crate) bodies: Bodies,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) load: Load,
    pub(crate) rates: Arc<Rates>,
    pub(crate) refusals: Refusals,
    /// How long a service may take for a call.
    pub(crate) patience: Duration,
    pub(crate) streaming: Streaming,
    pub(crate) metrics: CallMetrics,
}

/// What a request asks for, as it is passed on.
pub(crate) struct Asked {
    pub(crate) credential: Option<Credential>,
    pub(crate) cookie: CookieUse,
    pub(crate) known: Option<Arc<Known>>,
    pub(crate) environments: Vec<String>,
    pub(crate) message: Bytes,
    pub(crate) told: BinaryMetadataValue,
}

/// The other end of the connection that a request came in by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Calls {
    /// The method that a path calls.
    pub(crate) fn method(&self, path: &str) -> Option<&'static Method> {
        self.catalog.by_rest_path(path)
    }

    /// Answers a request that calls a method, or none that there is.
    pub(crate) async fn answer(&self, method: Option<&'static Method>, request: Request) -> Response {
        // A 200 would tell a client of CONNECT that it has a tunnel (RFC 9110, section 9.3.6).
        let connects = request.method() == Verb::CONNECT;
        let form = if connects { Form::Problem } else { Form::accepted(request.headers()) };
        let span = self.span(method, &request);
        let mut log = RequestLog::begin(method.map_or("unknown", Method::name));
        let origin = self.origin(&request, log.id());
        if let Some(method) = method.filter(|method| method.is_streaming()) {
            // Apart, so that no other call carries what a stream needs.
            return Box::pin(self.stream(method, request, (form, log, origin)).instrument(span)).await;
        }
        // Pinned where it is made: it is large, and would be moved from one wrapper to the next.
        let call = pin!(self.call(method, request, &origin).instrument(span.clone()));
        let called = caught(call).await;
        let _within = span.enter();
        let reason = called.as_ref().err().map(|failure| failure.kind().reason());
        let answer = match called {
            Ok(answer) => answer,
            Err(failure) => {
                self.failed(&mut log, &failure);
                let answer = Answer::failure(&failure, form, method);
                if let Some(method) = method { answer.allow(method) } else { answer }
            }
        };
        log.answered(&answer);
        span.http_ended(answer.status, reason);
        self.metrics.answered(method, answer.status, reason, log.elapsed());
        answer.into_response(log.id())
    }

    /// Tells the operator why a call failed.
    pub(crate) fn failed(&self, log: &mut RequestLog, failure: &Failure) {
        match Limit::of(failure) {
            Some(limit) => {
                self.refusals.note(limit);
                log.refused();
            }
            None => log.failed(failure),
        }
    }

    /// The span of a request. It goes on with the trace of a proxy that is believed; of anybody else's nothing is known.
    fn span(&self, method: Option<&'static Method>, request: &Request) -> Span {
        let route = || method.and_then(Method::rest_path).unwrap_or_else(|| "unknown".to_owned());
        let peer = request.extensions().get::<Peer>();
        let is_believed = peer.is_some_and(|peer| self.proxies.trusts(peer.0.to_canonical()));
        telemetry::server_span(request.method(), route, is_believed.then(|| request.headers()))
    }

    /// Where a request came in.
    pub(crate) fn origin(&self, request: &Request, id: &str) -> Origin {
        let peer = request.extensions().get::<Peer>();
        let address = peer.map(|peer| self.proxies.client(peer.0, request.headers()));
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        Origin::new(address, user_agent.unwrap_or_default(), id)
    }

    /// Room for one more call, as long as it takes.
    pub(crate) fn enter(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let room = self.room.try_acquire();
        room.map_err(|_| refusals::busy("the gateway is busy", Limit::Calls))
    }

    /// Reads a request to its end. Nobody knows yet who sends it: until then it takes no place among the calls.
    pub(crate) async fn read(
        &self,
        method: &'static Method,
        request: Request,
        origin: &Origin,
    ) -> Result<(Parts, Parameters), Failure> {
        let (parts, body) = request.into_parts();
        let _coming = if parts.method == Verb::POST && !body.is_end_stream() {
            // What is to be refused anyway is not waited for.
            self.enter().map(drop)?;
            Some(self.bodies.enter(origin.address)?)
        } else {
            None
        };
        let parameters = http_request::parameters(method, &parts, body, self.limits).await?;
        Ok((parts, parameters))
    }

    async fn call(
        &self,
        method: Option<&'static Method>,
        request: Request,
        origin: &Origin,
    ) -> Result<Answer, Failure> {
        let method = method.ok_or_else(|| unknown(request.uri().path()))?;
        http_request::allow_fields(request.headers())?;
        allow_verb(method, request.method())?;
        self.load.look(method)?;

        let plain = method.is_plain_under(request.uri().path());
        let (parts, parameters) = self.read(method, request, origin).await?;
        let _room = self.enter()?;
        let asked = self.asked(method, parts, parameters, origin).await?;
        let Asked { credential, cookie, mut known, environments, message, told } = asked;
        // Not before its client has sent all of it: how long that takes says nothing of the service.
        let load = self.load.enter(method)?;
        for _ in 0..ATTEMPTS {
            let grant = known.as_ref().map(|known| known.grant());
            let called = timeout(self.patience, self.upstreams.call(method, &message, grant, &told)).await;
            match (called.unwrap_or_else(|_| Err(self.too_long(method))), &credential) {
                (Ok((mut answer, took)), _) => {
                    if let Some(load) = load {
                        load.succeeded(took);
                    }
                    let set = match cookie {
                        CookieUse { shown: true, .. } if method.ends_session() => page::forgotten(),
                        // One that came by the cookie goes back by it, wished or not.
                        CookieUse { wanted: true, .. } | CookieUse { shown: true, .. } => {
                            taken_session(method, &mut answer)
                        }
                        CookieUse { wanted: false, shown: false } => None,
                    };
                    let succeeded = Answer::success(method, &answer, plain);
                    return Ok(match set {
                        Some(set) => succeeded.with(SET_COOKIE, set),
                        None => succeeded,
                    });
                }
                // A change of the credential has come in between, and is known to the service already. Nothing was executed: with a
                // new grant everything is looked at again.
                (Err(failure), Some(credential)) if failure.kind() == ErrorKind::StaleGrant => {
                    known = Some(allowed(method, self.introspections.anew(credential, method).await?)?);
                    confinement(&known).allow_address(origin.address)?;
                    confinement(&known).allow_environments(environments.iter().map(String::as_str))?;
                }
                (Err(failure), _) => {
                    if let Some(load) = load {
                        load.failed(&failure);
                    }
                    return Err(failure);
                }
            }
        }
        Err(Failure::unavailable("the token authority", "each new grant was stale at once"))
    }

    fn too_long(&self, method: &Method) -> Failure {
        let (service, seconds) = (method.audience(), self.patience.as_secs());
        let text =
            format!("{service} has not answered within {seconds} s: what the call is to do may be done all the same");
        Failure::new(ErrorKind::Unavailable, text)
    }

    /// Decodes what a request asks for, and looks whether it may.
    pub(crate) async fn asked(
        &self,
        method: &'static Method,
        parts: Parts,
        mut parameters: Parameters,
        origin: &Origin,
    ) -> Result<Asked, Failure> {
        let headers = &parts.headers;
        let wanted = method.session().is_some() && self.page.wants_cookie(&parts);
        let (mut shown, mut cookie) = (None, CookieUse { shown: false, wanted });
        if method.access() != Some(&Access::Public) || method.parameter("session").is_some() {
            shown = http_request::credential(headers, &parameters, self.limits)?;
            if shown.is_none() {
                shown = self.page.session(&parts);
                cookie.shown = shown.is_some();
            }
        }
        let stranger = || self.rates.count_address(origin.address);
        let credential = credential(method, shown.as_deref().map(String::as_str));
        let credential = credential.or_else(|nobody| stranger().and(Err(nobody)))?;
        self.take_shown(method, shown, &mut parameters)?;
        let known = match &credential {
            Some(credential) => {
                let known = self.introspections.of(credential, method, stranger).await?;
                known.as_ref().map_or(Ok(()), |known| self.rates.count_credential(known))?;
                Some(allowed(method, known)?)
            }
            None => {
                stranger()?;
                None
            }
        };
        confinement(&known).allow_address(origin.address)?;
        let message = parameters::request(method, &parameters, self.limits.parameter)?;
        let environments = method.environments(&message);
        confinement(&known).allow_environments(environments.iter().map(String::as_str))?;
        if let Some(known) = &known {
            self.uses.note(known.credential(), origin.address, method.name());
        }

        let message = message.encode_to_vec().into();
        let mut told = BinaryMetadataValue::from_bytes(&origin.to_bytes());
        // No two calls have the same: among what is remembered of a connection's headers it would only drive out grants.
        told.set_sensitive(true);
        Ok(Asked { credential, cookie, known, environments, message, told })
    }

    /// A public method that is told a credential as a parameter, to verify it, takes it from its other places as well.
    fn take_shown(
        &self,
        method: &Method,
        shown: Option<Zeroizing<String>>,
        parameters: &mut Parameters,
    ) -> Result<(), Failure> {
        if method.access() != Some(&Access::Public) || method.parameter("session").is_none() {
            return Ok(());
        }
        match (shown, parameters.credential(self.limits.parameter)?) {
            (Some(value), None) => parameters.add("session", value.as_bytes()),
            _ => Ok(()),
        }
    }
}

/// The credential that a call shows; none for a method that needs none. Who shows none that could be one learns nothing else.
fn credential(method: &Method, shown: Option<&str>) -> Result<Option<Credential>, Failure> {
    if method.access() == Some(&Access::Public) {
        return Ok(None);
    }
    let value = shown.ok_or_else(|| nobody(method).because(NoCredential))?;
    // By its form alone: nobody is asked about what can't be a credential.
    Credential::parse(value).map(Some).map_err(|error| nobody(method).because(error))
}

/// `Set-Cookie` for the session that a method has opened, which is not in the answer any more.
fn taken_session(method: &Method, answer: &mut DynamicMessage) -> Option<HeaderValue> {
    let field = method.session()?;
    let session = Zeroizing::new(answer.get_field(field).as_str()?.to_owned());
    answer.clear_field(field);
    page::kept(&session)
}

/// How often a call is tried whose grant is refused as stale, each time with a new one.
pub(crate) const ATTEMPTS: usize = 3;

/// What a credential that is alive may do, if that includes the method.
pub(crate) fn allowed(method: &Method, known: Option<Arc<Known>>) -> Result<Arc<Known>, Failure> {
    let known = known.ok_or_else(|| nobody(method))?;
    decide(method, Some(known.rights())).map_err(|denied| denied.failure(method))?;
    Ok(known)
}

pub(crate) fn confinement(known: &Option<Arc<Known>>) -> &Confinement {
    known.as_ref().map_or(const { &Confinement::NONE }, |known| known.confinement())
}

/// What is told who shows no credential that is alive.
fn nobody(method: &Method) -> Failure {
    decide(method, None).err().map_or_else(not_authenticated, |denied| denied.failure(method))
}

fn not_authenticated() -> Failure {
    Failure::new(ErrorKind::NotAuthenticated, "not authenticated")
}

/// The path is told, since it is most often mistyped; but not one that may hold a credential, escaped or not.
fn unknown(path: &str) -> Failure {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let shown = path.len() <= 200 && path.chars().all(plain) && !Credential::may_be_in(path);
    let path = if shown { path } else { "of this path" };
    Failure::new(ErrorKind::UnknownMethod, format!("there is no method {path}"))
}

pub(crate) fn allow_verb(method: &Method, verb: &Verb) -> Result<(), Failure> {
    match *verb {
        Verb::POST => Ok(()),
        Verb::GET if method.is_post_only() => {
            Err(Failure::new(ErrorKind::PostOnly, format!("{} is called by POST only", method.name())))
        }
        Verb::GET => Ok(()),
        _ => Err(Failure::new(ErrorKind::PostOnly, format!("{} is called by GET or POST", method.name()))),
    }
}

/// A panic is a fault of ours as others are: its caller is told no more, and its text goes to the log by the panic's own hook.
pub(crate) async fn caught<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let ended = AssertUnwindSafe(call).catch_unwind().await;
    ended.unwrap_or_else(|_| Err(Failure::internal("the call panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let failure = caught::<()>(async { panic!("expected by this test") }).await.unwrap_err();
        assert_eq!((failure.kind(), failure.message()), (ErrorKind::Internal, "internal error"));
        assert_eq!(caught(async { Ok(7) }).await.unwrap(), 7);
    }
}
