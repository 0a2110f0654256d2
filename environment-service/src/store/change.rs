//! Changes to what is recorded of an environment, while an operation is under way on it.

use access::AccountId;
use storage::StorageError;

use super::{Store, changed_one, quota, row};
use crate::domain::{Cloudlets, DisplayName, EnvironmentId, NodeId, Quota, QuotaExceeded, Tag, Variables};

impl Store {
    /// Gives an environment another name for people.
    pub(crate) async fn set_display_name(&self, id: EnvironmentId, name: &DisplayName) -> Result<(), StorageError> {
        let mut tx = self.database.begin("environment.display_name").await?;
        let changed = sqlx::query("update environment set display_name = $1 where id = $2")
            .bind(name.as_str())
            .bind(id.0.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        changed_one("environment", changed.rows_affected())?;
        tx.commit().await
    }

    /// Gives nodes other variables.
    pub(crate) async fn set_variables(&self, nodes: &[(NodeId, Variables)]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("node.variables").await?;
        for (node, variables) in nodes {
            let changed = sqlx::query("update node set variables = $1 where id = $2")
                .bind(row::variables_to_column(variables))
                .bind(node.0)
                .execute(&mut *tx)
                .await?;
            changed_one("node", changed.rows_affected())?;
        }
        tx.commit().await
    }

    /// Makes a node larger or smaller.
    pub(crate) async fn set_cloudlets(
        &self,
        (account, node): (AccountId, NodeId),
        cloudlets: Cloudlets,
        quota: Quota,
    ) -> Result<Result<(), QuotaExceeded>, StorageError> {
        let mut tx = self.database.begin("node.cloudlets").await?;
        quota::lock(&mut tx).await?;
        let changed = sqlx::query("update node set fixed_cloudlets = $1, flexible_cloudlets = $2 where id = $3")
            .bind(i64::from(cloudlets.fixed()))
            .bind(i64::from(cloudlets.flexible()))
            .bind(node.0)
            .execute(&mut *tx)
            .await?;
        changed_one("node", changed.rows_affected())?;
        if let Err(exceeded) = quota.allow(quota::holdings(&mut tx, account).await?) {
            return Ok(Err(exceeded));
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Begins to bring nodes to another version. The one that they had is kept until it is known whether that succeeds.
    pub(crate) async fn begin_redeployment(&self, nodes: &[NodeId], tag: &Tag) -> Result<(), StorageError> {
        let mut tx = self.database.begin("node.redeploy").await?;
        for node in nodes {
            let changed =
                sqlx::query("update node set former_tag = tag, tag = $1 where id = $2 and former_tag is null")
                    .bind(tag.as_str())
                    .bind(node.0)
                    .execute(&mut *tx)
                    .await?;
            changed_one("node", changed.rows_affected())?;
        }
        tx.commit().await
    }

    /// The version that nodes were brought to is theirs.
    pub(crate) async fn keep_redeployment(&self, environment: EnvironmentId) -> Result<(), StorageError> {
        let mut tx = self.database.begin("node.redeployed").await?;
        sqlx::query("update node set former_tag = null where environment_id = $1")
            .bind(environment.0.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// The version that nodes had before is theirs again.
    pub(crate) async fn undo_redeployment(&self, environment: EnvironmentId) -> Result<(), StorageError> {
        let mut tx = self.database.begin("node.undeployed").await?;
        sqlx::query(
            "update node set tag = former_tag, former_tag = null where environment_id = $1 and former_tag is not null",
        )
        .bind(environment.0.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
}
