use std::fmt;
use std::str::FromStr;

use access::AccountId;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Cloudlets, EnvGroup, EnvName, NodeGroupName, Tag, Workload};

/// An environment's identity. It is never given again, unlike the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EnvironmentId(pub(crate) Uuid);

/// A node's number, unique within the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) i64);

/// One launch of a node. What is launched carries it as a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaunchId(pub(crate) Uuid);

/// What a driver calls what it launched, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Instance(pub(crate) String);

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LaunchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// An environment, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Its identity.
    pub(crate) id: EnvironmentId,
    /// Its name.
    pub(crate) name: EnvName,
    /// The account that made and owns it.
    pub(crate) account: AccountId,
    /// Its name for people.
    pub(crate) display_name: String,
    /// Whether it was asked to be highly available.
    pub(crate) highly_available: bool,
    /// Whether it was asked to be reached by TLS.
    pub(crate) tls: bool,
    /// What it is meant to be while no operation is under way.
    pub(crate) desired: Desired,
    /// The operation that is under way.
    pub(crate) operation: Option<Operation>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// What runs it.
    pub(crate) driver: DriverKind,
    /// What the driver calls it, where it was there before and is not ours to make or to remove.
    pub(crate) adopted: Option<String>,
    /// The environment groups that it is in, by name.
    pub(crate) groups: Vec<EnvGroup>,
    /// Its nodes, by number.
    pub(crate) nodes: Vec<Node>,
}

/// What can run an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum DriverKind {
    /// Processes of this machine.
    Process,
    /// Containers of a Docker engine.
    Docker,
    /// Workloads of a Kubernetes cluster.
    Kubernetes,
}

/// A node, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its number.
    pub(crate) id: NodeId,
    /// The group that it belongs to.
    pub(crate) group: NodeGroupName,
    /// What it runs.
    pub(crate) workload: Workload,
    /// The version that it had before the redeployment that is under way.
    pub(crate) former_tag: Option<Tag>,
    /// Its place in the order in which nodes are started: lower ones first, and stopped last.
    pub(crate) rank: i32,
    /// What the driver calls it, where it was there before.
    pub(crate) adopted: Option<String>,
    /// Its name for people.
    pub(crate) display_name: String,
    /// How large it is.
    pub(crate) cloudlets: Cloudlets,
    /// The port that it was last given to listen on.
    pub(crate) port: Option<u16>,
    /// The last launch that has not been ended.
    pub(crate) launch: Option<Launch>,
    /// Whether that was told to end: it may end at any time then, and is not what was launched any more.
    pub(crate) ending: bool,
}

/// A launch, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The mark. It is recorded before anything is launched.
    pub(crate) id: LaunchId,
    /// What was launched, recorded after it. Absent where the service was torn away in between.
    pub(crate) instance: Option<Instance>,
}

/// What an environment is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Desired {
    /// Every node runs.
    Running,
    /// None does.
    Stopped,
    /// None does, until it is started again: what is put to sleep is told apart from what is stopped.
    Sleeping,
}

impl DriverKind {
    /// Whether nodes that were there before can be given other versions, variables and sizes. What Docker Compose has made, it
    /// alone can make anew.
    #[must_use]
    pub(crate) fn changes_adopted(self) -> bool {
        self != Self::Docker
    }
}

/// An environment that was there before is another's to change or to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not made here but by {}, which alone {what}", owner(*.driver))]
pub(crate) struct NotOurs {
    driver: DriverKind,
    what: &'static str,
}

fn owner(driver: DriverKind) -> &'static str {
    match driver {
        DriverKind::Process => "another",
        DriverKind::Docker => "Docker Compose",
        DriverKind::Kubernetes => "whoever has its namespace",
    }
}

impl Environment {
    /// # Errors
    /// Where it was there before, and so is not ours to remove.
    pub(crate) fn may_be_removed(&self) -> Result<(), NotOurs> {
        let not_ours = NotOurs { driver: self.driver, what: "removes it" };
        if self.adopted.is_some() { Err(not_ours) } else { Ok(()) }
    }

    /// # Errors
    /// Where it was there before, and its nodes are not ours to change.
    pub(crate) fn may_be_changed(&self) -> Result<(), NotOurs> {
        let not_ours = NotOurs { driver: self.driver, what: "changes its nodes" };
        if self.adopted.is_some() && !self.driver.changes_adopted() { Err(not_ours) } else { Ok(()) }
    }
}

impl Desired {
    /// Whether nodes are meant to run.
    #[must_use]
    pub(crate) fn is_running(self) -> bool {
        self == Self::Running
    }
}

/// What is being done to an environment. There is one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It is started for the first time; if it fails, the environment is forgotten.
    Create,
    /// It is started.
    Start,
    /// It is stopped.
    Stop,
    /// It is put to sleep.
    Sleep,
    /// It is stopped and forgotten.
    Delete,
    /// It is made as a copy of another; if that fails, it is forgotten.
    Clone,
    /// Nodes of it are ended and launched again.
    Restart,
    /// Nodes of it are brought to another version.
    Redeploy,
    /// Something about it is changed.
    Update,
}

/// A word in the records that has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word `{0}`")]
pub(crate) struct UnknownWord(String);

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ }) => {
        impl $name {
            /// The word that stands for it in records and logs.
            #[must_use]
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(word.to_owned())),
                }
            }
        }
    };
}

words!(Desired { Running = "running", Stopped = "stopped", Sleeping = "sleeping" });
words!(DriverKind { Process = "process", Docker = "docker", Kubernetes = "kubernetes" });
words!(Operation {
    Create = "create",
    Start = "start",
    Stop = "stop",
    Sleep = "sleep",
    Delete = "delete",
    Clone = "clone",
    Restart = "restart",
    Redeploy = "redeploy",
    Update = "update"
});
