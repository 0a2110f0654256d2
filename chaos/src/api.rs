//! The REST API as the clients of this test call it: an answer, or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::history::{Method, Micros, Outcome, WallMicros};
use crate::stack::{GATEWAYS, Service, Stack};

/// How often gateways are asked whether they are ready, and how long each may take to say so.
const LOOK: Duration = Duration::from_millis(200);

/// The clocks of the test process.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Micros {
        micros(self.0.elapsed())
    }

    pub(crate) fn wall(self) -> WallMicros {
        Timestamp::now().as_microsecond()
    }
}

pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// What came back.
pub(crate) enum Reply {
    /// `result` 0, and the whole of it.
    Done(Value),
    /// Another `result`, and the whole of it.
    Refused(i64, Value),
    /// No answer, or none that makes sense.
    Unknown,
}

impl Reply {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Done(_) => Outcome::Executed,
            Self::Refused(result, _) => Outcome::Refused(*result),
            Self::Unknown => Outcome::Unknown,
        }
    }
}

/// Calls the gateways.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    urls: [String; GATEWAYS],
    ready: Arc<[AtomicBool; GATEWAYS]>,
}

impl Api {
    /// Waits so long for an answer.
    pub(crate) fn new(stack: &Stack, patience: Duration) -> Self {
        let ready = Arc::new(std::array::from_fn(|_| AtomicBool::new(true)));
        let urls = std::array::from_fn(|gateway| stack.url(Service::Gateway(gateway)));
        Self { http: http(patience), urls, ready }
    }

    /// Calls a method that a token can be given, for an environment.
    pub(crate) async fn call(&self, gateway: usize, method: Method, credential: &str, environment: &str) -> Reply {
        reply(self.request(gateway, method, credential, environment).send().await).await
    }

    fn request(&self, gateway: usize, method: Method, credential: &str, environment: &str) -> reqwest::RequestBuilder {
        let request = self.http.get(format!("{}{}", self.urls[gateway], method.path()));
        let request = if method == Method::GetEnvInfo { request.query(&[("envName", environment)]) } else { request };
        request.bearer_auth(credential)
    }

    /// The same, as whoever shares calls out: to a gateway that says that it is ready, and to the next where one takes no connection.
    pub(crate) async fn call_any(&self, first: usize, method: Method, credential: &str, environment: &str) -> Reply {
        self.any(first, |gateway| self.request(gateway, method, credential, environment)).await
    }

    /// Changes something, shared out likewise: gives an environment another display name.
    pub(crate) async fn rename_any(&self, first: usize, credential: &str, environment: &str, name: &str) -> Reply {
        let form = [("envName", environment), ("displayName", name)];
        let request = |gateway: usize| {
            let url = format!("{}/1.0/environment/control/rest/setenvdisplayname", self.urls[gateway]);
            self.http.post(url).bearer_auth(credential).form(&form)
        };
        self.any(first, request).await
    }

    async fn any(&self, first: usize, request: impl Fn(usize) -> reqwest::RequestBuilder) -> Reply {
        let mut gateways: Vec<usize> = (first..first + GATEWAYS).map(|gateway| gateway % GATEWAYS).collect();
        gateways.sort_by_key(|gateway| !self.ready[*gateway].load(Ordering::Relaxed));
        let last = gateways.pop().expect("there is a gateway");
        for gateway in gateways {
            match request(gateway).send().await {
                Err(error) if error.is_connect() => {}
                response => return reply(response).await,
            }
        }
        reply(request(last).send().await).await
    }

    /// Asks the gateways again and again whether they are ready. Never returns.
    pub(crate) async fn look(&self) {
        loop {
            for (url, ready) in self.urls.iter().zip(self.ready.iter()) {
                let asked = self.http.get(format!("{url}/readyz")).timeout(LOOK).send().await;
                ready.store(asked.is_ok_and(|answer| answer.status() == 200), Ordering::Relaxed);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// POSTs a form to a method, under a credential.
    pub(crate) async fn post(&self, gateway: usize, path: &str, credential: &str, form: &[(&str, String)]) -> Reply {
        let request = self.http.post(format!("{}/1.0/{path}", self.urls[gateway]));
        reply(request.bearer_auth(credential).form(form).send().await).await
    }
}

/// An HTTP client that waits so long for an answer.
pub(crate) fn http(patience: Duration) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().timeout(patience).tcp_nodelay(true).no_proxy();
    http.build().expect("nothing in it can be wrong")
}

async fn reply(response: reqwest::Result<reqwest::Response>) -> Reply {
    let Ok(response) = response else { return Reply::Unknown };
    let Ok(body) = response.bytes().await else { return Reply::Unknown };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return Reply::Unknown };
    match body["result"].as_i64() {
        Some(0) => Reply::Done(body),
        Some(result) => Reply::Refused(result, body),
        None => Reply::Unknown,
    }
}
