//! Environments that were there before: what is recorded of them follows what a driver discovers.

use access::AccountId;
use jiff::Timestamp;
use storage::{StorageError, Transaction};
use uuid::Uuid;

use super::read::gather;
use super::{Store, changed_one, groups, read};
use crate::domain::{
    Cloudlets, Desired, DriverKind, EnvName, Environment, EnvironmentId, LaunchId, Node, NodeType, Tag,
};
use crate::driver::{Discovered, DiscoveredNode};

/// What became of a discovered environment that was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// It is recorded.
    Done,
    /// Another environment has the name.
    NameTaken,
}

impl Store {
    /// All environments of a driver that were there before.
    pub(crate) async fn adopted(&self, driver: DriverKind) -> Result<Vec<Environment>, StorageError> {
        let rows = sqlx::query(read::ADOPTED).bind(driver.as_str()).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?)
    }

    /// Records an environment that was discovered, as it is.
    pub(crate) async fn adopt(
        &self,
        driver: DriverKind,
        found: &Discovered,
        name: &EnvName,
        at: Timestamp,
    ) -> Result<Adoption, StorageError> {
        let id = EnvironmentId(Uuid::new_v4());
        let running = found.nodes.iter().any(|node| node.instance.is_some());
        let desired = if running { Desired::Running } else { Desired::Stopped };
        let mut tx = self.database.begin("environment.adopt").await?;
        // A record of before whose nodes are all gone is found by nothing, and is in the way.
        sqlx::query(
            "delete from environment where driver = $1 and adopted = $2 and operation is null \
             and not exists (select 1 from node where node.environment_id = environment.id)",
        )
        .bind(driver.as_str())
        .bind(found.key.as_str())
        .execute(&mut *tx)
        .await?;
        let inserted = sqlx::query(
            "insert into environment \
             (id, name, account, display_name, highly_available, tls, desired, created_at, driver, adopted) \
             values ($1, $2, $3, $4, 0, 0, $5, $6, $7, $8)",
        )
        .bind(id.0.as_bytes().as_slice())
        .bind(name.as_str())
        .bind(found.account.0)
        .bind(name.as_str())
        .bind(desired.as_str())
        .bind(at.as_microsecond())
        .bind(driver.as_str())
        .bind(found.key.as_str())
        .execute(&mut *tx)
        .await
        .map_err(StorageError::from);
        match inserted {
            Err(error) if error.is_unique_violation() => return Ok(Adoption::NameTaken),
            inserted => changed_one("environment", inserted?.rows_affected())?,
        }
        for node in &found.nodes {
            insert(&mut tx, id, node).await?;
        }
        tx.commit().await?;
        Ok(Adoption::Done)
    }

    /// Brings what is recorded of an environment to what was discovered of it, unless an operation is under way.
    pub(crate) async fn refresh(&self, recorded: &Environment, found: &Discovered) -> Result<(), StorageError> {
        let mut tx = self.database.begin("environment.refresh").await?;
        if !lock(&mut tx, recorded, found.account).await? {
            return Ok(());
        }
        for node in &found.nodes {
            match of_key(recorded, &node.key) {
                None => insert(&mut tx, recorded.id, node).await?,
                Some(known) => refresh(&mut tx, known, node).await?,
            }
        }
        if runs(found) {
            sqlx::query("update environment set desired = $1 where id = $2")
                .bind(Desired::Running.as_str())
                .bind(recorded.id.0.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
        }
        for gone in recorded.nodes.iter().filter(|node| !found.nodes.iter().any(|other| is(node, other))) {
            sqlx::query("delete from node where id = $1").bind(gone.id.0).execute(&mut *tx).await?;
        }
        tx.commit().await
    }

    /// Forgets an environment that is not there any more, unless an operation is under way.
    pub(crate) async fn disown(&self, recorded: &Environment) -> Result<(), StorageError> {
        let mut tx = self.database.begin("environment.disown").await?;
        if !lock(&mut tx, recorded, recorded.account).await? {
            return Ok(());
        }
        groups::clear(&mut tx, recorded.id).await?;
        for text in ["delete from node where environment_id = $1", "delete from environment where id = $1"] {
            sqlx::query(text).bind(recorded.id.0.as_bytes().as_slice()).execute(&mut *tx).await?;
        }
        tx.commit().await
    }
}

/// Keeps operations from beginning until the transaction is over. False where one is under way, or has stopped or started the
/// environment since it was read: what was discovered may be of before that.
async fn lock(tx: &mut Transaction, recorded: &Environment, account: AccountId) -> Result<bool, StorageError> {
    let locked =
        sqlx::query("update environment set account = $1 where id = $2 and operation is null and desired = $3");
    let locked = locked
        .bind(account.0)
        .bind(recorded.id.0.as_bytes().as_slice())
        .bind(recorded.desired.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(locked.rows_affected() == 1)
}

fn of_key<'a>(environment: &'a Environment, key: &str) -> Option<&'a Node> {
    environment.nodes.iter().find(|node| node.adopted.as_deref() == Some(key))
}

fn is(node: &Node, found: &DiscoveredNode) -> bool {
    node.adopted.as_deref() == Some(found.key.as_str())
}

/// Whether all of it runs: whoever has started it means it to run.
fn runs(found: &Discovered) -> bool {
    found.nodes.iter().all(|node| node.instance.is_some())
}

/// Whether what is recorded is what was discovered.
pub(crate) fn is_current(recorded: &Environment, found: &Discovered) -> bool {
    let same = |node: &DiscoveredNode| {
        of_key(recorded, &node.key).is_some_and(|known| {
            let image = node.image.as_ref().map(|(image, _)| image);
            let tag = node.image.as_ref().map(|(_, tag)| tag);
            let unrecorded = node.instance.is_some() && known.launch.as_ref().is_none_or(|it| it.instance.is_none());
            known.rank == node.rank
                && known.workload.image.as_ref() == image
                && tag.is_none_or(|tag| known.workload.tag == *tag)
                && (node.port.is_none() || known.port == node.port)
                && !unrecorded
        })
    };
    let meant = recorded.desired.is_running() || !runs(found);
    meant
        && recorded.account == found.account
        && recorded.nodes.len() == found.nodes.len()
        && found.nodes.iter().all(same)
}

async fn insert(tx: &mut Transaction, environment: EnvironmentId, node: &DiscoveredNode) -> Result<(), StorageError> {
    let cloudlets = Cloudlets::new(None, None).expect("the defaults are cloudlets");
    let (image, tag) = node.image.clone().map_or((None, Tag::latest()), |(image, tag)| (Some(image), tag));
    let id = tx.next_value("node").await?;
    let launch = node.instance.as_ref().map(|_| LaunchId(Uuid::new_v4()));
    let node_type = NodeType::of_images();
    let inserted = sqlx::query(
        "insert into node (id, environment_id, node_group, node_type, display_name, fixed_cloudlets, \
         flexible_cloudlets, port, launch_id, instance, image, tag, rank, adopted) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(id)
    .bind(environment.0.as_bytes().as_slice())
    .bind(node.group.as_str())
    .bind(node_type.as_str())
    .bind(node.group.as_str())
    .bind(i64::from(cloudlets.fixed()))
    .bind(i64::from(cloudlets.flexible()))
    .bind(node.port.map(i64::from))
    .bind(launch.map(|launch| launch.0.as_bytes().to_vec()))
    .bind(node.instance.as_ref().map(|instance| instance.0.clone()))
    .bind(image.map(|image| image.to_string()))
    .bind(tag.as_str())
    .bind(i64::from(node.rank))
    .bind(node.key.as_str())
    .execute(&mut **tx)
    .await?;
    changed_one("node", inserted.rows_affected())
}

async fn refresh(tx: &mut Transaction, known: &Node, node: &DiscoveredNode) -> Result<(), StorageError> {
    let (image, tag) = node.image.clone().map_or((None, Tag::latest()), |(image, tag)| (Some(image), tag));
    sqlx::query("update node set image = $1, tag = $2, rank = $3, port = coalesce($4, port) where id = $5")
        .bind(image.map(|image| image.to_string()))
        .bind(tag.as_str())
        .bind(i64::from(node.rank))
        .bind(node.port.map(i64::from))
        .bind(known.id.0)
        .execute(&mut **tx)
        .await?;
    let Some(instance) = &node.instance else { return Ok(()) };
    sqlx::query(
        "update node set launch_id = coalesce(launch_id, $1), instance = $2 where id = $3 and instance is null",
    )
    .bind(Uuid::new_v4().as_bytes().to_vec())
    .bind(instance.0.as_str())
    .bind(known.id.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
