//! Why a driver does not do what it is told to.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::domain::NodeType;

/// Why a driver does not run something: what is wrong, to be read after the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(pub(crate) String);

/// Why something was not done with a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// It does not run.
    #[error("the node does not run")]
    NotRunning,
    /// It uses more than it would have.
    #[error("the node uses more memory than it would have: stop it first, or give it more")]
    InUse,
    /// The operator or the driver does not allow it; the text says why, and is for the caller.
    #[error("{0}")]
    Refused(String),
    /// There is no such file.
    #[error("there is no such file")]
    NoFile,
    /// Whoever runs the node does not answer.
    #[error("{0} does not answer")]
    Unreachable(&'static str, #[source] Box<dyn Error + Send + Sync>),
    /// It failed.
    #[error("it failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
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
    /// It could not be held to its cloudlets.
    #[error("it could not be held to its cloudlets")]
    Bounds(#[source] cgroup::LimitError),
    /// It may not be run any more; the text says why, and is for the caller.
    #[error("it may not be run: {0}")]
    Refused(#[from] Unfit),
    /// Whoever is to run it does not answer.
    #[error("{0} does not answer")]
    Unreachable(&'static str, #[source] Box<dyn Error + Send + Sync>),
    /// Whoever is to run it does not; the text says why, and is for the caller.
    #[error("it could not be run: {0}")]
    Failed(String, #[source] Box<dyn Error + Send + Sync>),
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
    /// Whoever runs nodes does not answer.
    #[error("{0} does not answer")]
    Unreachable(&'static str, #[source] Box<dyn Error + Send + Sync>),
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
    /// Whoever runs it does not answer.
    #[error("{0} does not answer")]
    Unreachable(&'static str, #[source] Box<dyn Error + Send + Sync>),
    /// Its control group does not say what is in it.
    #[error("what is left could not be found: its control group cannot be read")]
    Group(#[source] io::Error),
    /// Whoever runs it did not end it; the text says why, and is for the caller.
    #[error("it could not be ended: {0}")]
    Failed(String, #[source] Box<dyn Error + Send + Sync>),
    /// Not even SIGKILL ended it.
    #[error("{} did not end when killed", processes(.0))]
    Survivors(Vec<i32>),
}

/// Why something of an environment is still kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClearError {
    /// Its folder could not be removed.
    #[error("the folder {0} could not be removed")]
    Folder(PathBuf, #[source] io::Error),
    /// Whoever keeps it does not answer.
    #[error("{0} does not answer")]
    Unreachable(&'static str, #[source] Box<dyn Error + Send + Sync>),
    /// It could not be removed.
    #[error("it could not be removed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

fn processes(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!("process {}", pids.join(", "))
}
