use access::AccountId;
use storage::StorageError;
use tokio::task::JoinError;

use super::{BeginError, Operations, outcome};
use crate::domain::{
    Cloudlets, EnvName, Environment, Node, NodeId, NotOurs, Operation, Quota, QuotaExceeded, Selection, SelectionError,
    VariableError, Variables, Workload,
};
use crate::driver::{NoDriver, NodeAt, NodeError, Unfit, traced};

/// Why something about nodes was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Variables(#[from] VariableError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error("the node was not changed")]
    Node(Box<Environment>, #[source] NodeError),
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    #[error("the database did not keep the change")]
    Storage(#[from] StorageError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

/// What becomes of nodes' variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VariablesChange {
    /// These are added, or take the place of others of the same name.
    Add(Variables),
    /// There are these and no others.
    Set(Variables),
    /// Those of these names are gone.
    Remove(Vec<String>),
}

impl VariablesChange {
    fn of(&self, before: &Variables) -> Result<Variables, VariableError> {
        match self {
            Self::Add(variables) => before.with(variables),
            Self::Set(variables) => Ok(variables.clone()),
            Self::Remove(names) => Ok(before.without(names)),
        }
    }
}

/// What is to be changed.
enum Change {
    Variables(Selection, VariablesChange),
    Cloudlets(NodeId, Cloudlets),
}

/// What is to be recorded of nodes.
enum Checked {
    Variables(Vec<(NodeId, Variables)>),
    Cloudlets(Box<Node>, Cloudlets),
}

impl Operations {
    /// Changes nodes' variables. A node that runs has the new ones from its next launch on.
    pub(crate) async fn change_variables(
        &self,
        account: AccountId,
        name: EnvName,
        selection: Selection,
        change: VariablesChange,
    ) -> Result<(), UpdateError> {
        self.update(account, name, Change::Variables(selection, change)).await
    }

    /// Makes a node larger or smaller: at once where the driver can, from its next launch on otherwise.
    pub(crate) async fn resize(
        &self,
        account: AccountId,
        name: EnvName,
        node: NodeId,
        cloudlets: Cloudlets,
    ) -> Result<(), UpdateError> {
        self.update(account, name, Change::Cloudlets(node, cloudlets)).await
    }

    async fn update(&self, account: AccountId, name: EnvName, change: Change) -> Result<(), UpdateError> {
        // What is refused anyhow is no operation.
        if let Some(found) = self.store.find(account, &name).await? {
            self.check(&found, &change)?;
        }
        let operations = self.clone();
        self.detached("environment.update", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Update).await?;
            let changed = operations.change(&environment, &change).await;
            operations.finish(&environment, environment.desired, &outcome(&changed)).await;
            changed
        })
        .await?
    }

    /// What is to be recorded, if it may be.
    fn check(&self, environment: &Environment, change: &Change) -> Result<Checked, UpdateError> {
        environment.may_be_changed()?;
        let driver = self.drivers.of(environment)?;
        match change {
            Change::Variables(selection, change) => {
                let changed = selection.of(environment)?.into_iter().map(|node| {
                    let variables = change.of(&node.workload.variables)?;
                    // What is left after others were taken away was there before.
                    if !matches!(change, VariablesChange::Remove(_)) {
                        driver
                            .accepts_variables(&Workload { variables: variables.clone(), ..node.workload.clone() })?;
                    }
                    Ok((node.id, variables))
                });
                changed.collect::<Result<_, UpdateError>>().map(Checked::Variables)
            }
            Change::Cloudlets(node, cloudlets) => {
                let node = Selection::Node(*node).of(environment)?.remove(0).clone();
                Ok(Checked::Cloudlets(Box::new(node), *cloudlets))
            }
        }
    }

    async fn change(&self, environment: &Environment, change: &Change) -> Result<(), UpdateError> {
        match self.check(environment, change)? {
            Checked::Variables(changed) => Ok(self.store.set_variables(&changed).await?),
            Checked::Cloudlets(node, cloudlets) => {
                let driver = self.drivers.of(environment)?;
                let resized = Node { cloudlets, ..(*node).clone() };
                let quota = self.policies.of(environment.account).quota;
                match self.store.set_cloudlets((environment.account, node.id), cloudlets, quota).await? {
                    Ok(()) => {
                        let changed = driver.resize(NodeAt { environment, node: &resized });
                        let changed = traced(driver.kind(), "resize", changed).await;
                        if changed.is_err() {
                            // It had these before: nobody's share grows by that.
                            let before = (environment.account, node.id);
                            self.store.set_cloudlets(before, node.cloudlets, Quota::UNBOUNDED).await?.ok();
                        }
                        changed.map_err(|error| UpdateError::Node(Box::new(environment.clone()), error))
                    }
                    Err(exceeded) => Err(exceeded.into()),
                }
            }
        }
    }
}
