//! What an environment is, and what there is to be done about one. Pure: no clock, no disk, no network.

mod environment;
mod name;
mod plan;
mod spec;
mod status;

pub use environment::{
    Desired, Environment, EnvironmentId, Instance, Launch, LaunchId, Node, NodeId, Operation, UnknownWord,
};
pub use name::{DisplayName, EnvName, InvalidDisplayName, InvalidName, InvalidNodeType, NodeGroupName, NodeType};
pub use plan::{Action, Observed, plan};
pub use spec::{Cloudlets, CloudletsError, EnvironmentSpec, InvalidCount, NodeCount, NodeSpec, SpecError};
pub use status::Status;
