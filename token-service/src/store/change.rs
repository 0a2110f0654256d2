use access::{AccountId, Revision};
use jiff::Timestamp;
use storage::{StorageError, Transaction};

/// Notes, in the transaction that makes it, a change to what a credential may do. The number that it takes locks all
/// other changes out until the commit, so numbers become visible in their order.
pub(super) async fn record(
    tx: &mut Transaction,
    account: AccountId,
    credential_kind: &'static str,
    credential_id: i64,
    now: Timestamp,
) -> Result<Revision, StorageError> {
    let revision = tx.next_value("revision").await?;
    sqlx::query(
        "insert into change (revision, account_id, credential_kind, credential_id, changed_at) \
         values ($1, $2, $3, $4, $5)",
    )
    .bind(revision)
    .bind(account.0)
    .bind(credential_kind)
    .bind(credential_id)
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(Revision(revision))
}

/// Keeps every other change out until the commit.
pub(super) async fn lock(tx: &mut Transaction) -> Result<(), StorageError> {
    sqlx::query("update counter set value = value where name = 'revision'").execute(&mut **tx).await?;
    Ok(())
}
