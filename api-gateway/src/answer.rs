//! How an outcome looks to a REST client.

mod event;
mod json;
mod problem;

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, StatusCode};
use prost_reflect::DynamicMessage;
use proto::{ErrorKind, Failure, Method};
use serde_json::{Map, Value, json};

pub(crate) use event::{begin, end, event, keep_alive, response};
pub use problem::Form;
pub(crate) use problem::NoCredential;

/// The header by which a caller and the logs name the same request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer, before it is a response: what the log has to know of it is still there.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) result: i32,
    content_type: &'static str,
    body: Cow<'static, str>,
    headers: HeaderMap,
}

impl Answer {
    /// The success of a method. `plain`: without the members of its own.
    pub(crate) fn success(method: &Method, message: &DynamicMessage, plain: bool) -> Self {
        let mut body = String::from("{\"result\":0");
        if plain {
            body.push('}');
            return Self::json(StatusCode::OK, 0, body);
        }
        if method.is_wrapped() {
            body.push_str(",\"response\":{\"result\":0");
            json::push_members(&mut body, message, true);
            body.push('}');
        } else {
            json::push_members(&mut body, message, true);
        }
        body.push('}');
        Self::json(StatusCode::OK, 0, body)
    }

    /// A failure, in the form that its caller wants. Where a permission is what is missing, and in every problem, it says which
    /// ones open the method.
    pub(crate) fn failure(failure: &Failure, form: Form, method: Option<&Method>) -> Self {
        let kind = failure.kind();
        let mut members = Map::from_iter([
            ("result".to_owned(), json!(kind.result())),
            ("error".to_owned(), json!(failure.message())),
            ("reason".to_owned(), json!(kind.reason())),
            ("source".to_owned(), json!("JEL")),
        ]);
        members.extend(failure.details().map(|(name, value)| (name.to_owned(), json!(value))));
        if let Some(method) = method
            && (kind == ErrorKind::MissingPermission || form == Form::Problem)
        {
            // None opens a method that no token may call.
            let accepted: Vec<&str> = method.permission().iter().map(|_| method.name()).collect();
            members.insert("permissions".to_owned(), json!(accepted));
        }
        if form == Form::Platform {
            let body = ordered(&members, &["result", "error"]);
            return Self::json(StatusCode::OK, kind.result(), body).retry_after(failure);
        }
        let status = kind.http_status();
        members.remove("error");
        members.extend(problem::members(status, failure.message()));
        let body = ordered(&members, &["type", "title", "status", "detail"]);
        let mut answer = Self { content_type: problem::CONTENT_TYPE, ..Self::json(status, kind.result(), body) };
        if let Some(challenge) = problem::challenge(failure).and_then(|text| HeaderValue::try_from(text).ok()) {
            answer.headers.insert(WWW_AUTHENTICATE, challenge);
        }
        answer.retry_after(failure)
    }

    /// JSON that is no answer of a method.
    pub(crate) fn json(status: StatusCode, result: i32, body: impl Into<Cow<'static, str>>) -> Self {
        let (content_type, body) = ("application/json; charset=utf-8", body.into());
        Self { status, result, content_type, body, headers: HeaderMap::new() }
    }

    /// Says by which verbs the method is called, as RFC 9110 wants it of a 405.
    pub(crate) fn allow(mut self, method: &Method) -> Self {
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            let verbs = if method.is_post_only() { "POST" } else { "GET, POST" };
            self.headers.insert(ALLOW, HeaderValue::from_static(verbs));
        }
        self
    }

    /// Says when to try again, where a failure does (RFC 9110, section 10.2.3).
    pub(crate) fn retry_after(self, failure: &Failure) -> Self {
        match failure.detail("retryAfter").and_then(|seconds| HeaderValue::try_from(seconds).ok()) {
            Some(seconds) => self.with(RETRY_AFTER, seconds),
            None => self,
        }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// What it says.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        *headers = self.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}

/// An object's text with these members first, as people expect to read it.
fn ordered(members: &Map<String, Value>, first: &[&str]) -> String {
    let leading = first.iter().filter_map(|name| members.get_key_value(*name));
    let rest = members.iter().filter(|(name, _)| !first.contains(&name.as_str()));
    let mut text = String::from("{");
    for (name, value) in leading.chain(rest) {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&format!("{}:{value}", Value::String(name.clone())));
    }
    text.push('}');
    text
}
