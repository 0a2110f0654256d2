//! Accounts that are gone, as the authority has told.

use std::collections::HashSet;

use access::AccountId;
use jiff::Timestamp;
use sqlx::Row;
use storage::StorageError;

use super::Store;
use super::read::{OF_DEPARTED, gather};
use crate::domain::Environment;

/// What became of what an authority told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// It is kept.
    Kept,
    /// Nothing: it is another authority than the one that the accounts here are of.
    OtherAuthority,
}

impl Store {
    /// Keeps which accounts are gone, if the authority that tells it is the one that the accounts here are of. The first that tells
    /// anything is.
    pub(crate) async fn learn_departed(
        &self,
        authority: &str,
        accounts: &[AccountId],
        at: Timestamp,
    ) -> Result<Learned, StorageError> {
        let mut tx = self.database.begin("account.depart").await?;
        let known = sqlx::query("select id from authority").fetch_optional(&mut *tx).await?;
        let known: Option<String> = known.map(|row| row.try_get("id")).transpose()?;
        match known.as_deref() {
            Some(known) if known != authority => return Ok(Learned::OtherAuthority),
            Some(_) => {}
            None => {
                sqlx::query("insert into authority (id) values ($1)").bind(authority).execute(&mut *tx).await?;
            }
        }
        for account in accounts {
            sqlx::query("insert into departed_account (account, learned_at) values ($1, $2) on conflict do nothing")
                .bind(account.0)
                .bind(at.as_microsecond())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(Learned::Kept)
    }

    /// Forgets which authority the accounts here are of, and which of them are gone: the next one that answers is another, by the
    /// operator's word.
    pub(crate) async fn forget_authority(&self) -> Result<(), StorageError> {
        let mut tx = self.database.begin("authority.forget").await?;
        sqlx::query("delete from departed_account").execute(&mut *tx).await?;
        sqlx::query("delete from authority").execute(&mut *tx).await?;
        tx.commit().await
    }

    /// The accounts that are gone.
    pub(crate) async fn departed(&self) -> Result<HashSet<AccountId>, StorageError> {
        let rows = sqlx::query("select account from departed_account").fetch_all(self.database.reader()).await?;
        Ok(rows.iter().map(|row| Ok(AccountId(row.try_get("account")?))).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Whether an account is gone.
    pub(crate) async fn has_departed(&self, account: AccountId) -> Result<bool, StorageError> {
        let found = sqlx::query("select account from departed_account where account = $1").bind(account.0);
        Ok(found.fetch_optional(self.database.reader()).await?.is_some())
    }

    /// The environments of accounts that are gone, to which nothing is being done.
    pub(crate) async fn of_departed(&self) -> Result<Vec<Environment>, StorageError> {
        let rows = sqlx::query(OF_DEPARTED).fetch_all(self.database.reader()).await?;
        Ok(gather(&rows)?)
    }

    /// Forgets the groups that accounts which are gone had their environments in.
    pub(crate) async fn clear_departed_groups(&self) -> Result<(), StorageError> {
        let mut tx = self.database.begin("account.depart.groups").await?;
        sqlx::query(
            "delete from env_group where account in (select account from departed_account) \
             and not exists (select 1 from environment where environment.account = env_group.account)",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
}
