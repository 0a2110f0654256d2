//! The REST form of the API without a gateway: how a call is read, and how an answer is written. The gateway itself goes this way;
//! here it is open to whoever writes such calls, or looks for some that are read wrongly.

use access::Credential;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::request::Parts;
use prost_reflect::DynamicMessage;
use proto::{Failure, Method};
use zeroize::Zeroizing;

pub use crate::answer::Form;
pub use crate::http_request::Limits;

use crate::answer::{self, Answer};
use crate::parameters::{self, Parameters};
use crate::{http_request, standards};

/// A call as it was sent: nothing is decided about it yet.
pub struct Call<'a> {
    method: &'a Method,
    head: Parts,
    parameters: Parameters,
    limits: Limits,
}

impl<'a> Call<'a> {
    /// Reads a call of a method, in a runtime of Tokio's. Which method the path names is not looked at.
    ///
    /// # Errors
    /// Where the body is too large, too slow or of no form, or there are too many parameters.
    pub async fn read(method: &'a Method, request: http::Request<Bytes>, limits: Limits) -> Result<Self, Failure> {
        let (head, body) = request.into_parts();
        let parameters = http_request::parameters(method, &head, Body::from(body), limits).await?;
        Ok(Self { method, head, parameters, limits })
    }

    /// Every parameter, also those that the method does not have, in their order: names as they were written, values as bytes.
    pub fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.parameters.iter()
    }

    /// The text that is shown as the credential, by a parameter or by `Authorization: Bearer` (RFC 6750, section 2.1), whatever
    /// it is worth.
    ///
    /// # Errors
    /// Where there are several, or it is no text.
    pub fn credential(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        http_request::credential(&self.head.headers, &self.parameters, self.limits)
    }

    /// The request that the method's service is sent.
    ///
    /// # Errors
    /// Where a parameter is missing or does not fit: the failure names it, and does not repeat its value.
    pub fn message(&self) -> Result<DynamicMessage, Failure> {
        parameters::request(self.method, &self.parameters, self.limits.parameter)
    }
}

/// A method's answer as JSON, as its documented path gives it.
#[must_use]
pub fn success(method: &Method, message: &DynamicMessage) -> String {
    Answer::success(method, message, false).body().to_owned()
}

/// One answer of a stream as an event (WHATWG HTML, section 9.2); nothing where nothing is set in it.
#[must_use]
pub fn event(message: &DynamicMessage) -> Option<Bytes> {
    answer::event(message)
}

/// A failure as JSON.
#[must_use]
pub fn failure(failure: &Failure, form: Form, method: Option<&Method>) -> String {
    Answer::failure(failure, form, method).body().to_owned()
}

/// The service key by which a client shows itself to the endpoints after OAuth's standards: in the form, or by `Authorization`
/// (RFC 6749, section 2.3; RFC 6750).
///
/// # Errors
/// Where there is none, or there are several.
pub async fn client_key(request: http::Request<Bytes>, limits: Limits) -> Result<Credential, Failure> {
    let (head, body) = request.into_parts();
    standards::client_key(Request::from_parts(head, Body::from(body)), limits).await
}
