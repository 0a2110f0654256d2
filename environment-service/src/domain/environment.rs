use std::fmt;
use std::str::FromStr;

use access::AccountId;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Cloudlets, EnvName, NodeGroupName, NodeType};

/// An environment's identity. It is never given again, unlike the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnvironmentId(pub Uuid);

/// A node's number, unique within the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i64);

/// One launch of a node. What is launched carries it as a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaunchId(pub Uuid);

/// What a driver calls what it launched, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance(pub String);

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
pub struct Environment {
    /// Its identity.
    pub id: EnvironmentId,
    /// Its name.
    pub name: EnvName,
    /// The account that made and owns it.
    pub account: AccountId,
    /// Its name for people.
    pub display_name: String,
    /// Whether it was asked to be highly available.
    pub highly_available: bool,
    /// Whether it was asked to be reached by TLS.
    pub tls: bool,
    /// What it is meant to be while no operation is under way.
    pub desired: Desired,
    /// The operation that is under way.
    pub operation: Option<Operation>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its nodes, by number.
    pub nodes: Vec<Node>,
}

/// A node, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// The group that it belongs to.
    pub group: NodeGroupName,
    /// What it runs.
    pub node_type: NodeType,
    /// Its name for people.
    pub display_name: String,
    /// How large it is.
    pub cloudlets: Cloudlets,
    /// The port that it was last given to listen on.
    pub port: Option<u16>,
    /// The last launch that has not been ended.
    pub launch: Option<Launch>,
}

/// A launch, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The mark. It is recorded before anything is launched.
    pub id: LaunchId,
    /// What was launched, recorded after it. Absent where the service was torn away in between.
    pub instance: Option<Instance>,
}

/// What an environment is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Every node runs.
    Running,
    /// None does.
    Stopped,
}

/// What is being done to an environment. There is one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is started for the first time; if it fails, the environment is forgotten.
    Create,
    /// It is started.
    Start,
    /// It is stopped.
    Stop,
    /// It is stopped and forgotten.
    Delete,
}

/// A word in the records that has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word `{0}`")]
pub struct UnknownWord(String);

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ }) => {
        impl $name {
            /// The word that stands for it in records and logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
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

words!(Desired { Running = "running", Stopped = "stopped" });
words!(Operation { Create = "create", Start = "start", Stop = "stop", Delete = "delete" });
