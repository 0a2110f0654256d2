use access::lease::Change;
use access::{AccountId, CredentialId, GrantedKind, Revision};
use jiff::{SignedDuration, Timestamp};
use storage::{StorageError, Transaction};

use super::Store;
use super::lease::CHANNEL;

/// How long a change is kept: longer than any grant that is older than it can live, and than a holder is likely to be cut off.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Notes, in the transaction that makes it, a change to what a credential may do; to what all of the account's may, where none is
/// named. The number that it takes locks all other changes out until the commit, so numbers become visible in their order.
pub(super) async fn record(
    tx: &mut Transaction,
    account: AccountId,
    credential: Option<CredentialId>,
    now: Timestamp,
) -> Result<Change, StorageError> {
    let revision = tx.next_value("revision").await?;
    let (kind, number) = columns(account, credential);
    sqlx::query(
        "insert into change (revision, account_id, credential_kind, credential_id, changed_at) \
         values ($1, $2, $3, $4, $5)",
    )
    .bind(revision)
    .bind(account.0)
    .bind(kind)
    .bind(number)
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    tx.notify(CHANNEL).await?;
    Ok(Change { revision: Revision(revision), account, credential })
}

/// How the log names a credential; all of the account's, where none is named.
pub(super) fn columns(account: AccountId, credential: Option<CredentialId>) -> (&'static str, i64) {
    match credential {
        Some(CredentialId { kind: GrantedKind::Session, number }) => ("session", number),
        Some(CredentialId { kind: GrantedKind::Token, number }) => ("token", number),
        None => ("account", account.0),
    }
}

/// Keeps every other change out until the commit.
pub(super) async fn lock(tx: &mut Transaction) -> Result<(), StorageError> {
    sqlx::query("update counter set value = value where name = 'revision'").execute(&mut **tx).await?;
    Ok(())
}

pub(super) fn token(number: i64) -> Option<CredentialId> {
    Some(CredentialId { kind: GrantedKind::Token, number })
}

pub(super) fn session(number: i64) -> Option<CredentialId> {
    Some(CredentialId { kind: GrantedKind::Session, number })
}

impl Store {
    /// Forgets changes that no grant is older than. What is left of the log has no gap.
    pub(crate) async fn forget_changes(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("change.forget").await?;
        sqlx::query(
            "delete from change where revision < coalesce((select min(revision) from change where changed_at >= $1), \
             (select value + 1 from counter where name = 'revision'))",
        )
        .bind((now - KEPT).as_microsecond())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
}
