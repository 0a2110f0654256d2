//! Accounts that are gone, for whoever keeps something for accounts.

use access::AccountId;
use jiff::Timestamp;
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::{Store, row};

/// An account that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeletedAccount {
    /// Its place among all that are: they are numbered in the order in which they were deleted.
    pub(crate) number: i64,
    pub(crate) account: AccountId,
    pub(crate) deleted_at: Timestamp,
}

/// Notes, in the transaction that deletes it, that an account is gone.
pub(super) async fn record(tx: &mut Transaction, account: AccountId, now: Timestamp) -> Result<(), StorageError> {
    let number = tx.next_value("deleted_account").await?;
    sqlx::query("insert into deleted_account (number, account_id, deleted_at) values ($1, $2, $3)")
        .bind(number)
        .bind(account.0)
        .bind(now.as_microsecond())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Which authority this is.
    pub(crate) async fn identity(&self) -> Result<String, StorageError> {
        let row = sqlx::query("select id from identity").fetch_one(self.database.reader()).await?;
        Ok(row.try_get("id")?)
    }

    /// Those that were deleted after some number of them, by their order, and the number of the last one of all.
    pub(crate) async fn deleted_accounts(
        &self,
        after: i64,
        limit: i64,
    ) -> Result<(Vec<DeletedAccount>, i64), StorageError> {
        let last = sqlx::query("select coalesce(max(number), 0) as last from deleted_account")
            .fetch_one(self.database.reader())
            .await?
            .try_get("last")?;
        let rows = sqlx::query(
            "select number, account_id, deleted_at from deleted_account where number > $1 order by number limit $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(self.database.reader())
        .await?;
        let read = |found: &sqlx::any::AnyRow| {
            Ok(DeletedAccount {
                number: found.try_get("number")?,
                account: AccountId(found.try_get("account_id")?),
                deleted_at: row::moment(found, "deleted_at")?,
            })
        };
        Ok((rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?, last))
    }
}
