//! Whether everything is there that the service needs, and as it should be.

use jiff::Timestamp;
use settings::Finding;
use sqlx::AssertSqlSafe;
use storage::{Database, DatabaseOptions, StorageError};

use crate::Config;
use crate::store::{MIGRATIONS, Store};

/// How far this machine's clock may be from the database's: by it tokens expire, and by the database's leases end.
const CLOCKS_APART_MICROS: i64 = 1_000_000;

#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("this machine's is {0} ms away from the database's: tokens expire by the one, leases by the other")]
    ClocksApart(i64),
}

/// Looks at what a configuration names: files, database, clocks. Nothing is changed; a file of SQLite that is not there is not made.
pub async fn doctor(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::of("files", config.check_files().map(|()| "keys can be read".to_owned()))];
    let opened = Database::open_existing(&config.database_url, &DatabaseOptions::default()).await;
    let database = match opened {
        Ok(database) => database,
        Err(error) => {
            findings.push(Finding::of("database", Err(error)));
            return findings;
        }
    };
    findings.push(Finding { what: "database", found: Ok(format!("{} answers", config.database_url)) });
    let schema = database.check_schema(&MIGRATIONS).await;
    let fits = schema.is_ok();
    findings.push(Finding::of("schema", schema.map(|()| "is of this version".to_owned())));
    findings.push(Finding::of("clock", clock(&database).await));
    let store = Store::new(database);
    if fits {
        let accounts = store.has_accounts().await.map(|there| match there {
            true => "there are some".to_owned(),
            false => "there is none: make the first with `create-account --administrator`".to_owned(),
        });
        findings.push(Finding::of("accounts", accounts));
    }
    store.close().await;
    let second_factors = match &config.second_factor_key_file {
        Some(_) => "can be turned on",
        None => "cannot be turned on: there is no second_factor_key_file",
    };
    findings.push(Finding { what: "second factors", found: Ok(second_factors.to_owned()) });
    findings
}

/// How far the clocks are apart, half of the question's time more or less.
async fn clock(database: &Database) -> Result<String, Flaw> {
    let before = Timestamp::now().as_microsecond();
    let question = format!("select {}", database.clock());
    let told: i64 = sqlx::query_scalar(AssertSqlSafe(question))
        .fetch_one(database.reader())
        .await
        .map_err(|error| Flaw::Storage(error.into()))?;
    let after = Timestamp::now().as_microsecond();
    // Within the question's own time nobody can say more.
    let apart = if told < before { told - before } else { (told - after).max(0) };
    if apart.abs() > CLOCKS_APART_MICROS {
        return Err(Flaw::ClocksApart(apart / 1000));
    }
    Ok("agrees with the database's".to_owned())
}
