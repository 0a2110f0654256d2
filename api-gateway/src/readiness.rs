use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::answer::Answer;
use crate::authority::Authority;
use crate::upstream::Upstreams;

/// How long each service may take to say that it serves.
const PATIENCE: Duration = Duration::from_secs(2);

/// 200 once a call can be served: the authority answers to this gateway's key, and each service serves. Else 503, with what is
/// missing.
pub(crate) async fn answer(authority: &Authority, upstreams: &Upstreams, draining: bool) -> Answer {
    let asked = async { tokio::join!(authority.ready(), upstreams.not_serving(PATIENCE)) };
    let missing: Vec<String> = match tokio::time::timeout(PATIENCE * 2, asked).await {
        _ if draining => vec!["api-gateway: draining".to_owned()],
        Err(_) => vec!["the services do not answer".to_owned()],
        Ok((authority, services)) => {
            let authority = authority.err().map(|failure| format!("token-service: {failure}"));
            let services = services.into_iter().map(|(name, reason)| format!("{name}: {reason}"));
            authority.into_iter().chain(services).collect()
        }
    };
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::json(status, 0, json!({ "ready": missing.is_empty(), "missing": missing }).to_string())
}
