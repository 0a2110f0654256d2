use std::sync::Arc;

use ::access::AccountPermit;
use proto::{ErrorKind, Failure};
use storage::StorageError;

use crate::domain::{Desired, EnvName, Environment, NodeType, Observed, Status};
use crate::driver::EndError;
use crate::operation::{BeginError, BringUpError, Operations};

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) operations: Operations,
    node_types: Arc<Vec<NodeType>>,
}

impl Control {
    pub(crate) fn new(operations: Operations) -> Self {
        let mut node_types: Vec<NodeType> = operations.driver.node_types().into_iter().cloned().collect();
        node_types.sort();
        Self { operations, node_types: Arc::new(node_types) }
    }

    /// What nodes can run, by name.
    pub(crate) fn node_types(&self) -> &[NodeType] {
        &self.node_types
    }

    /// The caller's environment and what is seen of its nodes.
    pub(crate) async fn look(
        &self,
        permit: &AccountPermit,
        name: &EnvName,
    ) -> Result<Option<(Environment, Vec<Observed>)>, StorageError> {
        let Some(environment) = self.operations.store.find(permit.account(), name).await? else { return Ok(None) };
        let seen = self.operations.observe(&environment).await;
        Ok(Some((environment, seen)))
    }
}

/// The name in a request's `envName`.
pub(crate) fn env_name(text: &str) -> Result<EnvName, Failure> {
    text.parse().map_err(|problem| Failure::invalid("envName", problem))
}

/// The same for an environment that is another account's.
pub(crate) fn not_found(name: &EnvName) -> Failure {
    Failure::new(ErrorKind::EnvironmentNotFound, format!("environment `{name}` does not exist"))
        .with("parameter", "envName")
}

/// An outage of the database is an outage, never an answer.
pub(crate) fn storage_failure(error: StorageError) -> Failure {
    if error.is_unavailable() {
        Failure::unavailable("the environment service", error)
    } else {
        Failure::internal(error)
    }
}

/// Why an operation on an environment was not begun. The verb is what was asked for: "started".
pub(crate) fn begin_failure(name: &EnvName, verb: &str, error: BeginError) -> Failure {
    match error {
        BeginError::NotFound => not_found(name),
        BeginError::Busy(operation) => {
            let status = Status::of_environment(Some(operation), Desired::Stopped, []);
            let allowed = [Status::Running, Status::Stopped, Status::Broken].map(describe).join(", ");
            let text = format!("environment `{name}` is {}: it can be {verb} while it is {allowed}", describe(status));
            Failure::new(ErrorKind::EnvironmentStatus, text)
        }
        BeginError::Storage(error) => storage_failure(error),
    }
}

/// Why an environment did not come up.
pub(crate) fn up_failure(name: &EnvName, error: BringUpError) -> Failure {
    match error {
        BringUpError::Storage(error) => storage_failure(error),
        BringUpError::End(error) => down_failure(name, error),
        // What is wrong with the machine or the configuration is for the log.
        error @ (BringUpError::Launch { .. } | BringUpError::Ended { .. }) => {
            let text = format!("environment `{name}` was not started: {error}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(error)
        }
    }
}

/// Why not all of an environment ended.
pub(crate) fn down_failure(name: &EnvName, error: EndError) -> Failure {
    match error {
        EndError::Scan(error) => Failure::internal(error),
        EndError::Survivors(_) => {
            let text = format!("environment `{name}` was not stopped: {error}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(error)
        }
    }
}

fn describe(status: Status) -> String {
    format!("{} ({})", status.as_str(), status.number())
}
