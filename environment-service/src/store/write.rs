use access::AccountId;
use jiff::Timestamp;
use storage::{StorageError, Transaction};

use super::log::{Outcome, log_begin, log_end};
use super::{Store, changed_one, groups, quota, row};
use crate::domain::{
    Desired, DisplayName, DriverKind, Environment, EnvironmentId, EnvironmentSpec, ImageName, Node, NodeId, NodeSpec,
    Operation, Quota, QuotaExceeded, Workload,
};

/// An environment to be recorded.
#[derive(Debug)]
pub(crate) struct NewEnvironment {
    pub(crate) id: EnvironmentId,
    pub(crate) account: AccountId,
    pub(crate) spec: EnvironmentSpec,
    /// What is to run it.
    pub(crate) driver: DriverKind,
    /// How much the account may have with it.
    pub(crate) quota: Quota,
    /// What is being done: it is made, or cloned.
    pub(crate) operation: Operation,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("the name is taken")]
    NameTaken,
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    #[error("the database did not keep the environment")]
    Storage(#[from] StorageError),
}

impl From<groups::GroupError> for CreateError {
    fn from(error: groups::GroupError) -> Self {
        match error {
            groups::GroupError::Quota(exceeded) => Self::Quota(exceeded),
            groups::GroupError::Storage(error) => Self::Storage(error),
        }
    }
}

impl Store {
    /// Records an environment that is being created: it is meant to be stopped until it has been started once.
    pub(crate) async fn create(&self, new: NewEnvironment) -> Result<Environment, CreateError> {
        let mut tx = self.database.begin("environment.create").await?;
        quota::lock(&mut tx).await?;
        insert_environment(&mut tx, &new).await?;
        log_begin(&mut tx, (new.id, new.account, new.spec.name()), new.operation, new.created_at).await?;
        groups::put(&mut tx, new.id, new.account, new.spec.groups()).await?;
        let mut nodes = Vec::new();
        for spec in new.spec.nodes() {
            for _ in 0..spec.count.get() {
                nodes.push(insert_node(&mut tx, new.id, spec).await?);
            }
        }
        new.quota.allow(quota::holdings(&mut tx, new.account).await?)?;
        tx.commit().await?;
        Ok(Environment {
            id: new.id,
            name: new.spec.name().clone(),
            account: new.account,
            display_name: new.spec.display_name().to_owned(),
            highly_available: new.spec.highly_available(),
            tls: new.spec.tls(),
            desired: Desired::Stopped,
            operation: Some(new.operation),
            created_at: new.created_at,
            driver: new.driver,
            adopted: None,
            groups: new.spec.groups().to_vec(),
            nodes,
        })
    }

    /// Forgets an environment on which an operation is under way.
    pub(crate) async fn delete(&self, id: EnvironmentId, outcome: &Outcome, at: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("environment.delete").await?;
        log_end(&mut tx, id, outcome, at).await?;
        groups::clear(&mut tx, id).await?;
        sqlx::query("delete from node where environment_id = $1")
            .bind(id.0.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        let deleted = sqlx::query("delete from environment where id = $1 and operation is not null")
            .bind(id.0.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        changed_one("environment", deleted.rows_affected())?;
        tx.commit().await
    }
}

async fn insert_environment(tx: &mut Transaction, new: &NewEnvironment) -> Result<(), CreateError> {
    let inserted = sqlx::query(
        "insert into environment \
         (id, name, account, display_name, highly_available, tls, desired, operation, created_at, driver) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.id.0.as_bytes().as_slice())
    .bind(new.spec.name().as_str())
    .bind(new.account.0)
    .bind(new.spec.display_name())
    .bind(i64::from(new.spec.highly_available()))
    .bind(i64::from(new.spec.tls()))
    .bind(Desired::Stopped.as_str())
    .bind(new.operation.as_str())
    .bind(new.created_at.as_microsecond())
    .bind(new.driver.as_str())
    .execute(&mut **tx)
    .await
    .map_err(StorageError::from);
    match inserted {
        // The identity is random; what can be there already is the name.
        Err(error) if error.is_unique_violation() => Err(CreateError::NameTaken),
        inserted => Ok(changed_one("environment", inserted?.rows_affected())?),
    }
}

async fn insert_node(tx: &mut Transaction, environment: EnvironmentId, spec: &NodeSpec) -> Result<Node, StorageError> {
    let id = tx.next_value("node").await?;
    let display_name = spec.display_name.as_ref().map_or(spec.workload.node_type.as_str(), DisplayName::as_str);
    let Workload { node_type, image, tag, variables } = &spec.workload;
    let rank = spec.group.rank();
    let inserted = sqlx::query(
        "insert into node \
         (id, environment_id, node_group, node_type, display_name, fixed_cloudlets, flexible_cloudlets, \
          image, tag, variables, rank) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(environment.0.as_bytes().as_slice())
    .bind(spec.group.as_str())
    .bind(node_type.as_str())
    .bind(display_name)
    .bind(i64::from(spec.cloudlets.fixed()))
    .bind(i64::from(spec.cloudlets.flexible()))
    .bind(image.as_ref().map(ImageName::as_str))
    .bind(tag.as_str())
    .bind(row::variables_to_column(variables))
    .bind(i64::from(rank))
    .execute(&mut **tx)
    .await?;
    changed_one("node", inserted.rows_affected())?;
    Ok(Node {
        id: NodeId(id),
        group: spec.group.clone(),
        workload: spec.workload.clone(),
        former_tag: None,
        rank,
        adopted: None,
        display_name: display_name.to_owned(),
        cloudlets: spec.cloudlets,
        port: None,
        launch: None,
        ending: false,
    })
}
