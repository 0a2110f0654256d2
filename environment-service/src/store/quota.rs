//! How much an account has, against what it may have.

use access::AccountId;
use sqlx::Row;
use storage::{StorageError, Transaction};

use crate::domain::Holdings;

/// Keeps whoever else would change how much somebody has out until the commit.
pub(super) async fn lock(tx: &mut Transaction) -> Result<(), StorageError> {
    sqlx::query("update counter set value = value where name = 'node'").execute(&mut **tx).await?;
    Ok(())
}

/// How much an account has, as this transaction sees it. What was there before does not count.
pub(super) async fn holdings(tx: &mut Transaction, account: AccountId) -> Result<Holdings, StorageError> {
    let row = sqlx::query(
        "select count(distinct environment.id) as environments, count(node.id) as nodes, \
         cast(coalesce(sum(node.flexible_cloudlets), 0) as bigint) as cloudlets \
         from environment left join node on node.environment_id = environment.id \
         where environment.account = $1 and environment.adopted is null",
    )
    .bind(account.0)
    .fetch_one(&mut **tx)
    .await?;
    let (environments, nodes) = (row.try_get("environments")?, row.try_get("nodes")?);
    Ok(Holdings { environments, nodes, cloudlets: row.try_get("cloudlets")? })
}
