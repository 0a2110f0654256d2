//! What an environment is, and what there is to be done about one. Pure: no clock, no disk, no network.

mod environment;
mod name;
mod pattern;
mod plan;
mod policy;
mod selection;
mod spec;
mod status;
mod workload;

pub(crate) use environment::{
    Desired, DriverKind, Environment, EnvironmentId, Instance, Launch, LaunchId, Node, NodeId, NotOurs, Operation,
};
pub(crate) use name::{
    DisplayName, EnvGroup, EnvName, ImageName, InvalidNodeType, NodeGroupName, NodeType, Tag, labels_near,
};
pub(crate) use pattern::ImagePatterns;
pub use pattern::{ImagePattern, VariablePattern};
pub(crate) use plan::{Action, Observed, plan};
pub(crate) use policy::{Holdings, Policies, Policy, Quota, QuotaExceeded};
pub(crate) use selection::{Selection, SelectionError};
pub(crate) use spec::MAX_COUNT;
pub(crate) use spec::{Cloudlets, CloudletsError, EnvironmentSpec, NodeCount, NodeSpec};
pub(crate) use status::Status;
pub(crate) use workload::{VariableError, Variables, Workload, is_reserved};
