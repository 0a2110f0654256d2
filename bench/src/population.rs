//! Accounts, sessions and tokens in bulk, as they would be after years: written by SQL, since the authority's own way takes a
//! password and a commit for each.

use access::{Credential, CredentialKind};
use e2e::PASSWORD;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rand::rngs::StdRng;
use sqlx::{AnyConnection, Connection, Executor};

/// How many rows one statement inserts. SQLite looks every parameter up among those before it, so more would be slower.
const ROWS: usize = 200;

/// Of how many accounts there is a session, at most.
const SESSIONS: usize = 50;

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) accounts: usize,
    pub(crate) tokens_per_account: usize,
    /// Of how many tokens the values are kept, to be asked for.
    pub(crate) kept: usize,
}

/// What can be asked for of what was written.
pub(crate) struct Population {
    /// Values of tokens, in an order by chance.
    pub(crate) tokens: Vec<String>,
    /// Values of sessions, each of another account.
    pub(crate) sessions: Vec<String>,
}

/// What an account of this number signs in with.
pub(crate) fn login(account: usize) -> String {
    format!("account-{account}@example.org")
}

/// Fills a migrated, empty database.
pub(crate) async fn populate(url: &str, size: Size, rng: &mut StdRng) -> anyhow::Result<Population> {
    let mut database = AnyConnection::connect(url).await?;
    let sqlite = url.starts_with("sqlite:");
    if sqlite {
        // A gigabyte of cache for the inserts alone: the hashes come in no order.
        database.execute("pragma cache_size = -1000000").await?;
    }
    database.execute("begin").await?;
    insert_accounts(&mut database, size.accounts).await?;
    let sessions = insert_sessions(&mut database, size.accounts, rng).await?;
    let tokens = insert_tokens(&mut database, size, rng).await?;
    database.execute("commit").await?;
    if !sqlite {
        // PostgreSQL does it by itself after a while; SQLite never does.
        database.execute("vacuum analyze").await?;
    }
    database.close().await?;
    Ok(Population { tokens, sessions })
}

async fn insert_accounts(database: &mut AnyConnection, accounts: usize) -> anyhow::Result<()> {
    let password_hash = token_service_hash()?;
    let numbers: Vec<usize> = (1..=accounts).collect();
    for numbers in numbers.chunks(ROWS) {
        let rows = values(numbers.len(), 2, |p| {
            format!("(${}, ${}, 'bench', '', '{password_hash}', 'member', 'active', 0)", p[0], p[1])
        });
        let columns = "id, login, name, email, password_hash, role, state, created_at";
        let statement = format!("insert into account ({columns}) values {rows}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statement));
        for number in numbers {
            query = query.bind(i64::try_from(*number)?).bind(login(*number));
        }
        query.execute(&mut *database).await?;
    }
    set_counter(database, "account", accounts).await
}

async fn insert_sessions(
    database: &mut AnyConnection,
    accounts: usize,
    rng: &mut StdRng,
) -> anyhow::Result<Vec<String>> {
    let count = SESSIONS.min(accounts);
    let mut sessions = Vec::with_capacity(count);
    let expires_at = (Timestamp::now() + SignedDuration::from_hours(24)).as_microsecond();
    for session in 1..=count {
        let account = accounts / count * session;
        let value = Credential::generate(CredentialKind::Session, rng);
        sqlx::query("insert into session (id, account_id, hash, created_at, last_access_at, expires_at) values ($1, $2, $3, 0, $4, $4)")
            .bind(i64::try_from(session)?)
            .bind(i64::try_from(account)?)
            .bind(value.hash().as_bytes().to_vec())
            .bind(expires_at)
            .execute(&mut *database)
            .await?;
        sessions.push(value.expose().to_owned());
    }
    set_counter(database, "session", count).await?;
    Ok(sessions)
}

/// The tokens of the accounts, made by turns, as accounts make them over the years.
async fn insert_tokens(database: &mut AnyConnection, size: Size, rng: &mut StdRng) -> anyhow::Result<Vec<String>> {
    let count = size.accounts * size.tokens_per_account;
    let now = Timestamp::now().as_microsecond();
    let mut sample = Vec::with_capacity(size.kept.min(count));
    let numbers: Vec<usize> = (1..=count).collect();
    for numbers in numbers.chunks(ROWS) {
        let rows = values(numbers.len(), 3, |p| {
            let set = "'custom', 'environment.control.StopEnv'";
            format!("(${}, ${}, 'bench', ${}, {set}, {now}, null)", p[0], p[1], p[2])
        });
        let columns = "id, account_id, description, hash, template, api_list, created_at, expires_at";
        let statement = format!("insert into token ({columns}) values {rows}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statement));
        for number in numbers {
            let value = Credential::generate(CredentialKind::Token, rng);
            let account = (number - 1) % size.accounts + 1;
            query = query.bind(i64::try_from(*number)?).bind(i64::try_from(account)?);
            query = query.bind(value.hash().as_bytes().to_vec());
            keep(&mut sample, size.kept, (*number, value.expose()), rng);
        }
        query.execute(&mut *database).await?;
    }
    set_counter(database, "token", count).await?;
    Ok(sample)
}

/// Reservoir sampling: each value stays with the same chance, and at a place by chance.
fn keep(sample: &mut Vec<String>, kept: usize, (number, value): (usize, &str), rng: &mut StdRng) {
    if sample.len() < kept {
        let at = rng.random_range(0..=sample.len());
        sample.push(value.to_owned());
        let last = sample.len() - 1;
        sample.swap(at, last);
    } else if let Some(place) = sample.get_mut(rng.random_range(0..number)) {
        value.clone_into(place);
    }
}

async fn set_counter(database: &mut AnyConnection, name: &str, value: usize) -> anyhow::Result<()> {
    let query = sqlx::query("update counter set value = $1 where name = $2").bind(i64::try_from(value)?).bind(name);
    query.execute(database).await?;
    Ok(())
}

/// The rows of an insert; each row is told the numbers of its parameters.
fn values(rows: usize, parameters: usize, row: impl Fn(&[usize]) -> String) -> String {
    let rows = (0..rows).map(|n| row(&(1..=parameters).map(|p| n * parameters + p).collect::<Vec<_>>()));
    rows.collect::<Vec<_>>().join(", ")
}

/// The hash of the one password of all accounts, under the service's own parameters.
fn token_service_hash() -> anyhow::Result<String> {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    // OWASP's: 19 MiB, two passes, one lane.
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None)?);
    Ok(argon2.hash_password(PASSWORD.as_bytes())?.to_string())
}
