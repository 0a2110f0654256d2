use std::collections::HashSet;

use super::{DisplayName, EnvGroup, EnvName, Environment, NodeGroupName, Workload};

/// The most nodes of a group.
pub(crate) const MAX_COUNT: i32 = 32;
/// The most nodes of an environment.
const MAX_NODES: usize = 64;
/// The most cloudlets of a node.
const MAX_CLOUDLETS: i32 = 512;

/// What an environment is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentSpec {
    name: EnvName,
    display_name: Option<DisplayName>,
    highly_available: bool,
    tls: bool,
    groups: Vec<EnvGroup>,
    nodes: Vec<NodeSpec>,
}

/// What the nodes of a group are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeSpec {
    /// What they run.
    pub(crate) workload: Workload,
    /// The group.
    pub(crate) group: NodeGroupName,
    /// How many there are.
    pub(crate) count: NodeCount,
    /// How large each is.
    pub(crate) cloudlets: Cloudlets,
    /// The name for people.
    pub(crate) display_name: Option<DisplayName>,
}

/// How many nodes a group has: 1 to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeCount(usize);

/// How large a node is, in cloudlets of 128 MiB and 400 MHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cloudlets {
    fixed: i32,
    flexible: i32,
}

/// A number that no group of nodes can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_COUNT}")]
pub(crate) struct InvalidCount;

/// Numbers that no node's cloudlets can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloudletsError {
    /// The reserved ones are too few or too many.
    #[error("must be 0 to {MAX_CLOUDLETS}")]
    Fixed,
    /// The limit is too low or too high.
    #[error("must be 1 to {MAX_CLOUDLETS}")]
    Flexible,
    /// The limit is below what is reserved.
    #[error("must not be less than the fixed cloudlets")]
    FlexibleBelowFixed,
}

/// Why nodes make no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecError {
    /// There is none.
    #[error("must hold at least one node")]
    NoNodes,
    /// There are too many.
    #[error("must not make more than {MAX_NODES} nodes in all")]
    TooManyNodes,
    /// Two of them are of one group.
    #[error("must name each node group once, and names `{0}` twice")]
    GroupTwice(NodeGroupName),
}

impl NodeCount {
    /// As many.
    ///
    /// # Errors
    /// Where a group cannot have as many.
    pub(crate) fn new(count: i32) -> Result<Self, InvalidCount> {
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(InvalidCount);
        }
        usize::try_from(count).map(Self).map_err(|_| InvalidCount)
    }

    /// The number.
    #[must_use]
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

impl Cloudlets {
    /// So many reserved (default 0), and so many at most (default: as many as are reserved, and at least one).
    ///
    /// # Errors
    /// Where a node cannot be so small or so large.
    pub(crate) fn new(fixed: Option<i32>, flexible: Option<i32>) -> Result<Self, CloudletsError> {
        let fixed = fixed.unwrap_or(0);
        if !(0..=MAX_CLOUDLETS).contains(&fixed) {
            return Err(CloudletsError::Fixed);
        }
        let flexible = flexible.unwrap_or(fixed.max(1));
        if !(1..=MAX_CLOUDLETS).contains(&flexible) {
            return Err(CloudletsError::Flexible);
        }
        if flexible < fixed {
            return Err(CloudletsError::FlexibleBelowFixed);
        }
        Ok(Self { fixed, flexible })
    }

    /// How many are reserved.
    #[must_use]
    pub(crate) fn fixed(self) -> i32 {
        self.fixed
    }

    /// How many there are at most.
    #[must_use]
    pub(crate) fn flexible(self) -> i32 {
        self.flexible
    }
}

impl EnvironmentSpec {
    /// An environment of these nodes.
    ///
    /// # Errors
    /// Where they make none.
    pub(crate) fn new(name: EnvName, nodes: Vec<NodeSpec>) -> Result<Self, SpecError> {
        if nodes.is_empty() {
            return Err(SpecError::NoNodes);
        }
        if nodes.iter().map(|node| node.count.get()).sum::<usize>() > MAX_NODES {
            return Err(SpecError::TooManyNodes);
        }
        let mut groups = HashSet::new();
        if let Some(node) = nodes.iter().find(|node| !groups.insert(&node.group)) {
            return Err(SpecError::GroupTwice(node.group.clone()));
        }
        Ok(Self { name, display_name: None, highly_available: false, tls: false, groups: Vec::new(), nodes })
    }

    /// A copy of an environment, under another name.
    ///
    /// # Errors
    /// Where its nodes make none: one that was not made here can be too large.
    pub(crate) fn copy_of(original: &Environment, name: EnvName) -> Result<Self, SpecError> {
        let mut nodes: Vec<NodeSpec> = Vec::new();
        for node in &original.nodes {
            if nodes.iter().any(|spec| spec.group == node.group) {
                continue;
            }
            let count = original.nodes.iter().filter(|other| other.group == node.group).count();
            let count =
                NodeCount::new(i32::try_from(count).unwrap_or(i32::MAX)).map_err(|_| SpecError::TooManyNodes)?;
            nodes.push(NodeSpec {
                workload: node.workload.clone(),
                group: node.group.clone(),
                count,
                cloudlets: node.cloudlets,
                display_name: node.display_name.parse().ok(),
            });
        }
        let copy = Self::new(name, nodes)?.with_groups(original.groups.clone());
        Ok(copy.with_wishes(Some(original.highly_available), Some(original.tls)))
    }

    /// Gives it a name for people.
    #[must_use]
    pub(crate) fn with_display_name(self, display_name: Option<DisplayName>) -> Self {
        Self { display_name, ..self }
    }

    /// Keeps what was asked for and has no effect yet.
    #[must_use]
    pub(crate) fn with_wishes(self, highly_available: Option<bool>, tls: Option<bool>) -> Self {
        Self { highly_available: highly_available.unwrap_or(false), tls: tls.unwrap_or(false), ..self }
    }

    /// Puts it into environment groups.
    #[must_use]
    pub(crate) fn with_groups(self, mut groups: Vec<EnvGroup>) -> Self {
        groups.sort();
        groups.dedup();
        Self { groups, ..self }
    }

    /// The environment groups, by name.
    #[must_use]
    pub(crate) fn groups(&self) -> &[EnvGroup] {
        &self.groups
    }

    /// The name.
    #[must_use]
    pub(crate) fn name(&self) -> &EnvName {
        &self.name
    }

    /// The name for people.
    #[must_use]
    pub(crate) fn display_name(&self) -> &str {
        self.display_name.as_ref().map_or(self.name.as_str(), DisplayName::as_str)
    }

    /// Whether it was asked to be highly available.
    #[must_use]
    pub(crate) fn highly_available(&self) -> bool {
        self.highly_available
    }

    /// Whether it was asked to be reached by TLS.
    #[must_use]
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// The nodes, by group.
    #[must_use]
    pub(crate) fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(group: &str, count: i32) -> NodeSpec {
        NodeSpec {
            workload: Workload::template("web".parse().unwrap()),
            group: group.parse().unwrap(),
            count: NodeCount::new(count).unwrap(),
            cloudlets: Cloudlets::new(None, None).unwrap(),
            display_name: None,
        }
    }

    #[test]
    fn counts_and_cloudlets_have_their_bounds() {
        for count in [1, 32] {
            assert!(NodeCount::new(count).is_ok());
        }
        for count in [i32::MIN, -1, 0, 33, i32::MAX] {
            assert_eq!(NodeCount::new(count), Err(InvalidCount));
        }
        assert_eq!(Cloudlets::new(Some(-1), None), Err(CloudletsError::Fixed));
        assert_eq!(Cloudlets::new(Some(513), None), Err(CloudletsError::Fixed));
        assert_eq!(Cloudlets::new(None, Some(0)), Err(CloudletsError::Flexible));
        assert_eq!(Cloudlets::new(None, Some(513)), Err(CloudletsError::Flexible));
        assert_eq!(Cloudlets::new(Some(5), Some(4)), Err(CloudletsError::FlexibleBelowFixed));
        assert_eq!(Cloudlets::new(None, None), Ok(Cloudlets { fixed: 0, flexible: 1 }));
        assert_eq!(Cloudlets::new(Some(4), None), Ok(Cloudlets { fixed: 4, flexible: 4 }));
    }

    #[test]
    fn an_environment_has_one_to_64_nodes_in_groups_of_their_own() {
        let name: EnvName = "shop".parse().unwrap();
        let spec = |nodes| EnvironmentSpec::new(name.clone(), nodes);
        assert_eq!(spec(vec![]), Err(SpecError::NoNodes));
        assert!(spec(vec![node("cp", 32), node("bl", 32)]).is_ok());
        assert_eq!(spec(vec![node("cp", 32), node("bl", 32), node("cache", 1)]), Err(SpecError::TooManyNodes));
        let twice = spec(vec![node("cp", 1), node("cp", 1)]);
        assert_eq!(twice, Err(SpecError::GroupTwice(NodeGroupName::application())));
    }

    #[test]
    fn its_name_stands_for_a_name_for_people() {
        let spec = EnvironmentSpec::new("shop".parse().unwrap(), vec![node("cp", 1)]).unwrap();
        assert_eq!(spec.display_name(), "shop");
        assert_eq!(spec.with_display_name("The Shop".parse().ok()).display_name(), "The Shop");
    }
}
