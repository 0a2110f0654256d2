//! What really runs an environment's nodes. A driver knows nothing of accounts, calls and records: it launches, observes and
//! ends what it is told to, and finds again what it launched before a crash.

#[cfg(test)]
mod conformance;
mod docker;
mod error;
mod kubernetes;
mod port;
mod process;
mod template;
mod traced;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use access::AccountId;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

pub use docker::{ComposeProject, DockerTemplate};
pub(crate) use docker::{DockerDriver, DockerSettings};
pub use error::ScanError;
pub(crate) use error::{ClearError, EndError, LaunchError, NodeError, Unfit};
pub use kubernetes::KubernetesError;
pub(crate) use kubernetes::{Adoptable, KubernetesDriver, KubernetesSettings};
pub(crate) use process::{Bounding, BoundingSettings, LogLimits, ProcessDriver, ProcessSettings};
pub use process::{OpenError, Template};
pub use template::{Restart, TemplateError};
pub(crate) use traced::traced;

use crate::domain::{
    Cloudlets, DriverKind, EnvName, Environment, EnvironmentId, ImageName, Instance, Launch, LaunchId, Node,
    NodeGroupName, NodeId, NodeType, Observed, Operation, Tag, Workload,
};

/// A node that is to be launched.
#[derive(Clone, Debug)]
pub(crate) struct LaunchOrder {
    /// The mark of this launch.
    pub(crate) launch: LaunchId,
    /// The environment's identity.
    pub(crate) environment_id: EnvironmentId,
    /// The environment.
    pub(crate) environment: EnvName,
    /// The account that owns it.
    pub(crate) account: AccountId,
    /// The node.
    pub(crate) node: NodeId,
    /// The group that it belongs to.
    pub(crate) group: NodeGroupName,
    /// What it runs.
    pub(crate) workload: Workload,
    /// How large it is.
    pub(crate) cloudlets: Cloudlets,
    /// The port that it is to listen on.
    pub(crate) port: Option<u16>,
    /// What the driver calls it, where it was there before.
    pub(crate) adopted: Option<String>,
    /// Whether it is launched to have another version: what was there before keeps the one that it has otherwise, which others
    /// may have given it.
    pub(crate) versioned: bool,
}

impl LaunchOrder {
    /// The order to launch a node as it is recorded.
    pub(crate) fn new(NodeAt { environment, node }: NodeAt<'_>, launch: LaunchId, port: Option<u16>) -> Self {
        Self {
            launch,
            environment_id: environment.id,
            environment: environment.name.clone(),
            account: environment.account,
            node: node.id,
            group: node.group.clone(),
            workload: node.workload.clone(),
            cloudlets: node.cloudlets,
            port,
            adopted: node.adopted.clone(),
            versioned: environment.operation == Some(Operation::Redeploy),
        }
    }
}

/// A launch that has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The launch.
    pub(crate) launch: LaunchId,
    /// How it ended, to be read after the node's name.
    pub(crate) reason: String,
}

/// A node, as it is recorded, of an environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeAt<'a> {
    /// The environment.
    pub(crate) environment: &'a Environment,
    /// The node.
    pub(crate) node: &'a Node,
}

/// A command that is to be run in a node that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program.
    pub(crate) program: String,
    /// Its arguments. No shell is between.
    pub(crate) arguments: Vec<String>,
    /// How long it may take before it is ended.
    pub(crate) time: Duration,
    /// How many bytes of each output are kept.
    pub(crate) most_output: usize,
}

/// What a command has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its exit code; 128 and the number for a signal.
    pub(crate) code: i32,
    /// What it has written.
    pub(crate) out: Vec<u8>,
    /// What it has written as errors.
    pub(crate) error: Vec<u8>,
}

/// A log that a node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// The path that it is read by.
    pub(crate) path: String,
    /// How many bytes it has, where that is known.
    pub(crate) size: u64,
    /// When it was last written to, where that is known.
    pub(crate) modified_at: Option<Timestamp>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Where it begins, in bytes. `None`: so far from the end that it goes up to it.
    pub(crate) from: Option<u64>,
    /// How many bytes at most.
    pub(crate) count: usize,
}

/// What a driver has discovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Discovery {
    /// The environments that were there before.
    pub(crate) found: Vec<Discovered>,
    /// What the driver calls those that it may not look at: they need not be gone.
    pub(crate) unseen: Vec<String>,
}

/// An environment that was there before: not made by this service, but for it to control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discovered {
    /// What the driver calls it.
    pub(crate) key: String,
    /// The name that it should have, if that can be one and is free.
    pub(crate) name: String,
    /// The account that it was given to.
    pub(crate) account: AccountId,
    /// Its nodes.
    pub(crate) nodes: Vec<DiscoveredNode>,
}

/// A node that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiscoveredNode {
    /// What the driver calls it.
    pub(crate) key: String,
    /// The group.
    pub(crate) group: NodeGroupName,
    /// The image that it runs, where that has a name, and its version.
    pub(crate) image: Option<(ImageName, Tag)>,
    /// Its place in the order of starts.
    pub(crate) rank: i32,
    /// What runs of it at present.
    pub(crate) instance: Option<Instance>,
    /// The port of this machine by which it is reached.
    pub(crate) port: Option<u16>,
}

/// Runs nodes.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Which it is.
    fn kind(&self) -> DriverKind;

    /// The names of the templates that it can run.
    fn node_types(&self) -> Vec<&NodeType>;

    /// What nodes of a template answer as their type, where that is not the template's name.
    fn answered_type(&self, _template: &NodeType) -> Option<NodeType> {
        None
    }

    /// Whether it can run this, and may.
    ///
    /// # Errors
    /// Says what is wrong with it.
    fn accepts(&self, workload: &Workload) -> Result<(), Unfit>;

    /// Whether a node that was there before can be brought to this, and may.
    ///
    /// # Errors
    /// Says what is wrong with it.
    fn accepts_adopted(&self, workload: &Workload) -> Result<(), Unfit> {
        self.accepts(workload)
    }

    /// Whether what a node runs may be given the variables that its owner has set.
    ///
    /// # Errors
    /// Says what is wrong with them.
    fn accepts_variables(&self, _workload: &Workload) -> Result<(), Unfit> {
        Ok(())
    }

    /// For each node, a port that is free for it: if possible the one that it had. None for what listens on no port.
    /// An error says the index of the node that there is no port for.
    fn ports(&self, nodes: &[(&Workload, Option<u16>)]) -> Result<Vec<Option<u16>>, (usize, LaunchError)>;

    /// Sees to what launches of this need and takes its time: an image that is not there yet.
    fn prepare<'a>(&'a self, workload: &'a Workload) -> BoxFuture<'a, Result<(), LaunchError>>;

    /// Launches a node, or starts again what is kept of it. Nothing of it is left running where that fails.
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> BoxFuture<'a, Result<Instance, LaunchError>>;

    /// Restarts what was launched in its own way, with what is recorded of it now, where the driver has one that is better than to
    /// end it and launch it again: one that leaves no gap.
    fn restart<'a>(
        &'a self,
        _order: &'a LaunchOrder,
        _launch: &'a Launch,
    ) -> Option<BoxFuture<'a, Result<(), LaunchError>>> {
        None
    }

    /// Waits whether one of these launches ends by itself within this time; one that tells its health has until it is healthy.
    fn ended_within<'a>(&'a self, launches: &'a [Launch], time: Duration) -> BoxFuture<'a, Option<Ended>>;

    /// Ends what runs of launches that are not among these, all that are recorded, where the driver finds such: nobody would ever
    /// ask for them again.
    fn end_others<'a>(&'a self, _recorded: &'a HashSet<LaunchId>) -> BoxFuture<'a, Result<(), EndError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Finds what was launched under these marks and never recorded, and still runs. Also without any mark it is an error where
    /// whoever runs nodes does not answer.
    fn find<'a>(
        &'a self,
        launches: &'a [(NodeId, LaunchId)],
    ) -> BoxFuture<'a, Result<HashMap<LaunchId, Instance>, ScanError>>;

    /// What can be seen of these launches, in their order.
    fn observe<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Vec<Observed>>;

    /// Ends all that runs of these launches: when it answers, it has ended.
    fn end<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Result<(), EndError>>;

    /// Removes all that is kept for an environment, whose launches have been ended.
    fn clear<'a>(&'a self, environment: &'a Environment) -> BoxFuture<'a, Result<(), ClearError>>;

    /// Runs a command in a node that runs.
    fn exec<'a>(&'a self, node: NodeAt<'a>, command: &'a Command) -> BoxFuture<'a, Result<Output, NodeError>>;

    /// The logs that a node has.
    fn logs<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<Vec<LogFile>, NodeError>>;

    /// Reads a part of a log of a node's, by its path.
    fn read_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>>;

    /// Reads a file of a node's, which nothing of the machine's is.
    fn read_file<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>>;

    /// Makes a node that runs as large as it is recorded to be now, where that is possible without another launch.
    fn resize<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<(), NodeError>>;

    /// The environments that were there before, for this service to control.
    fn discover(&self) -> BoxFuture<'_, Result<Discovery, ScanError>>;

    /// Whether a node that has ended by itself is to be launched again. An engine that sees to it by itself says no.
    fn restarts(&self, _node: &Node) -> bool {
        false
    }

    /// Whether a launch makes what is left of a node what it is to be, so that nothing has to be ended before: what still runs of a
    /// node that is not what it should be goes on until then, and where the launch fails.
    fn launches_over(&self) -> bool {
        false
    }

    /// Tells whenever what is seen of anything may have changed.
    fn changes(&self) -> watch::Receiver<()>;
}

/// The drivers that this service has, one of each kind.
#[derive(Clone, Default)]
pub(crate) struct Drivers(Arc<BTreeMap<DriverKind, Arc<dyn Driver>>>);

/// The environment's driver is not configured any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the driver `{}` is not configured any more", .0.as_str())]
pub(crate) struct NoDriver(pub(crate) DriverKind);

impl Drivers {
    pub(crate) fn new(drivers: impl IntoIterator<Item = Arc<dyn Driver>>) -> Self {
        Self(Arc::new(drivers.into_iter().map(|driver| (driver.kind(), driver)).collect()))
    }

    /// Every one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.0.values()
    }

    /// Resolves when what is seen of anything may have changed since the receivers were last asked.
    pub(crate) async fn changed(receivers: &mut [watch::Receiver<()>]) {
        let each = receivers.iter_mut().map(|receiver| {
            Box::pin(async move {
                if receiver.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(each).await;
    }

    /// The one of a kind.
    pub(crate) fn get(&self, kind: DriverKind) -> Result<&Arc<dyn Driver>, NoDriver> {
        self.0.get(&kind).ok_or(NoDriver(kind))
    }

    /// The one that runs an environment.
    pub(crate) fn of(&self, environment: &Environment) -> Result<&Arc<dyn Driver>, NoDriver> {
        self.get(environment.driver)
    }
}
