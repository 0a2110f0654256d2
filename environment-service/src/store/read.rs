use std::collections::HashSet;

use access::AccountId;
use sqlx::any::AnyRow;
use storage::StorageError;

use super::{Store, row};
use crate::domain::{Desired, DriverKind, EnvName, Environment, EnvironmentId, LaunchId, NodeId};

/// An environment has at least one node, so the join loses none. One statement sees one state of both tables.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select environment.id, environment.name, environment.account, environment.display_name, ",
            "environment.highly_available, environment.tls, environment.desired, environment.operation, ",
            "environment.created_at, environment.driver, environment.adopted, ",
            "(select string_agg(environment_group.name, ';') from environment_group ",
            "where environment_group.environment_id = environment.id) as env_groups, ",
            "node.id as node_id, node.node_group, node.node_type, ",
            "node.display_name as node_display_name, node.fixed_cloudlets, node.flexible_cloudlets, node.port, ",
            "node.launch_id, node.instance, node.image, node.tag, node.former_tag, node.variables, node.rank, node.ending, ",
            "node.adopted as node_adopted ",
            "from environment join node on node.environment_id = environment.id ",
            $rest
        )
    };
}

pub(super) const BY_ID: &str = select!("where environment.id = $1 order by node.id");
pub(super) const BY_NAME: &str = select!("where environment.account = $1 and environment.name = $2 order by node.id");
const BY_ACCOUNT: &str = select!("where environment.account = $1 order by environment.name, node.id");
const UNFINISHED: &str = select!("where environment.operation is not null order by environment.name, node.id");
pub(super) const ADOPTED: &str =
    select!("where environment.driver = $1 and environment.adopted is not null order by environment.name, node.id");
pub(super) const OF_DEPARTED: &str = select!(
    "where environment.operation is null and environment.account in (select account from departed_account) \
     order by environment.name, node.id"
);
const AT_REST: &str =
    select!("where environment.operation is null and environment.desired = $1 order by environment.name, node.id");

impl Store {
    /// An account's environment.
    pub(crate) async fn find(&self, account: AccountId, name: &EnvName) -> Result<Option<Environment>, StorageError> {
        let rows = sqlx::query(BY_NAME).bind(account.0).bind(name.as_str()).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?.pop())
    }

    /// An environment by its identity.
    pub(crate) async fn get(&self, id: EnvironmentId) -> Result<Option<Environment>, StorageError> {
        let rows = sqlx::query(BY_ID).bind(id.0.as_bytes().as_slice()).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?.pop())
    }

    /// An account's environments, by name.
    pub(crate) async fn list(&self, account: AccountId) -> Result<Vec<Environment>, StorageError> {
        let rows = sqlx::query(BY_ACCOUNT).bind(account.0).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?)
    }

    /// The environments whose operation was torn off.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Environment>, StorageError> {
        let rows = sqlx::query(UNFINISHED).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?)
    }

    /// The environments that are meant to run and to which nothing is being done.
    pub(crate) async fn meant_to_run(&self) -> Result<Vec<Environment>, StorageError> {
        let rows = sqlx::query(AT_REST).bind(Desired::Running.as_str()).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?)
    }

    /// The launches of which it is not recorded what was launched.
    pub(crate) async fn unrecorded(&self) -> Result<Vec<(DriverKind, EnvironmentId, NodeId, LaunchId)>, StorageError> {
        let rows = sqlx::query(
            "select environment.driver, environment.id, node.id as node_id, node.launch_id from node \
                 join environment on environment.id = node.environment_id \
                 where node.launch_id is not null and node.instance is null order by node.id",
        )
        .fetch_all(self.database.reader())
        .await?;
        let mut launches = Vec::new();
        for read in &rows {
            if let Some(launch) = row::launch_id(read)? {
                let (driver, environment) = (row::parsed(read, "driver")?, row::environment_id(read)?);
                launches.push((driver, environment, row::node_id(read)?, launch));
            }
        }
        Ok(launches)
    }

    /// All launches that are recorded, those included of which it is not known what was launched.
    pub(crate) async fn launches(&self) -> Result<HashSet<LaunchId>, StorageError> {
        let rows = sqlx::query("select launch_id from node where launch_id is not null");
        let rows = rows.fetch_all(self.database.reader()).await?;
        Ok(rows.iter().filter_map(|read| row::launch_id(read).transpose()).collect::<Result<_, _>>()?)
    }
}

/// Puts nodes and their environments together. Rows of one environment follow each other.
pub(super) fn gather(rows: &[AnyRow]) -> Result<Vec<Environment>, sqlx::Error> {
    let mut environments: Vec<Environment> = Vec::new();
    for read in rows {
        let id = row::environment_id(read)?;
        if environments.last().is_none_or(|last| last.id != id) {
            environments.push(row::environment(read)?);
        }
        let environment = environments.last_mut().expect("one was just put there");
        environment.nodes.push(row::node(read)?);
    }
    Ok(environments)
}
