use std::error::Error;
use std::time::{Duration, Instant};

use proto::{ErrorKind, Failure};
use uuid::Uuid;

use crate::answer::Answer;

/// The one line of the log that a call leaves, however it ends: never a parameter, a header or a path.
pub(crate) struct RequestLog {
    id: String,
    method: &'static str,
    began: Instant,
    written: bool,
    refused: bool,
}

impl RequestLog {
    /// For a call of the method of this public name.
    pub(crate) fn begin(method: &'static str) -> Self {
        Self { id: Uuid::now_v7().to_string(), method, began: Instant::now(), written: false, refused: false }
    }

    /// The name that the call has here and at its caller.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Says, besides, with all causes what the caller is not told.
    pub(crate) fn failed(&self, failure: &Failure) {
        let Self { id, method, .. } = self;
        match failure.kind() {
            ErrorKind::Internal => {
                tracing::error!(request.id = id, rpc.method = method, error = causes(failure), "a call failed");
            }
            ErrorKind::Unavailable => {
                tracing::warn!(request.id = id, rpc.method = method, error = causes(failure), "a call failed");
            }
            kind => {
                tracing::debug!(
                    request.id = id,
                    rpc.method = method,
                    error.reason = kind.reason(),
                    "a call was refused"
                );
            }
        }
    }

    /// A limit has refused the call, and is told of by itself.
    pub(crate) fn refused(&mut self) {
        self.refused = true;
    }

    /// The call is answered. A success is told where the filter asks for it (`api_gateway=debug`), and so is
    /// what a limit refuses: a line for each would cost more than the call. Who used what is in the authority's counts.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        self.written = true;
        if self.refused || (answer.result == 0 && answer.status.is_success()) {
            tracing::debug!(
                request.id = self.id,
                rpc.method = self.method,
                result = answer.result,
                http.status = answer.status.as_u16(),
                duration.ms = self.milliseconds(),
                "answered"
            );
            return;
        }
        tracing::info!(
            request.id = self.id,
            rpc.method = self.method,
            result = answer.result,
            http.status = answer.status.as_u16(),
            duration.ms = self.milliseconds(),
            "answered"
        );
    }

    /// For how long the call has been worked on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Nobody waits for the answer any more, or the gateway is told to end at once. What the call was to do may be done all the same.
impl Drop for RequestLog {
    fn drop(&mut self) {
        if !self.written {
            tracing::info!(
                request.id = self.id,
                rpc.method = self.method,
                duration.ms = self.milliseconds(),
                "not answered: the connection ended"
            );
        }
    }
}

fn causes(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
