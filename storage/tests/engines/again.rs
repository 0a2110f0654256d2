//! Transactions that give way to others are done again.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use storage::{Database, StorageError, Transaction};
use testkit::{Postgres, TestDatabase};
use tokio::sync::Barrier;

use crate::open;

const SCHEMA: &str = "
    create table account (id bigint not null primary key, balance bigint not null);
    insert into account (id, balance) values (1, 0), (2, 0);
";

async fn open_with_accounts(at: &TestDatabase) -> Database {
    let database = open(at).await;
    let first = Migration::new(1, "test".into(), MigrationType::Simple, SCHEMA.into_sql_str(), false);
    database.migrate(&Migrator::with_migrations(vec![first])).await.unwrap();
    database
}

async fn pay(tx: &mut Transaction, account: i64) -> Result<(), StorageError> {
    let paid = sqlx::query("update account set balance = balance + 1 where id = $1").bind(account);
    assert_eq!(paid.execute(&mut **tx).await?.rows_affected(), 1);
    Ok(())
}

async fn balances(database: &Database) -> Vec<i64> {
    sqlx::query_scalar("select balance from account order by id").fetch_all(database.reader()).await.unwrap()
}

#[tokio::test]
async fn of_two_that_wait_for_each_other_both_succeed() {
    let at = TestDatabase::postgres();
    let database = open_with_accounts(&at).await;
    let (both_hold_one, tries) = (Barrier::new(2), AtomicU32::new(0));
    let pay_both = async |first: i64, second: i64| {
        let work = || async {
            let mut tx = database.begin("test.pay").await?;
            pay(&mut tx, first).await?;
            // The first time of each of them.
            if tries.fetch_add(1, Ordering::SeqCst) < 2 {
                both_hold_one.wait().await;
            }
            pay(&mut tx, second).await?;
            tx.commit().await
        };
        database.again(work).await
    };
    let (one, other) = tokio::join!(pay_both(1, 2), pay_both(2, 1));
    one.unwrap();
    other.unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 3, "one of them was done again");
    assert_eq!(balances(&database).await, [2, 2], "and nothing of its first time is left");
    assert_eq!(Postgres::shared().deadlocks(&at.url), 1, "the server has seen it");
}

#[tokio::test]
async fn one_that_finds_a_sqlite_database_locked_is_done_again() {
    let at = TestDatabase::sqlite();
    let database = open_with_accounts(&at).await;
    let mut hasty = database.begin("test.hasty").await.unwrap();
    sqlx::query("pragma busy_timeout = 0").execute(&mut *hasty).await.unwrap();
    hasty.commit().await.unwrap();
    let other = open(&at).await;
    let mut holder = Some(other.begin("test.holder").await.unwrap());
    let mut tries = 0;
    let work = || {
        tries += 1;
        // It is held the first time only.
        let freed = if tries == 1 { None } else { holder.take() };
        let database = &database;
        async move {
            if let Some(holder) = freed {
                holder.commit().await?;
            }
            let mut tx = database.begin("test.pay").await?;
            pay(&mut tx, 1).await?;
            tx.commit().await
        }
    };
    database.again(work).await.unwrap();
    assert_eq!((tries, balances(&database).await), (2, vec![1, 0]));
}

/// Fails a transaction with a code of PostgreSQL's. Says how often that was tried, and what came of it.
async fn fail_with(database: &Database, code: &str) -> (u32, StorageError) {
    let mut tries = 0;
    let work = || {
        tries += 1;
        async {
            let mut tx = database.begin("test.fail").await?;
            pay(&mut tx, 1).await?;
            let raise = format!("do $$ begin raise exception using errcode = '{code}'; end $$");
            sqlx::query(sqlx::AssertSqlSafe(raise)).execute(&mut *tx).await?;
            tx.commit().await
        }
    };
    let error = database.again(work).await.unwrap_err();
    (tries, error)
}

#[tokio::test]
async fn it_is_done_three_times_at_most_and_only_if_nothing_is_left_of_it() {
    let at = TestDatabase::postgres();
    let database = open_with_accounts(&at).await;
    for code in ["40001", "40P01"] {
        let (tries, error) = fail_with(&database, code).await;
        assert!(error.is_unavailable(), "{code}: {error:?}");
        assert_eq!(tries, 3, "{code}");
    }
    // Nobody knows what was done; a constraint; no lock in time; no such table.
    for code in ["40003", "40002", "23505", "55P03", "42P01"] {
        assert_eq!(fail_with(&database, code).await.0, 1, "{code}");
    }
    assert_eq!(balances(&database).await, [0, 0]);
}
