//! What really runs an environment's nodes. A driver knows nothing of accounts, calls and records: it launches, observes and
//! ends what it is told to, and finds again what it launched before a crash.

mod process;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;

pub use process::{OpenError, Template, TemplateError};
pub(crate) use process::{ProcessDriver, ProcessSettings};

use crate::domain::{EnvName, Instance, Launch, LaunchId, NodeGroupName, NodeId, NodeType, Observed};

/// A node that is to be launched.
#[derive(Clone, Debug)]
pub(crate) struct LaunchOrder {
    /// The mark of this launch.
    pub(crate) launch: LaunchId,
    /// The environment.
    pub(crate) environment: EnvName,
    /// The node.
    pub(crate) node: NodeId,
    /// The group that it belongs to.
    pub(crate) group: NodeGroupName,
    /// What it runs.
    pub(crate) node_type: NodeType,
    /// The port that it is to listen on.
    pub(crate) port: Option<u16>,
}

/// A launch that has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The launch.
    pub(crate) launch: LaunchId,
    /// How it ended, to be read after the node's name.
    pub(crate) reason: String,
}

/// Runs nodes.
pub(crate) trait Driver: Send + Sync + 'static {
    /// The names of what it can run.
    fn node_types(&self) -> Vec<&NodeType>;

    /// For each node type, a port that is free for it: if possible the one that it had. None for what listens on no port.
    /// An error says the index of the node that there is no port for.
    fn ports(&self, nodes: &[(&NodeType, Option<u16>)]) -> Result<Vec<Option<u16>>, (usize, LaunchError)>;

    /// Launches a node. Nothing of it is left behind where that fails.
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> BoxFuture<'a, Result<Instance, LaunchError>>;

    /// Waits whether one of these launches ends by itself within this time.
    fn ended_within<'a>(&'a self, launches: &'a [Launch], time: Duration) -> BoxFuture<'a, Option<Ended>>;

    /// Finds what was launched under these marks and never recorded, and still runs.
    fn find<'a>(&'a self, launches: &'a [LaunchId]) -> BoxFuture<'a, Result<HashMap<LaunchId, Instance>, ScanError>>;

    /// What can be seen of these launches, in their order.
    fn observe<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Vec<Observed>>;

    /// Ends all that is left of these launches: when it answers, it is gone.
    fn end<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Result<(), EndError>>;

    /// Removes all that is kept for an environment, whose launches have been ended.
    fn clear<'a>(&'a self, environment: &'a EnvName) -> BoxFuture<'a, Result<(), ClearError>>;
}

/// Why a node was not launched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The configuration has no such template any more.
    #[error("there is no template `{0}` any more")]
    UnknownNodeType(NodeType),
    /// No port is free.
    #[error("no free port was found")]
    Port(#[source] io::Error),
    /// Its folder could not be made.
    #[error("its folder {0} could not be made")]
    Folder(PathBuf, #[source] io::Error),
    /// Its log could not be opened.
    #[error("its log {0} could not be opened")]
    Log(PathBuf, #[source] io::Error),
    /// Its command could not be run.
    #[error("its command `{0}` could not be run")]
    Spawn(String, #[source] io::Error),
    /// It was run, and ended again since it could not be watched.
    #[error("it could not be watched")]
    Watch(#[source] io::Error),
}

/// Why the machine could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The table of processes could not be read.
    #[error("the table of processes could not be read")]
    Table(#[source] procfs::ProcError),
    /// The search was torn away.
    #[error("the search did not end")]
    Torn(#[source] tokio::task::JoinError),
}

/// Why something of a launch may be left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// The machine could not be searched.
    #[error("what is left could not be found")]
    Scan(#[from] ScanError),
    /// Not even SIGKILL ended it.
    #[error("{} did not end when killed", processes(.0))]
    Survivors(Vec<i32>),
}

/// Why something of an environment is still kept.
#[derive(Debug, thiserror::Error)]
#[error("the folder {0} could not be removed")]
pub(crate) struct ClearError(pub(crate) PathBuf, #[source] pub(crate) io::Error);

fn processes(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!("process {}", pids.join(", "))
}
