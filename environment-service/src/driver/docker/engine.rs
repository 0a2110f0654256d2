//! The engine's API: each question has a bound in time, and what is wrong is told apart from an engine that does not answer.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{ClientVersion, Docker};

use crate::driver::{ClearError, EndError, LaunchError, NodeError, ScanError};

/// What engines from 20.10 on speak.
const VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };
/// How long a look at containers may take.
pub(super) const LOOK: Duration = Duration::from_secs(3);
/// How long a change of one may take.
pub(super) const CHANGE: Duration = Duration::from_secs(60);
/// The client's own bound, in seconds: ours come first.
const LONGEST: u64 = 3600;
/// What it is called in errors.
const NAME: &str = "docker";

/// Where an engine listens.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    socket: String,
}

/// Why the engine did not do something.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// It does not answer.
    #[error("the engine does not answer")]
    Unreachable(#[source] Error),
    /// It did not answer in time.
    #[error("the engine did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It has no such thing.
    #[error("{0}")]
    NotFound(String),
    /// What was asked for does not fit to what there is.
    #[error("{0}")]
    Conflict(String),
    /// It is as was asked for already.
    #[error("there is nothing to change")]
    Unchanged,
    /// It refuses.
    #[error("{0}")]
    Refused(String),
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: 304, .. } => Self::Unchanged,
            Error::DockerResponseServerError { status_code: 404, message } => Self::NotFound(message),
            Error::DockerResponseServerError { status_code: 409, message } => Self::Conflict(message),
            Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
                Self::Refused(message)
            }
            error => Self::Unreachable(error),
        }
    }
}

impl EngineError {
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Late(_))
    }
}

impl From<EngineError> for LaunchError {
    fn from(error: EngineError) -> Self {
        if error.is_unreachable() {
            return Self::Unreachable(NAME, error.into());
        }
        Self::Failed(error.to_string(), error.into())
    }
}

impl From<EngineError> for EndError {
    fn from(error: EngineError) -> Self {
        if error.is_unreachable() {
            return Self::Unreachable(NAME, error.into());
        }
        Self::Failed(error.to_string(), error.into())
    }
}

impl From<EngineError> for ClearError {
    fn from(error: EngineError) -> Self {
        if error.is_unreachable() { Self::Unreachable(NAME, error.into()) } else { Self::Failed(error.into()) }
    }
}

impl From<EngineError> for ScanError {
    fn from(error: EngineError) -> Self {
        Self::Unreachable(NAME, error.into())
    }
}

impl From<EngineError> for NodeError {
    fn from(error: EngineError) -> Self {
        match error {
            error if error.is_unreachable() => Self::Unreachable(NAME, error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

/// What there is already, and what there is not any more, is as good as done.
pub(super) fn done(answer: Result<(), EngineError>) -> Result<(), EngineError> {
    match answer {
        Err(EngineError::Unchanged | EngineError::NotFound(_)) => Ok(()),
        answer => answer,
    }
}

/// Waits for an answer no longer than this.
pub(super) async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, EngineError> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(EngineError::Late(time)),
    }
}

impl Engine {
    pub(super) fn new(socket: String) -> Self {
        Self { socket }
    }

    /// A client. It connects anew for each question.
    pub(super) fn client(&self) -> Result<Docker, EngineError> {
        Ok(Docker::connect_with_unix(&self.socket, LONGEST, &VERSION)?)
    }

    /// The containers, running or not, that have all of these labels (`name` or `name=value`).
    pub(super) async fn list(&self, labels: &[String]) -> Result<Vec<ContainerSummary>, EngineError> {
        let filters = HashMap::from([("label", labels.iter().map(String::as_str).collect::<Vec<_>>())]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        within(LOOK, self.client()?.list_containers(Some(options))).await
    }
}
