use super::{Environment, Node, NodeGroupName, NodeId};

/// Which nodes of an environment are meant. A node's number wins over a group's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// One node.
    Node(NodeId),
    /// Those of a group.
    Group(NodeGroupName),
    /// Every one.
    All,
}

/// The environment has no such nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectionError {
    /// It has no node of that number.
    #[error("the environment has no node {0}")]
    NoNode(NodeId),
    /// It has no such group.
    #[error("the environment has no node group `{0}`")]
    NoGroup(NodeGroupName),
}

impl Selection {
    /// The nodes that are meant: at least one.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn of<'a>(&self, environment: &'a Environment) -> Result<Vec<&'a Node>, SelectionError> {
        let meant = |node: &&Node| match self {
            Self::Node(id) => node.id == *id,
            Self::Group(group) => node.group == *group,
            Self::All => true,
        };
        let nodes: Vec<&Node> = environment.nodes.iter().filter(meant).collect();
        match (self, nodes.is_empty()) {
            (Self::Node(id), true) => Err(SelectionError::NoNode(*id)),
            (Self::Group(group), true) => Err(SelectionError::NoGroup(group.clone())),
            _ => Ok(nodes),
        }
    }
}
