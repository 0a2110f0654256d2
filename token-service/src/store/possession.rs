//! What whoever has a credential's value may do with it: end it, or report it.

use access::lease::Change;
use access::{AccountId, Credential, CredentialHash, CredentialId, CredentialKind, GrantedKind, Origin, Revision};
use jiff::Timestamp;
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::{SessionError, Store, audit, change, notice};
use crate::domain::AuditEntry;

/// What a value belongs to, alive or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) credential: CredentialId,
    pub(crate) account: AccountId,
    /// It is a token's value of before its last regeneration.
    pub(super) superseded: bool,
}

impl Store {
    /// What a value belongs to; nothing where it is a superseded one whose time is over.
    pub(crate) async fn held(&self, value: &Credential, now: Timestamp) -> Result<Option<Held>, StorageError> {
        let hash = value.hash();
        let bytes = hash.as_bytes().as_slice();
        let (kind, query) = match value.kind() {
            CredentialKind::Session => {
                let query = sqlx::query("select id, account_id, hash from session where hash = $1").bind(bytes);
                (GrantedKind::Session, query)
            }
            CredentialKind::Token => {
                let query = sqlx::query(
                    "select id, account_id, hash from token \
                     where hash = $1 or (previous_hash = $1 and previous_expires_at > $2)",
                );
                (GrantedKind::Token, query.bind(bytes).bind(now.as_microsecond()))
            }
            CredentialKind::Service => return Ok(None),
        };
        let found = query.fetch_optional(self.database.reader()).await?;
        let Some(row) = found else { return Ok(None) };
        let present: &[u8] = row.try_get("hash")?;
        Ok(Some(Held {
            credential: CredentialId { kind, number: row.try_get("id")? },
            account: AccountId(row.try_get("account_id")?),
            superseded: present != hash.as_bytes(),
        }))
    }

    /// Ends what a value belongs to, for a service that was given the value. A superseded value ends alone. Nothing is changed
    /// where another was faster.
    pub(crate) async fn revoke_held(
        &self,
        held: Held,
        hash: CredentialHash,
        service: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Change>, StorageError> {
        self.database.again(|| self.try_revoke_held(held, hash, service, origin, now)).await
    }

    async fn try_revoke_held(
        &self,
        held: Held,
        hash: CredentialHash,
        service: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Change>, StorageError> {
        let (mut tx, change) = self.begin_change("credential.revoke", held, now).await?;
        let changed = match (held.credential.kind, held.superseded) {
            (GrantedKind::Session, _) => end_session(&mut tx, held, hash).await?,
            (GrantedKind::Token, true) => end_superseded(&mut tx, held, hash).await?,
            (GrantedKind::Token, false) => delete_token(&mut tx, held, hash).await?,
        };
        if !changed {
            return Ok(None);
        }
        let action = match (held.credential.kind, held.superseded) {
            (GrantedKind::Session, _) => "session.end",
            (GrantedKind::Token, true) => "token.end_overlap",
            (GrantedKind::Token, false) => "token.delete",
        };
        let entry = AuditEntry::by_service(service, held.account, action, held.credential.to_string(), origin, now);
        audit::record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(Some(change))
    }

    /// Makes a reported value dead and leaves a notice for the token's owner. A token stays, under a hash that no known
    /// value has. Nothing is changed where another was faster.
    pub(crate) async fn report_leak(
        &self,
        held: Held,
        hash: CredentialHash,
        unknown: CredentialHash,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Change>, StorageError> {
        self.database.again(|| self.try_report_leak(held, hash, unknown, origin, now)).await
    }

    async fn try_report_leak(
        &self,
        held: Held,
        hash: CredentialHash,
        unknown: CredentialHash,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Change>, StorageError> {
        let (mut tx, change) = self.begin_change("credential.leak", held, now).await?;
        let changed = match (held.credential.kind, held.superseded) {
            (GrantedKind::Session, _) => end_session(&mut tx, held, hash).await?,
            (GrantedKind::Token, true) => disown_superseded(&mut tx, held, hash, now).await?,
            (GrantedKind::Token, false) => disown(&mut tx, held, hash, unknown, now).await?,
        };
        if !changed {
            return Ok(None);
        }
        notice::leaked(&mut tx, held, now).await?;
        let action = match (held.credential.kind, held.superseded) {
            (GrantedKind::Session, _) => "session.leak",
            (GrantedKind::Token, true) => "token.leak_previous",
            (GrantedKind::Token, false) => "token.leak",
        };
        let entry = AuditEntry::by_anybody(Some(held.account), action, origin, now).about(held.credential.to_string());
        audit::record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(Some(change))
    }

    /// Ends what a call is made with, as it was read at a revision: the token, or its value of before alone. The value of one that
    /// was regenerated since is not in the caller's possession.
    pub(crate) async fn revoke_current_token(
        &self,
        id: i64,
        account: AccountId,
        superseded: bool,
        as_of: Revision,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Change, SessionError> {
        self.database.again(|| self.try_revoke_current_token(id, account, superseded, as_of, origin, now)).await
    }

    async fn try_revoke_current_token(
        &self,
        id: i64,
        account: AccountId,
        superseded: bool,
        as_of: Revision,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Change, SessionError> {
        let mut tx = self.database.begin("token.revoke_current").await?;
        let change = change::record(&mut tx, account, change::token(id), now).await?;
        if changed_between(&mut tx, id, as_of, change.revision).await? {
            return Err(SessionError::Ended);
        }
        let (action, statement) = if superseded {
            let statement = "update token set previous_hash = null, previous_expires_at = null \
                             where id = $1 and account_id = $2 and previous_hash is not null";
            ("token.end_overlap", statement)
        } else {
            ("token.delete", "delete from token where id = $1 and account_id = $2 and leaked_at is null")
        };
        let ended = sqlx::query(statement).bind(id).bind(account.0).execute(&mut *tx).await?;
        if ended.rows_affected() != 1 {
            return Err(SessionError::Ended);
        }
        audit::record(&mut tx, &AuditEntry::by_token(id, account, action, origin, now)).await?;
        tx.commit().await?;
        Ok(change)
    }

    async fn begin_change(
        &self,
        name: &'static str,
        held: Held,
        now: Timestamp,
    ) -> Result<(Transaction, Change), StorageError> {
        let mut tx = self.database.begin(name).await?;
        let change = change::record(&mut tx, held.account, Some(held.credential), now).await?;
        Ok((tx, change))
    }
}

async fn changed_between(
    tx: &mut Transaction,
    id: i64,
    since: Revision,
    until: Revision,
) -> Result<bool, StorageError> {
    let found = sqlx::query(
        "select revision from change \
         where revision > $1 and revision < $2 and credential_kind = 'token' and credential_id = $3",
    )
    .bind(since.0)
    .bind(until.0)
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.is_some())
}

async fn end_session(tx: &mut Transaction, held: Held, hash: CredentialHash) -> Result<bool, StorageError> {
    let deleted = sqlx::query("delete from session where id = $1 and hash = $2")
        .bind(held.credential.number)
        .bind(hash.as_bytes().as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

async fn delete_token(tx: &mut Transaction, held: Held, hash: CredentialHash) -> Result<bool, StorageError> {
    let deleted = sqlx::query("delete from token where id = $1 and hash = $2")
        .bind(held.credential.number)
        .bind(hash.as_bytes().as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

async fn end_superseded(tx: &mut Transaction, held: Held, hash: CredentialHash) -> Result<bool, StorageError> {
    let ended = sqlx::query(
        "update token set previous_hash = null, previous_expires_at = null where id = $1 and previous_hash = $2",
    )
    .bind(held.credential.number)
    .bind(hash.as_bytes().as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// The value of before the regeneration ends, and the owner sees why.
async fn disown_superseded(
    tx: &mut Transaction,
    held: Held,
    hash: CredentialHash,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let disowned = sqlx::query(
        "update token set previous_hash = null, previous_expires_at = null, previous_leaked_at = $1 \
         where id = $2 and previous_hash = $3",
    )
    .bind(now.as_microsecond())
    .bind(held.credential.number)
    .bind(hash.as_bytes().as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(disowned.rows_affected() == 1)
}

/// No value belongs to the token any more, until it is regenerated.
async fn disown(
    tx: &mut Transaction,
    held: Held,
    hash: CredentialHash,
    unknown: CredentialHash,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let disowned = sqlx::query(
        "update token set hash = $1, previous_hash = null, previous_expires_at = null, leaked_at = $2 \
         where id = $3 and hash = $4",
    )
    .bind(unknown.as_bytes().as_slice())
    .bind(now.as_microsecond())
    .bind(held.credential.number)
    .bind(hash.as_bytes().as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(disowned.rows_affected() == 1)
}
