use access::AccountId;
use jiff::Timestamp;
use storage::{StorageError, Transaction};

use super::{Store, changed_one};
use crate::domain::{
    Desired, DisplayName, Environment, EnvironmentId, EnvironmentSpec, Node, NodeId, NodeSpec, Operation,
};

/// An environment to be recorded.
#[derive(Debug)]
pub(crate) struct NewEnvironment {
    pub(crate) id: EnvironmentId,
    pub(crate) account: AccountId,
    pub(crate) spec: EnvironmentSpec,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("the name is taken")]
    NameTaken,
    #[error("the database did not keep the environment")]
    Storage(#[from] StorageError),
}

impl Store {
    /// Records an environment that is being created: it is meant to be stopped until it has been started once.
    pub(crate) async fn create(&self, new: NewEnvironment) -> Result<Environment, CreateError> {
        let mut tx = self.database.begin("environment.create").await?;
        insert_environment(&mut tx, &new).await?;
        let mut nodes = Vec::new();
        for spec in new.spec.nodes() {
            for _ in 0..spec.count.get() {
                nodes.push(insert_node(&mut tx, new.id, spec).await?);
            }
        }
        tx.commit().await?;
        Ok(Environment {
            id: new.id,
            name: new.spec.name().clone(),
            account: new.account,
            display_name: new.spec.display_name().to_owned(),
            highly_available: new.spec.highly_available(),
            tls: new.spec.tls(),
            desired: Desired::Stopped,
            operation: Some(Operation::Create),
            created_at: new.created_at,
            nodes,
        })
    }

    /// Forgets an environment on which an operation is under way.
    pub(crate) async fn delete(&self, id: EnvironmentId) -> Result<(), StorageError> {
        let mut tx = self.database.begin("environment.delete").await?;
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
         (id, name, account, display_name, highly_available, tls, desired, operation, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id.0.as_bytes().as_slice())
    .bind(new.spec.name().as_str())
    .bind(new.account.0)
    .bind(new.spec.display_name())
    .bind(i64::from(new.spec.highly_available()))
    .bind(i64::from(new.spec.tls()))
    .bind(Desired::Stopped.as_str())
    .bind(Operation::Create.as_str())
    .bind(new.created_at.as_microsecond())
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
    let display_name = spec.display_name.as_ref().map_or(spec.node_type.as_str(), DisplayName::as_str);
    let inserted = sqlx::query(
        "insert into node \
         (id, environment_id, node_group, node_type, display_name, fixed_cloudlets, flexible_cloudlets) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(environment.0.as_bytes().as_slice())
    .bind(spec.group.as_str())
    .bind(spec.node_type.as_str())
    .bind(display_name)
    .bind(i64::from(spec.cloudlets.fixed()))
    .bind(i64::from(spec.cloudlets.flexible()))
    .execute(&mut **tx)
    .await?;
    changed_one("node", inserted.rows_affected())?;
    Ok(Node {
        id: NodeId(id),
        group: spec.group.clone(),
        node_type: spec.node_type.clone(),
        display_name: display_name.to_owned(),
        cloudlets: spec.cloudlets,
        port: None,
        launch: None,
    })
}
