//! Failures after RFC 9457, for callers that ask for them.

use std::error::Error;

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use proto::{ErrorKind, Failure};
use serde_json::{Value, json};

pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// The members that RFC 9457 defines. The kind of problem is told by `result` and `reason`, so its type is the HTTP status.
pub(super) fn members(status: StatusCode, detail: &str) -> [(String, Value); 4] {
    [
        ("type".to_owned(), json!("about:blank")),
        ("title".to_owned(), json!(status.canonical_reason().unwrap_or("Error"))),
        ("status".to_owned(), json!(status.as_u16())),
        ("detail".to_owned(), json!(detail)),
    ]
}

/// How a caller wants to be told of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the platform does it: HTTP 200, since its clients read no other body.
    Platform,
    /// By the true status, after RFC 9457.
    Problem,
}

impl Form {
    /// A problem for who names `application/problem+json` among what it accepts, and not as what it does not (`q=0`).
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let problem = accepted.flat_map(|value| value.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|range| range.eq_ignore_ascii_case(CONTENT_TYPE));
            let refused = parts.any(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f32)
            });
            named && !refused
        });
        if problem { Self::Problem } else { Self::Platform }
    }
}

/// Nothing was shown by which a caller could be known.
#[derive(Debug, thiserror::Error)]
#[error("the call shows no credential")]
pub(crate) struct NoCredential;

/// `WWW-Authenticate`, after RFC 6750, section 3: without an error for who showed nothing.
pub(super) fn challenge(failure: &Failure) -> Option<String> {
    let kind = failure.kind();
    let shown = !failure.source().is_some_and(<dyn Error>::is::<NoCredential>);
    let error = match kind {
        ErrorKind::NotAuthenticated if shown => ", error=\"invalid_token\"".to_owned(),
        ErrorKind::MissingPermission => {
            let scope = failure.detail("permission").map(|permission| format!(", scope=\"{permission}\""));
            format!(", error=\"insufficient_scope\"{}", scope.unwrap_or_default())
        }
        _ if kind.http_status() == StatusCode::UNAUTHORIZED => String::new(),
        _ => return None,
    };
    Some(format!("Bearer realm=\"portcullis\"{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_for_those_who_name_it() {
        for (accept, wanted) in [
            ("application/problem+json", true),
            ("text/html, Application/Problem+JSON;q=0.5", true),
            ("application/problem+json;q=0", false),
            ("application/problem+json; q=0.0", false),
            ("application/json", false),
            ("*/*", false),
            ("application/problem+jsonx", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Form::accepted(&headers) == Form::Problem, wanted, "{accept:?}");
        }
        assert_eq!(Form::accepted(&HeaderMap::new()), Form::Platform);
    }

    #[test]
    fn every_401_says_how_to_authenticate() {
        for kind in ErrorKind::all() {
            let challenge = challenge(&Failure::new(kind, "x"));
            let expected = kind.http_status() == StatusCode::UNAUTHORIZED || kind == ErrorKind::MissingPermission;
            assert_eq!(challenge.is_some(), expected, "{kind:?}: {challenge:?}");
        }
    }
}
