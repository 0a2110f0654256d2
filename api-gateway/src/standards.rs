//! What other services are offered after the standards of OAuth 2.0: introspection (RFC 7662), revocation (RFC 7009) and
//! metadata (RFC 8414). The gateway decides nothing here: it asks the authority with the client's own key.

mod authority;
mod client;
mod form;
mod introspection;
mod metadata;
mod refusal;

use std::sync::Arc;

use access::{Credential, Origin};
use axum::body::HttpBody;
use axum::extract::Request;
use axum::response::Response;
use http::{Method as Verb, StatusCode};
use proto::{ErrorKind, Failure};

use crate::answer::Answer;
use crate::call::{Calls, caught};
use crate::http_request::Limits;
use crate::request_log::RequestLog;

pub(crate) use authority::ClientAuthority;

use client::Client;
use form::Form;

/// Where the metadata is (RFC 8414, section 3).
pub(crate) const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// The endpoints that clients call under their own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// RFC 7662.
    Introspection,
    /// RFC 7009.
    Revocation,
}

impl Endpoint {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Introspection => "/oauth2/introspect",
            Self::Revocation => "/oauth2/revoke",
        }
    }

    /// What it is called in logs.
    fn name(self) -> &'static str {
        match self {
            Self::Introspection => "oauth2.introspect",
            Self::Revocation => "oauth2.revoke",
        }
    }
}

/// The service key that a client shows.
pub(crate) async fn client_key(request: Request, limits: Limits) -> Result<Credential, Failure> {
    let headers = request.headers().clone();
    let form = Form::read(request, limits).await?;
    Ok(Client::shown(&headers, &form)?.key)
}

/// Serves the endpoints.
#[derive(Clone)]
pub(crate) struct Standards {
    pub(crate) calls: Calls,
    pub(crate) authority: ClientAuthority,
    /// The gateway's address as its clients know it, without a slash at its end.
    pub(crate) issuer: Arc<str>,
}

impl Standards {
    /// Answers a request to an endpoint.
    pub(crate) async fn answer(&self, endpoint: Endpoint, request: Request) -> Response {
        let mut log = RequestLog::begin(endpoint.name());
        let origin = self.calls.origin(&request, log.id());
        let by_bearer = client::shows_bearer(request.headers());
        let answer = caught(self.call(endpoint, request, &origin)).await.unwrap_or_else(|failure| {
            self.calls.failed(&mut log, &failure);
            refusal::answer(&failure, by_bearer)
        });
        log.answered(&answer);
        answer.into_response(log.id())
    }

    async fn call(&self, endpoint: Endpoint, request: Request, origin: &Origin) -> Result<Answer, Failure> {
        if request.method() != Verb::POST {
            return Err(Failure::new(ErrorKind::PostOnly, "the endpoint is called by POST only"));
        }
        self.calls.rates.count_address(origin.address)?;
        let headers = request.headers().clone();
        let form = {
            let is_coming = !request.body().is_end_stream();
            let _coming = is_coming.then(|| self.calls.bodies.enter(origin.address)).transpose()?;
            Form::read(request, self.calls.limits).await?
        };
        let _room = self.calls.enter()?;
        let client = Client::shown(&headers, &form)?;
        let value = form.value("token")?.ok_or_else(|| Failure::invalid("token", "is missing"))?;
        // What is none by its form is none, but who asks still has to be known.
        let credential = Credential::parse(&value).ok();
        let body = match endpoint {
            Endpoint::Introspection => {
                let known = self.authority.introspect(&client, credential.as_ref(), origin).await?;
                introspection::body(&known, &self.issuer)?
            }
            Endpoint::Revocation => {
                self.authority.revoke(&client, credential.as_ref(), origin).await?;
                "{}".to_owned()
            }
        };
        Ok(Answer::json(StatusCode::OK, 0, body))
    }

    /// Answers a request for the metadata.
    pub(crate) fn metadata(&self, request: &Request) -> Response {
        let mut log = RequestLog::begin("oauth2.metadata");
        let answer = metadata::answer(request.method(), &self.issuer);
        log.answered(&answer);
        answer.into_response(log.id())
    }
}
