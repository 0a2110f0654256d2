//! What a REST call consists of: its path, its parameters, its credential.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method as Verb};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use proto::{ErrorKind, Failure, Method};
use zeroize::Zeroizing;

use crate::parameters::{Parameters, known_name};

/// How large what is read may be, and how long the reading may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a body may take to come.
    pub body_time: Duration,
    /// How many bytes it may have.
    pub body: usize,
    /// How many a parameter's value may have.
    pub parameter: usize,
}

/// How many fields the head of a request may have.
pub(crate) const MAX_FIELDS: usize = 100;

/// Of HTTP/1 the HTTP server has looked at it by itself.
pub(crate) fn allow_fields(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.len() <= MAX_FIELDS {
        return Ok(());
    }
    let text = format!("the head of the request has more than {MAX_FIELDS} fields");
    Err(Failure::new(ErrorKind::RequestTooLarge, text))
}

/// The parameters of a call, from the query and, of a POST, from a form in the body. Any other body is not ours to read: the
/// webhooks that call with a token in the query send what they like.
pub(crate) async fn parameters(
    method: &Method,
    parts: &Parts,
    body: Body,
    limits: Limits,
) -> Result<Parameters, Failure> {
    let mut parameters = Parameters::default();
    parameters.add_encoded(parts.uri.query().unwrap_or_default().as_bytes())?;
    // There is nothing to wait for, and nothing to read.
    if parts.method != Verb::POST || body.is_end_stream() {
        return Ok(parameters);
    }
    Box::pin(in_time(limits, read(method, parts, body, parameters, limits))).await
}

/// The body of a request that has to be a form.
pub(crate) async fn form(request: Request, limits: Limits) -> Result<Bytes, Failure> {
    let form = "application/x-www-form-urlencoded";
    if media_type(request.headers()) != form {
        return Err(Failure::new(ErrorKind::InvalidParameter, format!("the body must be {form}")));
    }
    in_time(limits, body(request.into_body(), limits)).await
}

async fn in_time<T>(limits: Limits, read: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(limits.body_time, read).await.map_err(|_| {
        let seconds = limits.body_time.as_secs();
        Failure::new(ErrorKind::InvalidParameter, format!("the body was not sent within {seconds} s"))
    })?
}

async fn read(
    method: &Method,
    parts: &Parts,
    sent: Body,
    mut parameters: Parameters,
    limits: Limits,
) -> Result<Parameters, Failure> {
    match media_type(&parts.headers).as_str() {
        "multipart/form-data" => add_multipart(&mut parameters, method, parts, sent, limits).await?,
        "application/x-www-form-urlencoded" => parameters.add_encoded(&body(sent, limits).await?)?,
        _ => drop(body(sent, limits).await?),
    }
    Ok(parameters)
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn body(sent: Body, limits: Limits) -> Result<Bytes, Failure> {
    let read = Limited::new(sent, limits.body).collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|error| if error.is::<LengthLimitError>() { too_large(limits) } else { unreadable().because(error) })
}

async fn add_multipart(
    parameters: &mut Parameters,
    method: &Method,
    parts: &Parts,
    sent: Body,
    limits: Limits,
) -> Result<(), Failure> {
    let mut request = Request::new(Body::new(Limited::new(sent, limits.body)));
    *request.headers_mut() = parts.headers.clone();
    // Else a limit of axum's own comes before the configured one.
    DefaultBodyLimit::disable().apply(&mut request);
    let malformed = |error: &dyn std::fmt::Display| {
        Failure::new(ErrorKind::InvalidParameter, format!("the body is no multipart/form-data: {error}"))
    };
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| malformed(&error))?;
    loop {
        let field = multipart.next_field().await.map_err(|error| multipart_failure(&error, limits))?;
        let Some(field) = field else { return Ok(()) };
        let Some(name) = field.name().map(str::to_owned) else { continue };
        if field.file_name().is_some() {
            match known_name(method, &name) {
                Some(known) => return Err(Failure::invalid(known, "must not be a file")),
                None => continue,
            }
        }
        let value = field.bytes().await.map_err(|error| multipart_failure(&error, limits))?;
        parameters.add(&name, &value)?;
    }
}

fn multipart_failure(error: &axum::extract::multipart::MultipartError, limits: Limits) -> Failure {
    if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(limits);
    }
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        if source.is::<LengthLimitError>() {
            return too_large(limits);
        }
        cause = source.source();
    }
    Failure::new(ErrorKind::InvalidParameter, "the body is no multipart/form-data")
}

fn too_large(limits: Limits) -> Failure {
    Failure::new(ErrorKind::RequestTooLarge, format!("the body has more than {} bytes", limits.body))
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidParameter, "the body ended before it was complete")
}

/// The credential that a call shows: a parameter, or `Authorization: Bearer` (RFC 6750, section 2.1). Two of them are refused:
/// nobody could say under which the call is made.
pub(crate) fn credential(
    headers: &HeaderMap,
    parameters: &Parameters,
    limits: Limits,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let parameter = parameters.credential(limits.parameter)?;
    let mut bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, value) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| value.trim())
    });
    match (parameter, bearers.next(), bearers.next()) {
        (Some(_), Some(_), _) | (_, _, Some(_)) => Err(Failure::invalid(
            "session",
            "is given more than once (`Authorization: Bearer` is another place for it)",
        )),
        (credential, bearer, None) => Ok(credential.or(bearer).map(|value| Zeroizing::new(value.to_owned()))),
    }
}
