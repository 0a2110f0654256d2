//! Environment groups: names under which an account puts environments together.

use access::AccountId;
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::{Store, quota};
use crate::domain::{EnvGroup, EnvironmentId, QuotaExceeded};

/// Between the names of groups in one column: no name holds it.
const SEPARATOR: char = ';';

/// The most groups of an account.
const MOST: i64 = 1000;

/// Why groups were not made, or an environment not put into them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    #[error("the database did not keep the groups")]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for GroupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// Puts an environment into groups, which are made where they are not there yet.
pub(super) async fn put(
    tx: &mut Transaction,
    id: EnvironmentId,
    account: AccountId,
    groups: &[EnvGroup],
) -> Result<(), GroupError> {
    for group in groups {
        make(tx, account, group).await?;
        sqlx::query(
            "insert into environment_group (environment_id, account, name) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(id.0.as_bytes().as_slice())
        .bind(account.0)
        .bind(group.as_str())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Takes an environment out of all groups.
pub(super) async fn clear(tx: &mut Transaction, id: EnvironmentId) -> Result<(), StorageError> {
    sqlx::query("delete from environment_group where environment_id = $1")
        .bind(id.0.as_bytes().as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn make(tx: &mut Transaction, account: AccountId, group: &EnvGroup) -> Result<bool, GroupError> {
    let made = sqlx::query("insert into env_group (account, name) values ($1, $2) on conflict do nothing")
        .bind(account.0)
        .bind(group.as_str())
        .execute(&mut **tx)
        .await?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    let counted = sqlx::query("select count(*) as groups from env_group where account = $1");
    let would = counted.bind(account.0).fetch_one(&mut **tx).await?.try_get("groups")?;
    if would > MOST {
        return Err(QuotaExceeded { what: "environment groups", most: MOST, would }.into());
    }
    Ok(true)
}

/// Names of groups, from the column that a query puts them together in.
pub(super) fn from_column(text: Option<String>) -> Vec<EnvGroup> {
    let mut groups: Vec<EnvGroup> =
        text.unwrap_or_default().split(SEPARATOR).filter_map(|name| name.parse().ok()).collect();
    groups.sort();
    groups
}

/// What became of a change to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupChange {
    /// It was made.
    Done,
    /// There is no such group.
    NotFound,
    /// There is one of that name already.
    Taken,
}

impl Store {
    /// The groups of an account, by name.
    pub(crate) async fn env_groups(&self, account: AccountId) -> Result<Vec<EnvGroup>, StorageError> {
        let rows = sqlx::query("select name from env_group where account = $1 order by name")
            .bind(account.0)
            .fetch_all(self.database.reader())
            .await?;
        let names = rows.iter().map(|row| row.try_get::<String, _>("name"));
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        Ok(names.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Makes a group without environments.
    pub(crate) async fn make_env_group(&self, account: AccountId, group: &EnvGroup) -> Result<GroupChange, GroupError> {
        let mut tx = self.database.begin("env_group.make").await?;
        quota::lock(&mut tx).await?;
        let made = make(&mut tx, account, group).await?;
        tx.commit().await?;
        Ok(if made { GroupChange::Done } else { GroupChange::Taken })
    }

    /// Removes a group. Its environments stay.
    pub(crate) async fn remove_env_group(
        &self,
        account: AccountId,
        group: &EnvGroup,
    ) -> Result<GroupChange, StorageError> {
        let mut tx = self.database.begin("env_group.remove").await?;
        sqlx::query("delete from environment_group where account = $1 and name = $2")
            .bind(account.0)
            .bind(group.as_str())
            .execute(&mut *tx)
            .await?;
        let removed = sqlx::query("delete from env_group where account = $1 and name = $2")
            .bind(account.0)
            .bind(group.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(if removed.rows_affected() == 1 { GroupChange::Done } else { GroupChange::NotFound })
    }

    /// Gives a group another name.
    pub(crate) async fn rename_env_group(
        &self,
        account: AccountId,
        from: &EnvGroup,
        to: &EnvGroup,
    ) -> Result<GroupChange, StorageError> {
        let mut tx = self.database.begin("env_group.rename").await?;
        let renamed = sqlx::query("update env_group set name = $1 where account = $2 and name = $3")
            .bind(to.as_str())
            .bind(account.0)
            .bind(from.as_str())
            .execute(&mut *tx)
            .await
            .map_err(StorageError::from);
        match renamed {
            Err(error) if error.is_unique_violation() => return Ok(GroupChange::Taken),
            Err(error) => return Err(error),
            Ok(renamed) if renamed.rows_affected() == 0 => return Ok(GroupChange::NotFound),
            Ok(_) => (),
        }
        sqlx::query("update environment_group set name = $1 where account = $2 and name = $3")
            .bind(to.as_str())
            .bind(account.0)
            .bind(from.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(GroupChange::Done)
    }

    /// Puts an environment into groups, besides those that it is in.
    pub(crate) async fn attach_env_groups(
        &self,
        id: EnvironmentId,
        account: AccountId,
        groups: &[EnvGroup],
    ) -> Result<(), GroupError> {
        let mut tx = self.database.begin("env_group.attach").await?;
        quota::lock(&mut tx).await?;
        put(&mut tx, id, account, groups).await?;
        Ok(tx.commit().await?)
    }

    /// Takes an environment out of groups.
    pub(crate) async fn detach_env_groups(&self, id: EnvironmentId, groups: &[EnvGroup]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("env_group.detach").await?;
        for group in groups {
            sqlx::query("delete from environment_group where environment_id = $1 and name = $2")
                .bind(id.0.as_bytes().as_slice())
                .bind(group.as_str())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await
    }

    /// Puts an environment into these groups and no others.
    pub(crate) async fn set_env_groups(
        &self,
        id: EnvironmentId,
        account: AccountId,
        groups: &[EnvGroup],
    ) -> Result<(), GroupError> {
        let mut tx = self.database.begin("env_group.set").await?;
        quota::lock(&mut tx).await?;
        clear(&mut tx, id).await?;
        put(&mut tx, id, account, groups).await?;
        Ok(tx.commit().await?)
    }
}
