//! What an environment is, and what there is to be done about one. Pure: no clock, no disk, no network.

mod environment;
mod name;
mod plan;
mod spec;
mod status;

pub(crate) use environment::{
    Desired, Environment, EnvironmentId, Instance, Launch, LaunchId, Node, NodeId, Operation,
};
pub(crate) use name::{DisplayName, EnvName, NodeGroupName, NodeType};
pub(crate) use plan::{Action, Observed, plan};
pub(crate) use spec::MAX_COUNT;
pub(crate) use spec::{Cloudlets, CloudletsError, EnvironmentSpec, NodeCount, NodeSpec};
pub(crate) use status::Status;
