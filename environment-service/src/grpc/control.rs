use std::sync::Arc;

use ::access::{AccountId, AccountPermit};
use proto::environment::v1::{EnvironmentInfo, WatchedEnvironment};
use proto::{ErrorKind, Failure};
use storage::StorageError;

use super::answer::{self, AnsweredTypes};
use crate::domain::{
    Desired, DriverKind, EnvName, Environment, EnvironmentSpec, NodeSpec, NodeType, NotOurs, Observed, QuotaExceeded,
    SelectionError, Status, Workload,
};
use crate::driver::{EndError, LaunchError, NoDriver, NodeError, Unfit};
use crate::operation::{BeginError, BringDownError, BringUpError, CreateError, Operations, StopError, UpdateError};
use crate::store::{self, GroupError};
use crate::watching::{Sight, Watchers};

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) operations: Operations,
    node_types: Arc<Vec<NodeType>>,
    pub(crate) answered_types: Arc<AnsweredTypes>,
    pub(crate) watchers: Watchers<WatchedEnvironment>,
}

impl Control {
    pub(crate) fn new(operations: Operations) -> Self {
        let mut node_types: Vec<NodeType> =
            operations.drivers.all().flat_map(|driver| driver.node_types()).cloned().collect();
        node_types.sort();
        node_types.dedup();
        let answered = |name: &NodeType| {
            let told = operations.drivers.all().find_map(|driver| driver.answered_type(name))?;
            Some((name.clone(), told))
        };
        let answered_types: Arc<AnsweredTypes> = Arc::new(node_types.iter().filter_map(answered).collect());
        let types = Arc::clone(&answered_types);
        let describe = Box::new(move |sight: Sight<'_>| answer::watched(sight, &types));
        let watchers = Watchers::new(operations.clone(), operations.watchers_per_account, describe);
        Self { operations, node_types: Arc::new(node_types), answered_types, watchers }
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

impl Control {
    /// The caller's environment.
    pub(crate) async fn environment(&self, permit: &AccountPermit, name: &EnvName) -> Result<Environment, Failure> {
        let found = self.operations.store.find(permit.account(), name).await.map_err(storage_failure)?;
        found.ok_or_else(|| not_found(name))
    }

    /// All about the environments that the caller's credential reaches.
    pub(crate) async fn infos(&self, permit: &AccountPermit) -> Result<Vec<EnvironmentInfo>, Failure> {
        let environments = self.operations.store.list(permit.account()).await.map_err(storage_failure)?;
        let mut infos = Vec::new();
        let reach = permit.confinement();
        let reached = |environment: &Environment| reach.reaches(environment.name.as_str());
        let environments: Vec<Environment> = environments.into_iter().filter(reached).collect();
        for (environment, seen) in environments.iter().zip(self.operations.observe_all(&environments).await) {
            infos.push(answer::info(environment, &seen, &self.answered_types));
        }
        Ok(infos)
    }
}

/// The name in a request's `envName`.
pub(crate) fn env_name(text: &str) -> Result<EnvName, Failure> {
    text.parse().map_err(|problem| Failure::invalid("envName", problem))
}

/// The same for an environment that is another account's.
pub(crate) fn not_found(name: &EnvName) -> Failure {
    not_found_as(name, "envName")
}

/// The same, where the name came in another parameter.
pub(crate) fn not_found_as(name: &EnvName, parameter: &'static str) -> Failure {
    Failure::new(ErrorKind::EnvironmentNotFound, format!("environment `{name}` does not exist"))
        .with("parameter", parameter)
}

/// What was there before is not ours to change or to remove.
pub(crate) fn not_ours(name: &EnvName, verb: &str, error: NotOurs) -> Failure {
    Failure::new(ErrorKind::PermissionDenied, format!("environment `{name}` is not {verb}: {error}"))
}

/// What is to be done needs an environment that runs.
pub(crate) fn not_running(name: &EnvName, verb: &str, desired: Desired) -> Failure {
    let status = Status::of_environment(None, desired, []);
    let allowed = [Status::Running, Status::Broken].map(describe).join(", ");
    let text = format!("environment `{name}` is {}: it can be {verb} while it is {allowed}", describe(status));
    Failure::new(ErrorKind::EnvironmentStatus, text)
}

/// The driver of an environment is not there any more: the operator's doing.
pub(crate) fn no_driver(error: NoDriver) -> Failure {
    Failure::internal(error)
}

/// Why an environment was not stopped, or put to sleep.
pub(crate) fn stop_failure(name: &EnvName, verb: &str, error: StopError) -> Failure {
    match error {
        StopError::Begin(error) => begin_failure(name, verb, error),
        StopError::Down(error) => down_failure(name, error),
        error @ StopError::Torn(_) => Failure::internal(error),
    }
}

/// Why something about nodes was not changed; what was wrong came in this parameter.
pub(crate) fn update_failure(name: &EnvName, parameter: &str, error: UpdateError) -> Failure {
    match error {
        UpdateError::Begin(error) => begin_failure(name, "changed", error),
        UpdateError::NotOurs(error) => not_ours(name, "changed", error),
        UpdateError::Selection(error) => selection_failure(error),
        UpdateError::Variables(problem) => Failure::invalid(parameter, problem),
        UpdateError::Unfit(problem) => Failure::invalid(parameter, problem),
        UpdateError::Node(environment, error) => node_failure(&environment, error),
        UpdateError::Quota(exceeded) => quota_failure(exceeded),
        UpdateError::Storage(error) => storage_failure(error),
        error @ (UpdateError::Driver(_) | UpdateError::Torn(_)) => Failure::internal(error),
    }
}

impl Control {
    /// What is to run an environment: the first driver that can run all of its nodes.
    pub(crate) fn driver_for(&self, account: AccountId, spec: &EnvironmentSpec) -> Result<DriverKind, Failure> {
        let policy = self.operations.policies.of(account);
        let mut first = None;
        for driver in policy.drivers.iter().filter_map(|kind| self.operations.drivers.get(*kind).ok()) {
            let unfit = |node: &NodeSpec| {
                let Workload { node_type, image, .. } = &node.workload;
                let field = if image.is_some() { "docker.image" } else { "nodeType" };
                let unfit = |problem: String| Some((field, Unfit(problem)));
                if image.is_none() && !policy.allows(node_type) {
                    return unfit(format!("must be a template that the account may use, and `{node_type}` is none"));
                }
                if let Some(image) = image.as_ref().filter(|image| !policy.allows_image(image)) {
                    return unfit(format!("must be an image that the account may run, and `{image}` is none"));
                }
                let accepted = driver.accepts(&node.workload).map_err(|unfit| (field, unfit));
                accepted.and_then(|()| driver.accepts_variables(&node.workload).map_err(|unfit| ("env", unfit))).err()
            };
            match spec.nodes().iter().enumerate().find_map(|(index, node)| Some((index, unfit(node)?))) {
                None => return Ok(driver.kind()),
                // Told is why that one does not run it that could run the most of it.
                Some(found) if first.as_ref().is_none_or(|(index, _)| found.0 >= *index) => first = Some(found),
                Some(_) => (),
            }
        }
        let none = || (0, ("nodeType", Unfit("cannot be run: no driver is configured".to_owned())));
        let (index, (field, unfit)) = first.unwrap_or_else(none);
        Err(Failure::invalid(&format!("nodes[{index}].{field}"), unfit))
    }
}

/// Why an environment was not made; its name came in this parameter.
pub(crate) fn create_failure(name: &EnvName, parameter: &str, error: CreateError) -> Failure {
    match error {
        CreateError::Record(store::CreateError::NameTaken) => {
            Failure::new(ErrorKind::AlreadyExists, format!("the name `{name}` is taken")).with("parameter", parameter)
        }
        CreateError::Record(store::CreateError::Quota(exceeded)) => quota_failure(exceeded),
        CreateError::Record(store::CreateError::Storage(error)) => storage_failure(error),
        CreateError::Prepare(LaunchError::Unreachable(what, error)) => Failure::unavailable(what, error),
        CreateError::Prepare(error) => {
            let text = format!("environment `{name}` was not made: {error}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(error)
        }
        CreateError::Up(error) => up_failure(name, error),
        error @ CreateError::Torn(_) => Failure::internal(error),
    }
}

/// The account would have more than it may.
fn quota_failure(exceeded: QuotaExceeded) -> Failure {
    Failure::new(ErrorKind::QuotaExceeded, exceeded.to_string())
}

/// Why groups were not made, or an environment not put into them.
pub(crate) fn group_failure(error: GroupError) -> Failure {
    match error {
        GroupError::Quota(exceeded) => quota_failure(exceeded),
        GroupError::Storage(error) => storage_failure(error),
    }
}

/// There are no such nodes.
#[expect(clippy::needless_pass_by_value, reason = "it is what becomes of an error")]
pub(crate) fn selection_failure(error: SelectionError) -> Failure {
    let parameter = match error {
        SelectionError::NoNode(_) => "nodeId",
        SelectionError::NoGroup(_) => "nodeGroup",
    };
    Failure::new(ErrorKind::ObjectNotFound, error.to_string()).with("parameter", parameter)
}

/// Why something was not done with a node of this environment.
pub(crate) fn node_failure(environment: &Environment, error: NodeError) -> Failure {
    match error {
        NodeError::NotRunning => {
            let status = Status::of_node(environment.operation, environment.desired, &Observed::Absent);
            let text = format!(
                "a node of `{}` is {}: that can be done while it is {}",
                environment.name,
                describe(status),
                describe(Status::Running)
            );
            Failure::new(ErrorKind::EnvironmentStatus, text)
        }
        NodeError::InUse => {
            let text = format!(
                "the node is {} and uses more memory than it would have: that can be done while it is {}",
                describe(Status::Running),
                describe(Status::Stopped)
            );
            Failure::new(ErrorKind::EnvironmentStatus, text)
        }
        NodeError::Refused(text) => Failure::new(ErrorKind::PermissionDenied, text),
        NodeError::NoFile => Failure::new(ErrorKind::ObjectNotFound, error.to_string()).with("parameter", "path"),
        NodeError::Unreachable(what, error) => Failure::unavailable(what, error),
        NodeError::Failed(error) => Failure::internal(error),
    }
}

/// An outage of the database is an outage, never an answer.
pub(crate) fn storage_failure(error: StorageError) -> Failure {
    if error.is_unavailable() {
        Failure::unavailable("the environment service", error)
    } else {
        Failure::internal(error)
    }
}

/// The verb of a restart.
pub(crate) const RESTARTED: &str = "restarted";

/// Why an operation on an environment was not begun. The verb is what was asked for: "started".
pub(crate) fn begin_failure(name: &EnvName, verb: &str, error: BeginError) -> Failure {
    match error {
        BeginError::NotFound => not_found(name),
        BeginError::Busy(operation) => {
            let status = Status::of_environment(Some(operation), Desired::Stopped, []);
            let at_rest = [Status::Running, Status::Broken, Status::Stopped, Status::Asleep];
            // What is not meant to run is not restarted.
            let allowed = if verb == RESTARTED { &at_rest[..2] } else { &at_rest };
            let allowed: Vec<String> = allowed.iter().copied().map(describe).collect();
            let allowed = allowed.join(", ");
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
        BringUpError::End(error) => down_failure(name, error.into()),
        BringUpError::Driver(error) => Failure::internal(error),
        BringUpError::Unseen(kind) => Failure::unavailable(kind.as_str(), error_of_unseen(kind)),
        BringUpError::Launch { source: LaunchError::Unreachable(what, error), .. } => Failure::unavailable(what, error),
        // These say by themselves what they tell a caller.
        BringUpError::Launch { node, source: source @ (LaunchError::Refused(_) | LaunchError::Failed(..)) } => {
            let text = format!("environment `{name}` was not started: {node} could not be launched: {source}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(source)
        }
        // What is wrong with the machine or the configuration is for the log.
        error @ (BringUpError::Launch { .. } | BringUpError::Ended { .. }) => {
            let text = format!("environment `{name}` was not started: {error}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(error)
        }
    }
}

/// Why not all of an environment ended.
pub(crate) fn down_failure(name: &EnvName, error: BringDownError) -> Failure {
    match error {
        BringDownError::Driver(error) => Failure::internal(error),
        BringDownError::Unseen(kind) => Failure::unavailable(kind.as_str(), error_of_unseen(kind)),
        BringDownError::Storage(error) => storage_failure(error),
        BringDownError::End(EndError::Unreachable(what, error)) => Failure::unavailable(what, error),
        BringDownError::End(EndError::Scan(error)) => Failure::internal(error),
        BringDownError::End(EndError::Group(error)) => Failure::internal(error),
        BringDownError::End(error @ (EndError::Survivors(_) | EndError::Failed(..))) => {
            let text = format!("environment `{name}` was not stopped: {error}");
            Failure::new(ErrorKind::EnvironmentFailed, text).because(error)
        }
    }
}

fn error_of_unseen(kind: DriverKind) -> BringDownError {
    BringDownError::Unseen(kind)
}

fn describe(status: Status) -> String {
    format!("{} ({})", status.as_str(), status.number())
}
