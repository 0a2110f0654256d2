use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use crate::answer::Answer;
use crate::authority::Authority;
use crate::upstream::Upstreams;

/// How long each service may take to say that it serves.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it takes at least from one question to the services to the next: who asks for readiness has shown no credential.
const GAP: Duration = Duration::from_millis(100);

/// Whether calls can be served. The services are asked by one at a time, however many want to know.
pub(crate) struct Readiness {
    authority: Authority,
    upstreams: Upstreams,
    /// When they were asked last, and what was missing.
    last: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Readiness {
    pub(crate) fn new(authority: Authority, upstreams: Upstreams) -> Self {
        Self { authority, upstreams, last: Mutex::default() }
    }

    /// 200 once a call can be served: the authority answers to this gateway's key, and each service serves. Else 503, with what is
    /// missing.
    pub(crate) async fn answer(&self, draining: bool) -> Answer {
        let missing = if draining { vec!["api-gateway: draining".to_owned()] } else { self.missing().await };
        let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Answer::json(status, 0, json!({ "ready": missing.is_empty(), "missing": missing }).to_string())
    }

    async fn missing(&self) -> Vec<String> {
        let came = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((asked, missing)) = last.as_ref() {
            // All who have waited here share the next answer. One from before they came may be true no more.
            if *asked >= came {
                return missing.clone();
            }
            sleep_until(*asked + GAP).await;
        }
        let asked = Instant::now();
        let missing = self.ask().await;
        *last = Some((asked, missing.clone()));
        missing
    }

    async fn ask(&self) -> Vec<String> {
        let asked = async { tokio::join!(self.authority.ready(), self.upstreams.not_serving(PATIENCE)) };
        let Ok((authority, services)) = timeout(PATIENCE * 2, asked).await else {
            return vec!["the services do not answer".to_owned()];
        };
        let authority = authority.err().map(|failure| format!("token-service: {failure}"));
        let services = services.into_iter().map(|(name, reason)| format!("{name}: {reason}"));
        authority.into_iter().chain(services).collect()
    }
}
