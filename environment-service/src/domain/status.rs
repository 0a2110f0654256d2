use super::{Desired, Observed, Operation};

/// What an environment or a node was seen to be, with the platform's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Every node runs.
    Running = 1,
    /// Nothing runs, and nothing is meant to.
    Stopped = 2,
    /// It is being started.
    Launching = 3,
    /// Nothing runs until it is started again.
    Asleep = 4,
    /// Whoever runs it does not answer.
    Unknown = 5,
    /// It is being made.
    Creating = 6,
    /// It is being made as a copy.
    Cloning = 7,
    /// It is not what it is meant to be.
    Broken = 11,
    /// Something about it is being changed.
    Updating = 12,
    /// It is being stopped.
    Stopping = 13,
    /// It is being put to sleep.
    GoingToSleep = 14,
}

impl Status {
    /// What an environment is, by what is done to it, what it is meant to be, and what was seen of its nodes.
    #[must_use]
    pub(crate) fn of_environment<'a>(
        operation: Option<Operation>,
        desired: Desired,
        nodes: impl IntoIterator<Item = &'a Observed>,
    ) -> Self {
        if let Some(operation) = operation {
            return Self::during(operation);
        }
        let (mut alive, mut not_alive) = (0, 0);
        for seen in nodes {
            if *seen == Observed::Unknown {
                return Self::Unknown;
            }
            *(if seen.is_alive() { &mut alive } else { &mut not_alive }) += 1;
        }
        match (desired, alive, not_alive) {
            (Desired::Stopped, 0, _) => Self::Stopped,
            (Desired::Sleeping, 0, _) => Self::Asleep,
            (_, 1.., 0) => Self::Running,
            _ => Self::Broken,
        }
    }

    /// What a node is, by what is done to its environment, what that is meant to be, and what was seen of the node.
    #[must_use]
    pub(crate) fn of_node(operation: Option<Operation>, desired: Desired, seen: &Observed) -> Self {
        let ending = matches!(operation, Some(Operation::Stop | Operation::Sleep | Operation::Delete));
        match (operation, desired) {
            _ if *seen == Observed::Unknown => Self::Unknown,
            (Some(operation), _) if ending == seen.is_alive() => Self::during(operation),
            _ if seen.is_alive() => Self::Running,
            (None, Desired::Running) => Self::Broken,
            (_, Desired::Sleeping) => Self::Asleep,
            _ => Self::Stopped,
        }
    }

    fn during(operation: Operation) -> Self {
        match operation {
            Operation::Create => Self::Creating,
            Operation::Start => Self::Launching,
            Operation::Stop | Operation::Delete => Self::Stopping,
            Operation::Sleep => Self::GoingToSleep,
            Operation::Clone => Self::Cloning,
            Operation::Restart | Operation::Redeploy | Operation::Update => Self::Updating,
        }
    }

    /// The platform's number.
    #[must_use]
    pub(crate) fn number(self) -> i32 {
        self as i32
    }

    /// The status in words, for a sentence.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Launching => "launching",
            Self::Asleep => "asleep",
            Self::Unknown => "unknown",
            Self::Cloning => "being cloned",
            Self::Updating => "being updated",
            Self::GoingToSleep => "going to sleep",
            Self::Creating => "being created",
            Self::Broken => "broken",
            Self::Stopping => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: Observed = Observed::Alive { number: 7 };
    const DEAD: Observed = Observed::Dead { reason: None };

    #[test]
    fn an_environment_is_what_was_seen_of_it() {
        let of = |desired, nodes: &[Observed]| Status::of_environment(None, desired, nodes);
        assert_eq!(of(Desired::Running, &[ALIVE, ALIVE]), Status::Running);
        assert_eq!(of(Desired::Running, &[ALIVE, DEAD]), Status::Broken);
        assert_eq!(of(Desired::Running, &[DEAD, DEAD]), Status::Broken);
        assert_eq!(of(Desired::Running, &[ALIVE, Observed::Absent]), Status::Broken);
        assert_eq!(of(Desired::Running, &[]), Status::Broken);
        assert_eq!(of(Desired::Stopped, &[Observed::Absent, DEAD]), Status::Stopped);
        assert_eq!(of(Desired::Stopped, &[ALIVE, Observed::Absent]), Status::Broken);
        assert_eq!(of(Desired::Stopped, &[ALIVE]), Status::Running, "never what was wished");
        assert_eq!(of(Desired::Sleeping, &[Observed::Absent]), Status::Asleep);
        assert_eq!(of(Desired::Sleeping, &[ALIVE, ALIVE]), Status::Running);
        assert_eq!(of(Desired::Running, &[ALIVE, Observed::Unknown]), Status::Unknown);
        assert_eq!(of(Desired::Stopped, &[Observed::Unknown]), Status::Unknown);
    }

    #[test]
    fn an_operation_shows() {
        let during = |operation| Status::of_environment(Some(operation), Desired::Running, &[ALIVE]).number();
        assert_eq!(during(Operation::Create), 6);
        assert_eq!(during(Operation::Start), 3);
        assert_eq!(during(Operation::Stop), 13);
        assert_eq!(during(Operation::Delete), 13);
        assert_eq!(during(Operation::Sleep), 14);
        assert_eq!(during(Operation::Clone), 7);
        for operation in [Operation::Restart, Operation::Redeploy, Operation::Update] {
            assert_eq!(during(operation), 12);
        }
    }

    #[test]
    fn a_node_is_what_was_seen_of_it() {
        let of = |operation, desired, seen| Status::of_node(operation, desired, &seen);
        assert_eq!(of(None, Desired::Running, ALIVE), Status::Running);
        assert_eq!(of(None, Desired::Running, DEAD), Status::Broken);
        assert_eq!(of(None, Desired::Stopped, DEAD), Status::Stopped);
        assert_eq!(of(None, Desired::Running, Observed::Absent), Status::Broken);
        assert_eq!(of(Some(Operation::Start), Desired::Stopped, Observed::Absent), Status::Launching);
        assert_eq!(of(Some(Operation::Create), Desired::Stopped, ALIVE), Status::Running);
        assert_eq!(of(Some(Operation::Stop), Desired::Running, ALIVE), Status::Stopping);
        assert_eq!(of(Some(Operation::Stop), Desired::Running, Observed::Absent), Status::Stopped);
    }
}
