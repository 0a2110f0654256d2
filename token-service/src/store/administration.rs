//! What administrators and the operator do with accounts.

use access::AccountId;
use access::lease::Change;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use storage::{StorageError, Transaction};

use super::{SessionError, Store, audit, change, deleted_account, row, second_factor};
use crate::domain::{AccountChange, AccountInfo, AccountState, AuditEntry, Role, Session};

/// Why an account was not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdministrationError {
    #[error("there is no account {0}")]
    NotFound(AccountId),
    #[error("it is the last administrator who can sign in")]
    LastAdministrator,
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<StorageError> for AdministrationError {
    fn from(error: StorageError) -> Self {
        Self::Session(error.into())
    }
}

impl From<sqlx::Error> for AdministrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Session(error.into())
    }
}

/// Everything that goes with an account. What was done to it stays in the audit log.
const OF_AN_ACCOUNT: [&str; 6] = [
    "delete from session where account_id = $1",
    "delete from token where account_id = $1",
    "delete from notice where account_id = $1",
    "delete from recovery_code where account_id = $1",
    "delete from second_factor where account_id = $1",
    "delete from account where id = $1",
];

impl Store {
    /// Accounts by number, from after one on, whose login holds a text in lower case.
    pub(crate) async fn accounts(
        &self,
        search: &str,
        after: AccountId,
        limit: i64,
    ) -> Result<Vec<AccountInfo>, StorageError> {
        let escaped: String = search.chars().flat_map(escaped).collect();
        let rows = sqlx::query(
            "select id, login, name, email, role, state, created_at, (select count(*) from second_factor \
             where second_factor.account_id = account.id and second_factor.state = 'active') as factors from account \
             where id > $1 and login like $2 escape '!' order by id limit $3",
        )
        .bind(after.0)
        .bind(format!("%{escaped}%"))
        .bind(limit)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Changes an account, for an administrator's session or for the operator.
    pub(crate) async fn administer(
        &self,
        account: AccountId,
        change: &AccountChange,
        by: Option<&Session>,
        now: Timestamp,
    ) -> Result<Change, AdministrationError> {
        self.database.again(|| self.try_administer(account, change, by, now)).await
    }

    async fn try_administer(
        &self,
        account: AccountId,
        change: &AccountChange,
        by: Option<&Session>,
        now: Timestamp,
    ) -> Result<Change, AdministrationError> {
        let mut tx = self.database.begin("account.administer").await?;
        let changed = change::record(&mut tx, account, None, now).await?;
        if let Some(session) = by {
            self.require(&mut tx, session, now).await?;
        }
        let active = hold(&mut tx, account).await?;
        if active == (Role::Administrator, AccountState::Active)
            && change.shuts()
            && !another_administrator(&mut tx, account).await?
        {
            return Err(AdministrationError::LastAdministrator);
        }
        apply(&mut tx, account, change, now).await?;
        let object = format!("account {account}");
        let entry = match by {
            Some(session) => AuditEntry::by_session(session, change.action(), object, now).on(account),
            None => AuditEntry::by_operator(account, change.action(), object, now),
        };
        audit::record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// Keeps an account's row until the commit: no session of it is opened in the meantime.
async fn hold(tx: &mut Transaction, account: AccountId) -> Result<(Role, AccountState), AdministrationError> {
    let found = sqlx::query("update account set state = state where id = $1 returning role, state")
        .bind(account.0)
        .fetch_optional(&mut **tx)
        .await?;
    let row = found.ok_or(AdministrationError::NotFound(account))?;
    Ok((row::role(&row)?, row::account_state(&row)?))
}

async fn another_administrator(tx: &mut Transaction, account: AccountId) -> Result<bool, StorageError> {
    let found =
        sqlx::query("select id from account where role = 'administrator' and state = 'active' and id <> $1 limit 1")
            .bind(account.0)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(found.is_some())
}

async fn apply(
    tx: &mut Transaction,
    account: AccountId,
    change: &AccountChange,
    now: Timestamp,
) -> Result<(), StorageError> {
    sqlx::query("delete from session where account_id = $1").bind(account.0).execute(&mut **tx).await?;
    let (column, value) = match change {
        AccountChange::ResetSecondFactor => return second_factor::forget(tx, account).await,
        AccountChange::Delete => {
            for statement in OF_AN_ACCOUNT {
                sqlx::query(statement).bind(account.0).execute(&mut **tx).await?;
            }
            return deleted_account::record(tx, account, now).await;
        }
        AccountChange::Disable => ("state", row::account_state_text(AccountState::Disabled)),
        AccountChange::Enable => ("state", row::account_state_text(AccountState::Active)),
        AccountChange::Password { hash } => ("password_hash", hash.as_str()),
    };
    sqlx::query(sqlx::AssertSqlSafe(format!("update account set {column} = $1 where id = $2")))
        .bind(value)
        .bind(account.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A letter of a pattern that stands for itself.
fn escaped(letter: char) -> impl Iterator<Item = char> {
    matches!(letter, '%' | '_' | '!').then_some('!').into_iter().chain([letter])
}

fn read(row: &AnyRow) -> Result<AccountInfo, sqlx::Error> {
    Ok(AccountInfo {
        id: AccountId(row.try_get("id")?),
        login: row.try_get("login")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        role: row::role(row)?,
        state: row::account_state(row)?,
        second_factor: row.try_get::<i64, _>("factors")? > 0,
        created_at: row::moment(row, "created_at")?,
    })
}
