//! Accounts, sessions and tokens in bulk, written by SQL: the authority's own way takes a password and a commit for each.

use std::sync::{Arc, Mutex};

use access::{Credential as Value, CredentialKind};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use e2e::PASSWORD;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use sqlx::{AnyConnection, Connection, Executor};

use crate::history::{Credential, Kind, Method};

/// How many rows one statement inserts.
const ROWS: usize = 200;

/// How many accounts there are whose tokens are revoked.
pub(crate) const ACCOUNTS: usize = 8;

/// How many sessions end with a change of a password.
const SESSIONS_BY_PASSWORD: usize = 5;

/// A credential that calls are made with.
pub(crate) struct Target {
    pub(crate) credential: Credential,
    /// The account's place in the population.
    pub(crate) account: usize,
    state: Mutex<State>,
}

struct State {
    values: Vec<String>,
    /// Whether it may call [`Method::GetEnvs`] alone.
    narrow: bool,
}

impl Target {
    fn new(kind: Kind, number: i64, account: usize, value: String) -> Arc<Self> {
        let state = Mutex::new(State { values: vec![value], narrow: false });
        Arc::new(Self { credential: Credential { kind, number }, account, state })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// The number of the newest value.
    pub(crate) fn newest(&self) -> u32 {
        u32::try_from(self.state().values.len() - 1).expect("few regenerations")
    }

    pub(crate) fn value(&self, number: u32) -> String {
        self.state().values[number as usize].clone()
    }

    pub(crate) fn regenerated(&self, value: String) {
        self.state().values.push(value);
    }

    /// It can be used for [`Method::GetEnvs`] alone from now on.
    pub(crate) fn narrow(&self) {
        self.state().narrow = true;
    }

    pub(crate) fn may_call(&self, method: Method) -> bool {
        method == Method::GetEnvs || !self.state().narrow
    }
}

/// An account, and what it works with.
pub(crate) struct Account {
    /// The session that makes the changes; no change ends it.
    pub(crate) session: String,
    /// The name of its environment.
    pub(crate) environment: String,
    pub(crate) tokens: Vec<Arc<Target>>,
    pub(crate) sessions: Vec<Arc<Target>>,
    /// Whether it is there to get another password, which ends all of its sessions.
    pub(crate) changes_password: bool,
}

/// How many there are to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) tokens: usize,
    pub(crate) sessions: usize,
    pub(crate) passwords: usize,
}

/// Fills the authority's database, which is migrated and empty.
pub(crate) async fn populate(url: &str, size: Size, rng: &mut StdRng) -> anyhow::Result<Vec<Account>> {
    let count = ACCOUNTS + size.passwords;
    let mut accounts: Vec<Account> = (0..count)
        .map(|number| Account {
            session: String::new(),
            environment: format!("chaos-{number}"),
            tokens: Vec::new(),
            sessions: Vec::new(),
            changes_password: number >= ACCOUNTS,
        })
        .collect();
    let mut database = AnyConnection::connect(url).await?;
    database.execute("begin").await?;
    insert_accounts(&mut database, count).await?;
    insert_sessions(&mut database, size, &mut accounts, rng).await?;
    insert_tokens(&mut database, size.tokens, &mut accounts, rng).await?;
    database.execute("commit").await?;
    // PostgreSQL would do it by itself after a while, in the middle of the test.
    database.execute("vacuum analyze").await?;
    database.close().await?;
    Ok(accounts)
}

async fn insert_accounts(database: &mut AnyConnection, count: usize) -> anyhow::Result<()> {
    let hash = cheap_hash()?;
    for number in 1..=count {
        sqlx::query(
            "insert into account (id, login, name, email, password_hash, role, state, created_at) \
             values ($1, $2, 'chaos', '', $3, 'member', 'active', 0)",
        )
        .bind(i64::try_from(number)?)
        .bind(format!("account-{number}@example.org"))
        .bind(&hash)
        .execute(&mut *database)
        .await?;
    }
    set_counter(database, "account", count).await
}

async fn insert_sessions(
    database: &mut AnyConnection,
    size: Size,
    accounts: &mut [Account],
    rng: &mut StdRng,
) -> anyhow::Result<()> {
    // The first of an account is the one that makes its changes.
    let of_accounts = (0..accounts.len()).chain((0..size.sessions).map(|n| n % ACCOUNTS));
    let of_passwords = (0..size.passwords * SESSIONS_BY_PASSWORD).map(|n| ACCOUNTS + n % size.passwords.max(1));
    let owners: Vec<usize> = of_accounts.chain(of_passwords).collect();
    let (now, expires_at) = (Timestamp::now(), Timestamp::now() + SignedDuration::from_hours(24));
    for (chunk, owners_of_chunk) in owners.chunks(ROWS).enumerate() {
        let (now, expires_at) = (now.as_microsecond(), expires_at.as_microsecond());
        let rows =
            rows(owners_of_chunk.len(), |p| format!("(${}, ${}, ${}, {now}, {now}, {expires_at})", p, p + 1, p + 2));
        let columns = "id, account_id, hash, created_at, last_access_at, expires_at";
        let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("insert into session ({columns}) values {rows}")));
        for (n, owner) in owners_of_chunk.iter().enumerate() {
            let number = i64::try_from(chunk * ROWS + n + 1)?;
            let value = Value::generate(CredentialKind::Session, rng);
            query = query.bind(number).bind(i64::try_from(owner + 1)?).bind(value.hash().as_bytes().to_vec());
            let account = &mut accounts[*owner];
            if account.session.is_empty() {
                value.expose().clone_into(&mut account.session);
            } else {
                let target = Target::new(Kind::Session, number, *owner, value.expose().to_owned());
                if account.changes_password {
                    // Its account is one of many, and has no environment to look at.
                    target.narrow();
                }
                account.sessions.push(target);
            }
        }
        query.execute(&mut *database).await?;
    }
    set_counter(database, "session", owners.len()).await
}

async fn insert_tokens(
    database: &mut AnyConnection,
    count: usize,
    accounts: &mut [Account],
    rng: &mut StdRng,
) -> anyhow::Result<()> {
    let now = Timestamp::now().as_microsecond();
    let methods =
        [Method::GetEnvs.name(), Method::GetEnvInfo.name(), "environment.control.SetEnvDisplayName"].join(" ");
    let numbers: Vec<usize> = (1..=count).collect();
    for numbers in numbers.chunks(ROWS) {
        let rows = rows(numbers.len(), |p| {
            format!("(${}, ${}, 'chaos', ${}, 'custom', '{methods}', {now}, null)", p, p + 1, p + 2)
        });
        let columns = "id, account_id, description, hash, template, api_list, created_at, expires_at";
        let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("insert into token ({columns}) values {rows}")));
        for number in numbers {
            let (owner, number) = (number % ACCOUNTS, i64::try_from(*number)?);
            let value = Value::generate(CredentialKind::Token, rng);
            query = query.bind(number).bind(i64::try_from(owner + 1)?).bind(value.hash().as_bytes().to_vec());
            accounts[owner].tokens.push(Target::new(Kind::Token, number, owner, value.expose().to_owned()));
        }
        query.execute(&mut *database).await?;
    }
    set_counter(database, "token", count).await
}

/// The rows of an insert of three parameters each; a row is told the number of its first.
fn rows(count: usize, row: impl Fn(usize) -> String) -> String {
    (0..count).map(|n| row(n * 3 + 1)).collect::<Vec<_>>().join(", ")
}

async fn set_counter(database: &mut AnyConnection, name: &str, value: usize) -> anyhow::Result<()> {
    let query = sqlx::query("update counter set value = $1 where name = $2").bind(i64::try_from(value)?).bind(name);
    query.execute(database).await?;
    Ok(())
}

/// A hash of the password that costs next to nothing, so that the time goes into revocations and not into hashing.
fn cheap_hash() -> anyhow::Result<String> {
    let params = Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(PASSWORD.as_bytes())?.to_string())
}
