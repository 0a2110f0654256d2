use access::AccountId;
use storage::StorageError;
use tokio::task::JoinError;

use super::{BeginError, BringUpError, Operations, outcome};
use crate::domain::{EnvName, Environment, Node, NodeId, NotOurs, Operation, Selection, SelectionError, Tag, Workload};
use crate::driver::{LaunchError, NoDriver, Unfit, traced};

/// Why nodes were not brought to another version. They have the one that they had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedeployError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("the version could not be got: {0}")]
    Prepare(#[source] LaunchError),
    #[error("the version did not come up, and the former one runs again: {0}")]
    RolledBack(#[source] BringUpError),
    #[error("the version did not come up, nor does the former one any more: {0}")]
    Lost(#[source] BringUpError),
    #[error("the database did not keep the version")]
    Storage(#[from] StorageError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Brings nodes to another version: gets it, ends them, and launches them with it. Where it does not come up, they have the
    /// former one again. Nodes of an environment that is stopped have it from the next start on.
    pub(crate) async fn redeploy(
        &self,
        account: AccountId,
        name: EnvName,
        selection: Selection,
        tag: Tag,
    ) -> Result<Vec<NodeId>, RedeployError> {
        // What is refused anyhow is no operation.
        if let Some(found) = self.store.find(account, &name).await? {
            self.redeployable(&found, &selection, &tag)?;
        }
        let operations = self.clone();
        self.detached("environment.redeploy", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Redeploy).await?;
            let begun = operations.begin_redeployment(&environment, &selection, &tag).await;
            let done = match begun {
                Ok(nodes) => operations.carry_out_redeployment(&environment).await.map(|()| nodes),
                Err(error) => {
                    // The database may have kept the version, although it has not said so.
                    if let Err(undone) = operations.undo_redeployment(&environment).await {
                        tracing::error!(environment.name = %name, error = %undone, "a version is not that of before");
                    }
                    Err(error)
                }
            };
            operations.finish(&environment, environment.desired, &outcome(&done)).await;
            done
        })
        .await?
    }

    /// The nodes that are meant, if they may be brought to a version, with what they would run.
    fn redeployable(
        &self,
        environment: &Environment,
        selection: &Selection,
        tag: &Tag,
    ) -> Result<Vec<(NodeId, Workload)>, RedeployError> {
        environment.may_be_changed()?;
        let driver = self.drivers.of(environment)?;
        let meant = selection.of(environment)?.into_iter().map(|node| {
            let workload = Workload { tag: tag.clone(), ..node.workload.clone() };
            match node.adopted {
                Some(_) => driver.accepts_adopted(&workload)?,
                None => driver.accepts(&workload)?,
            }
            Ok((node.id, workload))
        });
        meant.collect()
    }

    /// Everything that can fail before a node is touched.
    async fn begin_redeployment(
        &self,
        environment: &Environment,
        selection: &Selection,
        tag: &Tag,
    ) -> Result<Vec<NodeId>, RedeployError> {
        let meant = self.redeployable(environment, selection, tag)?;
        let driver = self.drivers.of(environment)?;
        for (_, workload) in &meant {
            let prepared = traced(driver.kind(), "prepare", driver.prepare(workload)).await;
            prepared.map_err(RedeployError::Prepare)?;
        }
        let nodes: Vec<NodeId> = meant.into_iter().map(|(node, _)| node).collect();
        self.store.begin_redeployment(&nodes, tag).await?;
        Ok(nodes)
    }

    /// The rest, which is also what is taken up after the service was torn away: once more from its beginning.
    pub(super) async fn carry_out_redeployment(&self, environment: &Environment) -> Result<(), RedeployError> {
        let current = self.persist(environment, || self.store.get(environment.id)).await?;
        let current = current.as_ref().unwrap_or(environment);
        let changing: Vec<NodeId> =
            current.nodes.iter().filter(|node| node.former_tag.is_some()).map(|node: &Node| node.id).collect();
        let up = if current.desired.is_running() { self.relaunch(current, &changing).await } else { Ok(()) };
        let Err(error) = up else {
            return Ok(self.persist(current, || self.store.keep_redeployment(current.id)).await?);
        };
        self.undo_redeployment(current).await?;
        let before = self.persist(environment, || self.store.get(environment.id)).await?;
        // Those that came up with the new version are ended too.
        match self.relaunch(before.as_ref().unwrap_or(current), &changing).await {
            Ok(()) => Err(RedeployError::RolledBack(error)),
            Err(lost) => {
                tracing::error!(environment.name = %current.name, error = %lost, "a former version does not come up");
                Err(RedeployError::Lost(error))
            }
        }
    }

    /// Gives nodes the version back that they had.
    async fn undo_redeployment(&self, environment: &Environment) -> Result<(), StorageError> {
        self.persist(environment, || self.store.undo_redeployment(environment.id)).await
    }

    /// Finishes a redeployment that was torn off.
    pub(super) async fn finish_redeployment(&self, environment: &Environment) -> Result<(), RedeployError> {
        let done = self.carry_out_redeployment(environment).await;
        self.finish(environment, environment.desired, &outcome(&done)).await;
        done
    }
}
