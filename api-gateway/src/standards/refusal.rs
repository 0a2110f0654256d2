use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use proto::{ErrorKind, Failure};
use serde_json::json;

use crate::answer::Answer;

/// A failure as RFC 6749, section 5.2, has it, under its true HTTP status.
pub(super) fn answer(failure: &Failure, by_bearer: bool) -> Answer {
    let kind = failure.kind();
    let (status, error) = match kind {
        ErrorKind::NotAuthenticated => (StatusCode::UNAUTHORIZED, "invalid_client"),
        ErrorKind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        kind if kind.http_status().is_client_error() => (kind.http_status(), "invalid_request"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    };
    let body = json!({ "error": error, "error_description": failure.message() }).to_string();
    let answer = Answer::json(status, kind.result(), body).retry_after(failure);
    match status {
        StatusCode::UNAUTHORIZED => answer.with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge(by_bearer))),
        StatusCode::METHOD_NOT_ALLOWED => answer.with(ALLOW, HeaderValue::from_static("POST")),
        _ => answer,
    }
}

/// By the scheme that the client tried, else by the one that clients have.
fn challenge(by_bearer: bool) -> &'static str {
    if by_bearer { "Bearer realm=\"portcullis\", error=\"invalid_token\"" } else { "Basic realm=\"portcullis\"" }
}
