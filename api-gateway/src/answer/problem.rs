//! Failures after RFC 9457, for callers that ask for them.

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
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

/// Whether a caller names `application/problem+json` among what it accepts, and not as what it does not (`q=0`).
pub(crate) fn wants_problem(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|range| range.eq_ignore_ascii_case(CONTENT_TYPE));
        let refused = parts.any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f32)
        });
        named && !refused
    })
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
            assert_eq!(wants_problem(&headers), wanted, "{accept:?}");
        }
        assert!(!wants_problem(&HeaderMap::new()));
    }
}
