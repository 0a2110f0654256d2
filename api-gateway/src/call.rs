//! The way of a call: from a path to an answer.

use std::sync::Arc;
use std::time::Instant;

use access::{Credential, decide};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method as Verb};
use prost_reflect::DynamicMessage;
use proto::catalog::Access;
use proto::{Catalog, ErrorKind, Failure, Method};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::answer::{Answer, wants_problem};
use crate::authority::Authority;
use crate::http_request::{self, Limits};
use crate::parameters::{self, Parameters};
use crate::upstream::Upstreams;

/// Carries out calls.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) catalog: &'static Catalog,
    pub(crate) authority: Authority,
    pub(crate) upstreams: Upstreams,
    pub(crate) limits: Limits,
    pub(crate) room: Arc<Semaphore>,
}

impl Calls {
    /// Answers a request, and logs one line of it: never a parameter, a header or an address.
    pub(crate) async fn answer(self, request: Request) -> Response {
        let (began, id) = (Instant::now(), Uuid::now_v7().to_string());
        let problem = wants_problem(request.headers());
        let method = self.catalog.by_rest_path(request.uri().path());
        let name = method.map_or("unknown", Method::name);

        let outcome = self.call(method, request).await;
        if let Err(failure) = &outcome {
            report(&id, name, failure);
        }
        let answer = match (outcome, method) {
            (Ok(message), Some(method)) => Answer::success(method, &message),
            (Ok(_), None) => Answer::failure(&Failure::internal("an answer of no method"), problem),
            (Err(failure), Some(method)) => Answer::failure(&failure, problem).allow(method),
            (Err(failure), None) => Answer::failure(&failure, problem),
        };
        tracing::info!(
            request.id = id,
            rpc.method = name,
            result = answer.result,
            http.status = answer.status.as_u16(),
            duration.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        answer.into_response(&id)
    }

    async fn call(&self, method: Option<&'static Method>, request: Request) -> Result<DynamicMessage, Failure> {
        let method = method.ok_or_else(|| unknown(request.uri().path()))?;
        allow_verb(method, request.method())?;
        let room = self.room.try_acquire();
        let _room = room.map_err(|_| Failure::new(ErrorKind::Unavailable, "the gateway is busy, try again"))?;

        let headers = request.headers().clone();
        let parameters = http_request::parameters(request, self.limits).await?;
        let grant = self.authorize(method, &headers, &parameters).await?;
        let message = parameters::request(method, &parameters, self.limits.parameter)?;
        self.upstreams.call(method, message, grant).await
    }

    /// The grant under which the call goes on. Who shows no credential that is worth the call learns nothing else about it.
    async fn authorize(
        &self,
        method: &Method,
        headers: &HeaderMap,
        parameters: &Parameters,
    ) -> Result<Option<Bytes>, Failure> {
        if method.access() == Some(&Access::Public) {
            return Ok(None);
        }
        let nobody = || decide(method, None).err().map_or_else(not_authenticated, |denied| denied.failure(method));
        let value = http_request::credential(headers, parameters, self.limits)?.ok_or_else(nobody)?;
        // By its form alone: nobody is asked about what can't be a credential.
        let credential = Credential::parse(&value).map_err(|error| nobody().because(error))?;
        let introspected = self.authority.introspect(&credential, method.audience()).await?.ok_or_else(nobody)?;
        decide(method, Some(&introspected.claims)).map_err(|denied| denied.failure(method))?;
        Ok(Some(introspected.grant))
    }
}

fn not_authenticated() -> Failure {
    Failure::new(ErrorKind::NotAuthenticated, "not authenticated")
}

/// The path is told, since it is most often mistyped, but not what in it looks like a credential.
fn unknown(path: &str) -> Failure {
    let shown: String = path.chars().take(200).collect();
    let shown = if shown.to_ascii_lowercase().contains("pcl_") { "of this path" } else { &shown };
    Failure::new(ErrorKind::UnknownMethod, format!("there is no method {shown}"))
}

fn allow_verb(method: &Method, verb: &Verb) -> Result<(), Failure> {
    match *verb {
        Verb::POST => Ok(()),
        Verb::GET if method.is_post_only() => {
            Err(Failure::new(ErrorKind::PostOnly, format!("{} is called by POST only", method.name())))
        }
        Verb::GET => Ok(()),
        _ => Err(Failure::new(ErrorKind::PostOnly, format!("{} is called by GET or POST", method.name()))),
    }
}

/// Logs, once and with its causes, what its caller is not told.
fn report(id: &str, method: &str, failure: &Failure) {
    let mut text = failure.to_string();
    let mut next = std::error::Error::source(failure);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    match failure.kind() {
        ErrorKind::Internal => tracing::error!(request.id = id, rpc.method = method, error = text, "a call failed"),
        ErrorKind::Unavailable => tracing::warn!(request.id = id, rpc.method = method, error = text, "a call failed"),
        kind => {
            tracing::debug!(request.id = id, rpc.method = method, error.reason = kind.reason(), "a call was refused");
        }
    }
}
