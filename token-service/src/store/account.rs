use access::AccountId;
use access::lease::Change;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use storage::StorageError;

use super::{SessionError, Store, audit, change, row};
use crate::domain::{Account, AccountState, AuditEntry, Login, Role, Session};

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateAccountError {
    #[error("the login is taken")]
    LoginTaken,
    #[error("the database did not keep the account")]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for CreateAccountError {
    fn from(error: sqlx::Error) -> Self {
        let error = StorageError::from(error);
        if error.is_unique_violation() { Self::LoginTaken } else { Self::Storage(error) }
    }
}

impl Store {
    /// Makes an account, for an administrator's session or for the operator.
    pub(crate) async fn create_account(
        &self,
        login: &Login,
        name: &str,
        password_hash: &str,
        role: Role,
        by: Option<&Session>,
        now: Timestamp,
    ) -> Result<AccountId, CreateAccountError> {
        self.database.again(|| self.try_create_account(login, name, password_hash, role, by, now)).await
    }

    async fn try_create_account(
        &self,
        login: &Login,
        name: &str,
        password_hash: &str,
        role: Role,
        by: Option<&Session>,
        now: Timestamp,
    ) -> Result<AccountId, CreateAccountError> {
        let mut tx = self.database.begin("account.create").await?;
        let id = tx.next_value("account").await?;
        // A login with an at sign is a mail address; any other account has none yet.
        let email = if login.as_str().contains('@') { login.as_str() } else { "" };
        sqlx::query(
            "insert into account (id, login, name, email, password_hash, role, state, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(login.as_str())
        .bind(name)
        .bind(email)
        .bind(password_hash)
        .bind(row::role_text(role))
        .bind(row::account_state_text(AccountState::Active))
        .bind(now.as_microsecond())
        .execute(&mut *tx)
        .await?;
        let object = format!("account {id}");
        let entry = match by {
            Some(session) => AuditEntry::by_session(session, "account.create", object, now).on(AccountId(id)),
            None => AuditEntry::by_operator(AccountId(id), "account.create", object, now),
        };
        audit::record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(AccountId(id))
    }

    pub(crate) async fn has_accounts(&self) -> Result<bool, StorageError> {
        let found = sqlx::query("select id from account limit 1").fetch_optional(self.database.reader()).await?;
        Ok(found.is_some())
    }

    pub(crate) async fn account(&self, account: AccountId) -> Result<Option<Account>, StorageError> {
        let found = sqlx::query("select id, login, name, email, password_hash, state from account where id = $1")
            .bind(account.0)
            .fetch_optional(self.database.reader())
            .await?;
        Ok(found.as_ref().map(read).transpose()?)
    }

    /// Gives an account another password, and ends every session but the one that asks.
    pub(crate) async fn change_password(
        &self,
        session: &Session,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<Change, SessionError> {
        self.database.again(|| self.try_change_password(session, password_hash, now)).await
    }

    async fn try_change_password(
        &self,
        session: &Session,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<Change, SessionError> {
        let mut tx = self.database.begin("account.change_password").await?;
        let changed = change::record(&mut tx, session.account, None, now).await?;
        self.require(&mut tx, session, now).await?;
        sqlx::query("update account set password_hash = $1 where id = $2")
            .bind(password_hash)
            .bind(session.account.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query("delete from session where account_id = $1 and id <> $2")
            .bind(session.account.0)
            .bind(session.id)
            .execute(&mut *tx)
            .await?;
        let object = format!("account {}", session.account);
        audit::record(&mut tx, &AuditEntry::by_session(session, "password.change", object, now)).await?;
        tx.commit().await?;
        Ok(changed)
    }

    pub(crate) async fn account_by_login(&self, login: &Login) -> Result<Option<Account>, StorageError> {
        let found = sqlx::query("select id, login, name, email, password_hash, state from account where login = $1")
            .bind(login.as_str())
            .fetch_optional(self.database.reader())
            .await?;
        Ok(found.as_ref().map(read).transpose()?)
    }

    /// The hash of the password by which an account confirms changes; `None` where there is no account to confirm any.
    pub(crate) async fn password_hash(&self, account: AccountId) -> Result<Option<String>, StorageError> {
        let found = sqlx::query("select password_hash from account where id = $1 and state = 'active'")
            .bind(account.0)
            .fetch_optional(self.database.reader())
            .await?;
        Ok(found.map(|row| row.try_get("password_hash")).transpose()?)
    }
}

fn read(row: &AnyRow) -> Result<Account, sqlx::Error> {
    Ok(Account {
        id: AccountId(row.try_get("id")?),
        login: row.try_get("login")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        password_hash: row.try_get("password_hash")?,
        state: row::account_state(row)?,
    })
}
