//! Calls to the REST API, as any script makes them.

mod events;

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub(crate) use events::Events;

/// Why a call did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("not signed in")]
    NoCredential,
    #[error("the account has a second factor, and there is no terminal to ask for its code")]
    NoSecondFactor,
    #[error("{url} is out of reach")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{url} does not answer like the API (HTTP {status})")]
    NotTheApi { url: String, status: u16 },
    #[error("there is no account {0:?}")]
    NoSuchAccount(String),
    #[error("{error} (result {result})")]
    Refused { method: String, result: i64, reason: String, error: String, retry_after: Option<Duration> },
}

impl ApiError {
    /// Whether the credential is not good for the call, which no patience helps.
    pub(crate) fn is_denial(&self) -> bool {
        const DENIALS: [&str; 3] = ["PERMISSION_DENIED", "NOT_AUTHENTICATED", "MISSING_PERMISSION"];
        match self {
            Self::NoCredential => true,
            Self::Refused { reason, .. } => DENIALS.contains(&reason.as_str()),
            _ => false,
        }
    }
}

/// How often a call is sent that is told to come again soon. Nothing was executed then.
const ATTEMPTS: usize = 3;

/// For how long at most is waited before a call is sent again; a longer wait is told.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API at an address, with the credential to call it.
pub(crate) struct Api {
    client: Client,
    url: String,
    credential: Option<Zeroizing<String>>,
}

/// Parameters of a call, in their order.
pub(crate) type Parameters = Vec<(&'static str, String)>;

impl Api {
    pub(crate) fn new(url: &str, credential: Option<Zeroizing<String>>) -> anyhow::Result<Self> {
        let mut client = Client::builder().user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        if is_loopback(url) {
            // What is for this machine is no proxy's to see.
            client = client.no_proxy();
        }
        let client = client.build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), credential })
    }

    /// Calls a method by its public name, `environment.control.StopEnv`, under the credential.
    pub(crate) async fn call(&self, method: &str, parameters: Parameters) -> Result<Map<String, Value>, ApiError> {
        let credential = self.credential.as_ref().ok_or(ApiError::NoCredential)?;
        self.send(method, parameters, Some(credential)).await
    }

    /// Calls a method that needs no credential.
    pub(crate) async fn call_public(
        &self,
        method: &str,
        parameters: Parameters,
    ) -> Result<Map<String, Value>, ApiError> {
        self.send(method, parameters, None).await
    }

    async fn send(
        &self,
        method: &str,
        parameters: Parameters,
        credential: Option<&Zeroizing<String>>,
    ) -> Result<Map<String, Value>, ApiError> {
        for _ in 1..ATTEMPTS {
            match self.send_once(method, &parameters, credential).await {
                Err(ApiError::Refused { retry_after: Some(wait), .. }) if wait <= PATIENCE => {
                    tokio::time::sleep(wait).await;
                }
                answered => return answered,
            }
        }
        self.send_once(method, &parameters, credential).await
    }

    async fn send_once(
        &self,
        method: &str,
        parameters: &Parameters,
        credential: Option<&Zeroizing<String>>,
    ) -> Result<Map<String, Value>, ApiError> {
        let response = self.respond(method, parameters, credential).await?;
        self.answer(method, response).await
    }

    /// Calls a method that answers with a stream.
    pub(crate) async fn stream(&self, method: &'static str, parameters: Parameters) -> Result<Events<'_>, ApiError> {
        let credential = self.credential.as_ref().ok_or(ApiError::NoCredential)?;
        let response = self.respond(method, &parameters, Some(credential)).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return Ok(Events::new(self, method, response));
        }
        let status = response.status().as_u16();
        self.answer(method, response).await?;
        Err(ApiError::NotTheApi { url: self.url.clone(), status })
    }

    async fn respond(
        &self,
        method: &str,
        parameters: &Parameters,
        credential: Option<&Zeroizing<String>>,
    ) -> Result<Response, ApiError> {
        let path = proto::catalog().by_name(method).and_then(proto::Method::rest_path);
        let path = path.expect("the command line calls methods of its own contract");
        let mut request = self.client.post(format!("{}{path}", self.url)).form(parameters);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential.as_str());
        }
        request.send().await.map_err(|error| self.unreachable(error))
    }

    async fn answer(&self, method: &str, response: Response) -> Result<Map<String, Value>, ApiError> {
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|error| self.unreachable(error))?;
        let foreign = || ApiError::NotTheApi { url: self.url.clone(), status };
        let answer: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| foreign())?;
        match answer.get("result").and_then(Value::as_i64) {
            None => Err(foreign()),
            Some(0) => Ok(answer),
            Some(result) => Err(refused(method, result, &answer)),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> ApiError {
        ApiError::Unreachable { url: self.url.clone(), source: error.without_url() }
    }
}

/// What an answer says that is none.
fn refused(method: &str, result: i64, answer: &Map<String, Value>) -> ApiError {
    ApiError::Refused {
        method: method.to_owned(),
        result,
        reason: text(answer, "reason").to_owned(),
        error: text(answer, "error").to_owned(),
        retry_after: text(answer, "retryAfter").parse().ok().map(Duration::from_secs),
    }
}

/// Whether an address is this machine's own.
fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A text member of an answer, empty where there is none.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}
