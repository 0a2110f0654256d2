//! A REST client that knows no method.

use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::stage::LONG;

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // So that an answer which does not come fails its test.
        let http = reqwest::Client::builder().timeout(LONG).build().unwrap();
        Self { http, url: url.to_owned() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, path).form(form)).await
    }

    /// As one who asks for the true status.
    pub(crate) async fn problem(&self, request: RequestBuilder) -> Answer {
        self.send(request.header("accept", "application/problem+json")).await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn assert_done(&self) {
        assert_eq!((self.status, self.body.as_str()), (200, r#"{"result":0}"#));
    }

    /// A refusal as the platform's clients read it, with a text that names what is wrong.
    #[track_caller]
    pub(crate) fn assert_refused(&self, result: i64, named: &str) {
        let body = self.json();
        assert_eq!((self.status, body["result"].as_i64()), (200, Some(result)), "{self:?}");
        assert!(body["error"].as_str().unwrap().contains(named), "{named}: {self:?}");
        assert_eq!(body["source"], "JEL", "{self:?}");
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} {}", self.status, self.body)
    }
}
