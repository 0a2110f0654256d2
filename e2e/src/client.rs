use std::fmt;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// A client of the REST API that keeps no secrets and knows no method.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// What the API answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body, to the letter.
    pub body: String,
}

impl Client {
    /// Calls the gateway at an address.
    ///
    /// # Panics
    /// Where the machine has no network stack.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self::with(url, reqwest::Client::builder())
    }

    /// The same, by TLS: it believes an authority, in PEM. Its connections are kept for the calls that follow, or not.
    ///
    /// # Panics
    /// Where that is no authority.
    #[must_use]
    pub fn believing(url: &str, authority: &[u8], kept: usize) -> Self {
        let authority = reqwest::Certificate::from_pem(authority).expect("a certificate");
        Self::with(url, reqwest::Client::builder().tls_certs_only([authority]).pool_max_idle_per_host(kept))
    }

    fn with(url: &str, settings: reqwest::ClientBuilder) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: settings.build().expect("a client"), url: url.to_owned() }
    }

    /// A request to a path, to be given more and then sent with [`send`](Self::send).
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("the gateway answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.expect("the answer is text") }
    }

    /// GETs a path where there may be no answer.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn try_get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        let response = self.request(Method::GET, path).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }

    /// POSTs a form.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, path).form(form)).await
    }

    /// GETs a path with its query.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The member `result`.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn result(&self) -> i64 {
        self.json()["result"].as_i64().unwrap_or_else(|| panic!("no result: {self:?}"))
    }

    /// The member `error`; empty where there is none.
    #[must_use]
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The body, of a call that has to succeed.
    ///
    /// # Panics
    /// Where it did not.
    #[track_caller]
    pub fn success(self) -> Value {
        assert_eq!(self.result(), 0, "{self:?}");
        self.json()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} {}", self.status, self.body)
    }
}
