//! Parameters that several methods take.

use std::collections::HashMap;

use proto::Failure;

use crate::domain::{Cloudlets, CloudletsError, EnvGroup, NodeGroupName, NodeId, Selection, Variables};

/// An empty text is as good as none.
pub(crate) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// The most environment groups in one call.
const MAX_GROUPS: usize = 64;

/// Names of environment groups.
pub(crate) fn env_groups(names: &[String], parameter: &str) -> Result<Vec<EnvGroup>, Failure> {
    if names.len() > MAX_GROUPS {
        return Err(Failure::invalid(parameter, format!("must not name more than {MAX_GROUPS} groups")));
    }
    let group = |name: &String| name.parse().map_err(|problem| Failure::invalid(parameter, problem));
    names.iter().map(group).collect()
}

/// A node's cloudlets; `key` makes a field's name a parameter's.
pub(crate) fn cloudlets(
    fixed: Option<i32>,
    flexible: Option<i32>,
    key: impl Fn(&str) -> String,
) -> Result<Cloudlets, Failure> {
    Cloudlets::new(fixed, flexible).map_err(|problem| match problem {
        CloudletsError::Fixed => Failure::invalid(&key("fixedCloudlets"), problem),
        CloudletsError::Flexible | CloudletsError::FlexibleBelowFixed => {
            Failure::invalid(&key("flexibleCloudlets"), problem)
        }
    })
}

/// Variables.
pub(crate) fn variables(variables: HashMap<String, String>, parameter: &str) -> Result<Variables, Failure> {
    Variables::new(variables).map_err(|problem| Failure::invalid(parameter, problem))
}

/// The nodes that a call means: a node's number wins over a group's name. `None`: neither is given.
pub(crate) fn selection(node: Option<i64>, group: Option<&str>) -> Result<Option<Selection>, Failure> {
    match (node, given(group)) {
        (Some(node), _) => Ok(Some(Selection::Node(NodeId(node)))),
        (None, Some(group)) => node_group(group).map(Selection::Group).map(Some),
        (None, None) => Ok(None),
    }
}

/// The name of a node group.
pub(crate) fn node_group(name: &str) -> Result<NodeGroupName, Failure> {
    name.parse().map_err(|problem| Failure::invalid("nodeGroup", problem))
}
