use super::{Desired, NodeId};

/// What was seen of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It was never launched, or all that it was has been ended.
    Absent,
    /// It runs.
    Alive {
        /// What the driver numbers it by: the process id.
        number: i64,
    },
    /// It was launched and has ended by itself. Something of it may be left.
    Dead {
        /// How it ended, where that is known.
        reason: Option<String>,
    },
    /// What it is cannot be seen at present: whoever runs it does not answer.
    Unknown,
}

impl Observed {
    /// Whether it runs.
    #[must_use]
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self, Self::Alive { .. })
    }
}

/// A step towards what is desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// End all that is left of a node's launch.
    End(NodeId),
    /// Launch a node.
    Launch(NodeId),
}

impl Action {
    /// The node.
    #[must_use]
    pub(crate) fn node(self) -> NodeId {
        match self {
            Self::End(node) | Self::Launch(node) => node,
        }
    }
}

/// What is to be done, in this order. A node that runs is never launched again, and what is left of a dead one is ended
/// before it is. Nothing is done to one of which it is not known what it is.
#[must_use]
pub(crate) fn plan(desired: Desired, observed: &[(NodeId, Observed)]) -> Vec<Action> {
    let to_end = |seen: &Observed| match desired {
        Desired::Running => matches!(seen, Observed::Dead { .. }),
        Desired::Stopped | Desired::Sleeping => !matches!(seen, Observed::Absent | Observed::Unknown),
    };
    let to_launch = |seen: &Observed| desired.is_running() && matches!(seen, Observed::Absent | Observed::Dead { .. });

    let ends = observed.iter().filter(|(_, seen)| to_end(seen)).map(|(node, _)| Action::End(*node));
    let launches = observed.iter().filter(|(_, seen)| to_launch(seen)).map(|(node, _)| Action::Launch(*node));
    ends.chain(launches).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn observed() -> impl Strategy<Value = Vec<(NodeId, Observed)>> {
        let seen = prop_oneof![
            Just(Observed::Absent),
            (1..1000_i64).prop_map(|number| Observed::Alive { number }),
            proptest::option::of("[a-z ]+").prop_map(|reason| Observed::Dead { reason }),
        ];
        proptest::collection::btree_map(0..100_i64, seen, 0..20)
            .prop_map(|nodes| nodes.into_iter().map(|(node, seen)| (NodeId(node), seen)).collect())
    }

    fn desired() -> impl Strategy<Value = Desired> {
        prop_oneof![Just(Desired::Running), Just(Desired::Stopped), Just(Desired::Sleeping)]
    }

    /// A world that does what it is told, and objects to what must never be told.
    fn act(nodes: &[(NodeId, Observed)], actions: &[Action]) -> Vec<(NodeId, Observed)> {
        let mut nodes: BTreeMap<NodeId, Observed> = nodes.iter().cloned().collect();
        for action in actions {
            match action {
                Action::End(node) => {
                    let before = nodes.insert(*node, Observed::Absent).unwrap();
                    assert_ne!(before, Observed::Absent, "there was nothing to end");
                }
                Action::Launch(node) => {
                    let before = nodes.insert(*node, Observed::Alive { number: 1 }).unwrap();
                    assert_eq!(before, Observed::Absent, "launched over something");
                }
            }
        }
        nodes.into_iter().collect()
    }

    proptest! {
        #[test]
        fn acting_on_the_plan_leads_to_what_is_desired(desired in desired(), nodes in observed()) {
            let after = act(&nodes, &plan(desired, &nodes));
            for (node, seen) in &after {
                match desired {
                    Desired::Running => prop_assert!(seen.is_alive(), "{node}"),
                    Desired::Stopped | Desired::Sleeping => prop_assert_eq!(seen, &Observed::Absent),
                }
            }
            prop_assert_eq!(plan(desired, &after), vec![], "nothing is left to do");
        }

        #[test]
        fn what_is_not_known_is_left_alone(desired in desired(), nodes in observed(), hidden: u64) {
            let hide = |(at, (node, seen)): (usize, (NodeId, Observed))| {
                (node, if hidden >> (at % 64) & 1 == 1 { Observed::Unknown } else { seen })
            };
            let nodes: Vec<_> = nodes.into_iter().enumerate().map(hide).collect();
            let touched = plan(desired, &nodes);
            for (node, _) in nodes.iter().filter(|(_, seen)| *seen == Observed::Unknown) {
                prop_assert!(!touched.contains(&Action::End(*node)) && !touched.contains(&Action::Launch(*node)));
            }
        }

        #[test]
        fn what_runs_is_left_alone_by_a_start(nodes in observed()) {
            let after = act(&nodes, &plan(Desired::Running, &nodes));
            for (before, after) in nodes.iter().zip(&after).filter(|(before, _)| before.1.is_alive()) {
                prop_assert_eq!(before, after);
            }
        }
    }
}
