use http::header::ALLOW;
use http::{HeaderValue, Method as Verb, StatusCode};
use proto::{ErrorKind, Failure, Method, catalog};
use serde_json::json;

use super::{Endpoint, refusal};
use crate::answer::Answer;

/// How a client authenticates (RFC 7591, section 2).
const CLIENT_AUTHENTICATION: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// The document of RFC 8414, section 2. Nobody is sent here to grant anything, so there is neither an authorization nor a token
/// endpoint, and the lists that go with them are empty: left out they would mean their defaults.
pub(super) fn answer(verb: &Verb, issuer: &str) -> Answer {
    if !matches!(*verb, Verb::GET | Verb::HEAD) {
        let failure = Failure::new(ErrorKind::PostOnly, "the metadata is read by GET");
        return refusal::answer(&failure, false).with(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    let scopes: Vec<&str> = catalog().permissions().into_iter().map(Method::name).collect();
    let document = json!({
        "issuer": issuer,
        "introspection_endpoint": format!("{issuer}{}", Endpoint::Introspection.path()),
        "introspection_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "revocation_endpoint": format!("{issuer}{}", Endpoint::Revocation.path()),
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "scopes_supported": scopes,
        "response_types_supported": [],
        "grant_types_supported": [],
    });
    Answer::json(StatusCode::OK, 0, document.to_string())
}
