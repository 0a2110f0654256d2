use access::AccountId;
use access::lease::Change;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use storage::{StorageError, Transaction};

use super::{SessionError, Store, audit, change, row};
use crate::domain::{AuditEntry, LastUse, NewExpiry, NewToken, NewValue, Selection, Session, Token, TokenChange};

#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the session is not alive")]
    SessionEnded,
    #[error("the account holds {0} tokens, as many as it may")]
    Limit(i64),
    #[error("there is no token {0}")]
    NotFound(i64),
    #[error("the token has expired and was given no new expiry")]
    Expired,
    #[error("the token has expired, and its value of before with it")]
    ExpiredOverlap,
    #[error("the database did not carry out the change")]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl From<SessionError> for TokenError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Ended => Self::SessionEnded,
            SessionError::Storage(error) => Self::Storage(error),
        }
    }
}

const COLUMNS: &str = "id, description, template, api_list, environments, networks, created_at, expires_at, \
     previous_expires_at, previous_leaked_at, leaked_at, last_used_at, last_used_address, last_used_method, use_count";

impl Store {
    pub(crate) async fn create_token(
        &self,
        session: &Session,
        token: &NewToken,
        limit: i64,
    ) -> Result<Token, TokenError> {
        self.database.again(|| self.try_create_token(session, token, limit)).await
    }

    async fn try_create_token(&self, session: &Session, token: &NewToken, limit: i64) -> Result<Token, TokenError> {
        let mut tx = self.database.begin("token.create").await?;
        // What ends the session comes before this, and is seen, or after it, and ends what is made here as well.
        change::lock(&mut tx).await?;
        // Taking the number first makes creations wait for each other, so that no two of them see room for one.
        let id = tx.next_value("token").await?;
        self.require(&mut tx, session, token.created_at).await?;
        let held: i64 = sqlx::query("select count(*) as held from token where account_id = $1")
            .bind(session.account.0)
            .fetch_one(&mut *tx)
            .await?
            .try_get("held")?;
        if held >= limit {
            return Err(TokenError::Limit(held));
        }
        let (template, api_list) = row::api_set_columns(&token.api_set);
        sqlx::query(
            "insert into token (id, account_id, description, hash, template, api_list, created_at, expires_at, \
             environments, networks) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(id)
        .bind(session.account.0)
        .bind(token.description.as_str())
        .bind(token.hash.as_bytes().as_slice())
        .bind(template)
        .bind(api_list)
        .bind(token.created_at.as_microsecond())
        .bind(token.expires_at.map(|expiry| expiry.moment().as_microsecond()))
        .bind(row::listed(&token.confinement.environments))
        .bind(row::listed(&token.confinement.networks))
        .execute(&mut *tx)
        .await?;
        let created = read_token(&mut tx, session.account, id).await?;
        let entry = AuditEntry::by_session(session, "token.create", format!("token {id}"), token.created_at);
        audit::record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// Changes a token, and notes the change. A new value on a token that has expired needs a new expiry.
    pub(crate) async fn change_token(
        &self,
        session: &Session,
        id: i64,
        changed: &TokenChange,
        now: Timestamp,
    ) -> Result<(Token, Change), TokenError> {
        self.database.again(|| self.try_change_token(session, id, changed, now)).await
    }

    async fn try_change_token(
        &self,
        session: &Session,
        id: i64,
        changed: &TokenChange,
        now: Timestamp,
    ) -> Result<(Token, Change), TokenError> {
        let mut tx = self.database.begin("token.change").await?;
        let change = change::record(&mut tx, session.account, change::token(id), now).await?;
        self.require(&mut tx, session, now).await?;
        let before = read_token(&mut tx, session.account, id).await?;
        let expires_at = changed.expires_at.map_or(before.expires_at, NewExpiry::moment);
        if changed.value.is_some() && expires_at.is_some_and(|end| end <= now) {
            return Err(TokenError::Expired);
        }
        // What has expired must not come back beside the new value.
        let overlaps = changed.value.as_ref().is_some_and(|value| value.overlap_ends_at.is_some());
        if overlaps && before.expires_at.is_some_and(|end| end <= now) {
            return Err(TokenError::ExpiredOverlap);
        }
        let (template, api_list) = row::api_set_columns(changed.api_set.as_ref().unwrap_or(&before.api_set));
        let updated = sqlx::query(
            "update token set description = $1, template = $2, api_list = $3, expires_at = $4, environments = $5, \
             networks = $6 where id = $7 and account_id = $8",
        )
        .bind(changed.description.as_ref().map_or(before.description.as_str(), |description| description.as_str()))
        .bind(template)
        .bind(api_list)
        .bind(expires_at.map(Timestamp::as_microsecond))
        .bind(row::listed(changed.environments.as_ref().unwrap_or(&before.confinement.environments)))
        .bind(row::listed(changed.networks.as_ref().unwrap_or(&before.confinement.networks)))
        .bind(id)
        .bind(session.account.0)
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() != 1 {
            return Err(TokenError::NotFound(id));
        }
        if changed.end_overlap {
            end_overlap(&mut tx, id).await?;
        }
        if let Some(value) = &changed.value {
            set_value(&mut tx, id, value).await?;
        }
        let after = read_token(&mut tx, session.account, id).await?;
        let action = if changed.value.is_some() { "token.regenerate" } else { "token.edit" };
        let entry = AuditEntry::by_session(session, action, format!("token {id}"), now);
        audit::record(&mut tx, &entry.with_changes(after.changes_since(&before))).await?;
        tx.commit().await?;
        Ok((after, change))
    }

    /// Deletes tokens, all that are named or none.
    pub(crate) async fn delete_tokens(
        &self,
        session: &Session,
        selection: &Selection,
        now: Timestamp,
    ) -> Result<Vec<Change>, TokenError> {
        self.database.again(|| self.try_delete_tokens(session, selection, now)).await
    }

    async fn try_delete_tokens(
        &self,
        session: &Session,
        selection: &Selection,
        now: Timestamp,
    ) -> Result<Vec<Change>, TokenError> {
        let mut tx = self.database.begin("token.delete").await?;
        // The number of a revision is the lock under which changes follow each other; one that changes nothing in the
        // end is rolled back with the rest.
        let ids = match selection {
            Selection::Only(ids) => ids.iter().copied().collect(),
            Selection::All => {
                change::lock(&mut tx).await?;
                token_ids(&mut tx, session.account).await?
            }
        };
        let mut changes = Vec::with_capacity(ids.len());
        for id in &ids {
            changes.push(change::record(&mut tx, session.account, change::token(*id), now).await?);
            let deleted = sqlx::query("delete from token where id = $1 and account_id = $2")
                .bind(*id)
                .bind(session.account.0)
                .execute(&mut *tx)
                .await?;
            if deleted.rows_affected() != 1 {
                return Err(TokenError::NotFound(*id));
            }
        }
        self.require(&mut tx, session, now).await?;
        for id in &ids {
            audit::record(&mut tx, &AuditEntry::by_session(session, "token.delete", format!("token {id}"), now))
                .await?;
        }
        tx.commit().await?;
        Ok(changes)
    }

    /// The account's tokens, newest first.
    pub(crate) async fn tokens(&self, account: AccountId) -> Result<Vec<Token>, StorageError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from token where account_id = $1 order by id desc"
        )))
        .bind(account.0)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

async fn token_ids(tx: &mut Transaction, account: AccountId) -> Result<Vec<i64>, TokenError> {
    let rows = sqlx::query("select id from token where account_id = $1 order by id")
        .bind(account.0)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?)
}

async fn read_token(tx: &mut Transaction, account: AccountId, id: i64) -> Result<Token, TokenError> {
    let found =
        sqlx::query(sqlx::AssertSqlSafe(format!("select {COLUMNS} from token where id = $1 and account_id = $2")))
            .bind(id)
            .bind(account.0)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(read(&found.ok_or(TokenError::NotFound(id))?)?)
}

/// Takes another value, and keeps the present one where it is to live on.
async fn set_value(tx: &mut Transaction, id: i64, value: &NewValue) -> Result<(), TokenError> {
    let statement = match value.overlap_ends_at {
        Some(_) => {
            "update token set previous_hash = hash, previous_expires_at = $1, hash = $2, leaked_at = null, \
             previous_leaked_at = null where id = $3"
        }
        None => {
            "update token set previous_hash = null, previous_expires_at = $1, hash = $2, leaked_at = null, \
             previous_leaked_at = null where id = $3"
        }
    };
    sqlx::query(statement)
        .bind(value.overlap_ends_at.map(Timestamp::as_microsecond))
        .bind(value.hash.as_bytes().as_slice())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn end_overlap(tx: &mut Transaction, id: i64) -> Result<(), TokenError> {
    sqlx::query("update token set previous_hash = null, previous_expires_at = null where id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<Token, sqlx::Error> {
    let last_use = row::optional_moment(row, "last_used_at")?.map(|at| {
        Ok::<_, sqlx::Error>(LastUse {
            at,
            address: row.try_get("last_used_address")?,
            method: row.try_get("last_used_method")?,
        })
    });
    Ok(Token {
        id: row.try_get("id")?,
        description: row.try_get("description")?,
        api_set: row::api_set(row)?,
        confinement: row::confinement(row)?,
        created_at: row::moment(row, "created_at")?,
        expires_at: row::optional_moment(row, "expires_at")?,
        overlap_ends_at: row::optional_moment(row, "previous_expires_at")?,
        leaked_at: row::optional_moment(row, "leaked_at")?,
        previous_leaked_at: row::optional_moment(row, "previous_leaked_at")?,
        last_use: last_use.transpose()?,
        use_count: row.try_get("use_count")?,
    })
}
