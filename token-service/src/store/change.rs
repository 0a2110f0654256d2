use access::{AccountId, Revision};
use jiff::{SignedDuration, Timestamp};
use storage::{StorageError, Transaction};

use super::Store;

/// How long a change is kept: longer than any grant that is older than it can live.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

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

impl Store {
    /// Forgets changes that no grant is older than.
    pub(crate) async fn forget_changes(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("change.forget").await?;
        sqlx::query("delete from change where changed_at < $1")
            .bind((now - KEPT).as_microsecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}
