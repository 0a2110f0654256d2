use access::{AccountId, Confinement, CredentialHash, CredentialId, GrantedKind, Revision};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use storage::StorageError;

use super::session::ALIVE;
use super::{Store, change, row};
use crate::domain::{ApiSet, Role};

/// What is known of a credential that is alive.
#[derive(Debug)]
pub(crate) struct Introspected {
    pub(crate) credential: CredentialId,
    pub(crate) account: AccountId,
    /// What the account signs in with.
    pub(crate) login: String,
    pub(crate) role: Role,
    /// What a token may call; `None` for a session.
    pub(crate) api_set: Option<ApiSet>,
    pub(crate) confinement: Confinement,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// When it ends by itself, at the earliest: an idle session does before it expires.
    pub(crate) alive_until: Option<Timestamp>,
    /// It is a token's value of before its last regeneration.
    pub(crate) superseded: bool,
    /// The newest revision that was committed when it was read.
    pub(crate) as_of: Revision,
}

impl Store {
    /// The newest revision that is committed.
    pub(crate) async fn revision(&self) -> Result<Revision, StorageError> {
        let row =
            sqlx::query("select value from counter where name = 'revision'").fetch_one(self.database.reader()).await?;
        Ok(Revision(row.try_get("value")?))
    }

    /// The session with this hash, if it is alive.
    pub(crate) async fn live_session(
        &self,
        hash: CredentialHash,
        now: Timestamp,
    ) -> Result<Option<Introspected>, StorageError> {
        let found = sqlx::query(AssertSqlSafe(format!(
            "select session.id, session.account_id, session.created_at, session.expires_at, session.last_access_at, \
             account.login, account.role, {AS_OF} \
             from session join account on account.id = session.account_id where {ALIVE} and session.hash = $3"
        )))
        .bind(now.as_microsecond())
        .bind(self.idle_since(now))
        .bind(hash.as_bytes().as_slice())
        .fetch_optional(self.database.reader())
        .await?;
        Ok(found.map(|row| self.read_session(&row)).transpose()?)
    }

    fn read_session(&self, row: &AnyRow) -> Result<Introspected, sqlx::Error> {
        let found = read(row, GrantedKind::Session)?;
        let idle_from = row::moment(row, "last_access_at")?.checked_add(self.session_idle_lifetime).ok();
        let alive_until = [found.expires_at, idle_from].into_iter().flatten().min();
        Ok(Introspected { alive_until, ..found })
    }

    /// The token with this hash, if it is alive: its value, or its value of before as long as that lives on.
    pub(crate) async fn live_token(
        &self,
        hash: CredentialHash,
        now: Timestamp,
    ) -> Result<Option<Introspected>, StorageError> {
        if let Some(found) = self.token_where("token.hash = $1", hash, now).await? {
            return Ok(Some(found));
        }
        self.token_where("token.previous_hash = $1 and token.previous_expires_at > $2", hash, now).await
    }

    async fn token_where(
        &self,
        condition: &'static str,
        hash: CredentialHash,
        now: Timestamp,
    ) -> Result<Option<Introspected>, StorageError> {
        let found = sqlx::query(AssertSqlSafe(format!(
            "select token.id, token.account_id, token.created_at, token.expires_at, token.template, token.api_list, token.environments, \
             token.networks, token.hash, token.previous_expires_at, account.login, account.role, {AS_OF} \
             from token join account on account.id = token.account_id \
             where {condition} and (token.expires_at is null or token.expires_at > $2) and account.state = 'active'"
        )))
        .bind(hash.as_bytes().as_slice())
        .bind(now.as_microsecond())
        .fetch_optional(self.database.reader())
        .await?;
        Ok(found.map(|row| read_token(&row, hash)).transpose()?)
    }

    /// Whether a change of a credential, or of its account, has been committed since. It is asked after the credential is found
    /// alive: of one that is, nothing may be believed that was said before its last change.
    pub(crate) async fn is_changed_since(
        &self,
        credential: CredentialId,
        account: AccountId,
        as_of: Revision,
    ) -> Result<bool, StorageError> {
        let (kind, id) = change::columns(account, Some(credential));
        let found = sqlx::query(
            "select revision from change where revision > $1 \
             and ((credential_kind = $2 and credential_id = $3) or (credential_kind = 'account' and credential_id = $4)) \
             limit 1",
        )
        .bind(as_of.0)
        .bind(kind)
        .bind(id)
        .bind(account.0)
        .fetch_optional(self.database.reader())
        .await?;
        Ok(found.is_some())
    }

    /// Whether a credential is alive at this moment, whatever a grant says that was made a moment ago.
    pub(crate) async fn is_alive(
        &self,
        credential: CredentialId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        if credential.kind == GrantedKind::Session {
            let query = format!(
                "select session.id from session join account on account.id = session.account_id \
                 where {ALIVE} and session.id = $3 and session.account_id = $4"
            );
            let found = sqlx::query(AssertSqlSafe(query))
                .bind(now.as_microsecond())
                .bind(self.idle_since(now))
                .bind(credential.number)
                .bind(account.0)
                .fetch_optional(self.database.reader())
                .await?;
            return Ok(found.is_some());
        }
        let found = sqlx::query(
            "select token.id from token join account on account.id = token.account_id \
             where token.id = $1 and token.account_id = $2 \
             and (token.expires_at is null or token.expires_at > $3) and account.state = 'active' \
             and token.leaked_at is null",
        )
        .bind(credential.number)
        .bind(account.0)
        .bind(now.as_microsecond())
        .fetch_optional(self.database.reader())
        .await?;
        Ok(found.is_some())
    }
}

/// The newest revision, read in the statement that reads a credential: the statement sees the database as it was at one moment, so
/// what it says of the credential holds for every change up to that one.
const AS_OF: &str = "(select value from counter where name = 'revision') as as_of";

fn read(row: &AnyRow, kind: GrantedKind) -> Result<Introspected, sqlx::Error> {
    let expires_at = row::optional_moment(row, "expires_at")?;
    Ok(Introspected {
        credential: CredentialId { kind, number: row.try_get("id")? },
        account: AccountId(row.try_get("account_id")?),
        login: row.try_get("login")?,
        created_at: row::moment(row, "created_at")?,
        role: row::role(row)?,
        api_set: None,
        confinement: Confinement::NONE,
        expires_at,
        alive_until: expires_at,
        superseded: false,
        as_of: Revision(row.try_get("as_of")?),
    })
}

fn read_token(row: &AnyRow, asked: CredentialHash) -> Result<Introspected, sqlx::Error> {
    let found = read(row, GrantedKind::Token)?;
    let present: &[u8] = row.try_get("hash")?;
    // The value of before ends before the token does, or with it.
    let superseded = present != asked.as_bytes();
    let overlap = if superseded { row::optional_moment(row, "previous_expires_at")? } else { None };
    let expires_at = [found.expires_at, overlap].into_iter().flatten().min();
    let (api_set, confinement) = (Some(row::api_set(row)?), row::confinement(row)?);
    Ok(Introspected { api_set, confinement, expires_at, alive_until: expires_at, superseded, ..found })
}
