use axum::extract::Request;
use bytes::Bytes;
use proto::Failure;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::http_request::{self, Limits};

/// The parameters of a request. A URL leaks, so its query counts for nothing here.
pub(super) struct Form {
    body: Bytes,
    limits: Limits,
}

impl Form {
    pub(super) async fn read(request: Request, limits: Limits) -> Result<Self, Failure> {
        Ok(Self { body: http_request::form(request, limits).await?, limits })
    }

    /// A parameter, given at most once; an empty one is not given (RFC 6749, section 3.2).
    pub(super) fn value(&self, name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
        let mut given = form_urlencoded::parse(&self.body).filter(|(known, _)| known == name);
        let value = given.next().map(|(_, value)| Zeroizing::new(value.into_owned()));
        if given.next().is_some() {
            return Err(Failure::invalid(name, "is given more than once"));
        }
        let max_bytes = self.limits.parameter;
        if value.as_ref().is_some_and(|value| value.len() > max_bytes) {
            return Err(Failure::invalid(name, format!("has more than {max_bytes} bytes")));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }
}
