use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::future::join_all;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use storage::{Database, DatabaseOptions, Engine, StorageError};
use testkit::{TestDatabase, databases, eventually};

use crate::open;

const SCHEMA: &str = "
    create table counter (name text not null primary key, value bigint not null);
    insert into counter (name, value) values ('revision', 0);
    create table change (revision bigint not null primary key, author bigint not null);
";

async fn open_with_schema(at: &TestDatabase) -> Database {
    let database = open(at).await;
    let first = Migration::new(1, "test".into(), MigrationType::Simple, SCHEMA.into_sql_str(), false);
    database.migrate(&Migrator::with_migrations(vec![first])).await.unwrap();
    database
}

async fn change(database: &Database, author: i64, commit: bool) -> Result<(), StorageError> {
    let mut tx = database.begin("test.change").await?;
    let revision = tx.next_value("revision").await?;
    // Here the others have every opportunity to overtake.
    tokio::task::yield_now().await;
    sqlx::query("insert into change (revision, author) values ($1, $2)")
        .bind(revision)
        .bind(author)
        .execute(&mut *tx)
        .await?;
    if commit { tx.commit().await } else { Ok(()) }
}

/// How many changes there are, and the number of the newest.
async fn seen(database: &Database) -> (i64, i64) {
    sqlx::query_as("select count(*), cast(coalesce(max(revision), 0) as bigint) from change")
        .fetch_one(database.reader())
        .await
        .expect("a reader is never locked out")
}

/// If a number became visible before a smaller one, a reader would once see fewer changes than the newest one's number.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_become_visible_in_their_order() {
    const AUTHORS: i64 = 8;
    const CHANGES: i64 = 20;
    for at in databases() {
        let database = open_with_schema(&at).await;
        let done = Arc::new(AtomicBool::new(false));
        let watcher = tokio::spawn({
            let (database, done) = (database.clone(), Arc::clone(&done));
            async move {
                let mut looks = 0;
                while !done.load(Ordering::Relaxed) {
                    let (count, newest) = seen(&database).await;
                    assert_eq!(count, newest);
                    looks += 1;
                }
                looks
            }
        });
        let authors = (0..AUTHORS).map(|author| {
            let database = database.clone();
            tokio::spawn(async move {
                for n in 0..CHANGES {
                    // Each third is rolled back, and its number is given again.
                    change(&database, author, n % 3 != 0).await.unwrap();
                }
            })
        });
        for author in join_all(authors).await {
            author.unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(watcher.await.unwrap() > 0);
        let committed = AUTHORS * (0..CHANGES).filter(|n| n % 3 != 0).count() as i64;
        assert_eq!(seen(&database).await, (committed, committed), "{}: each number is given once", at.engine);
    }
}

#[tokio::test]
async fn what_is_not_committed_never_was() {
    for at in databases() {
        let database = open_with_schema(&at).await;
        let mut tx = database.begin("test").await.unwrap();
        assert_eq!(tx.next_value("revision").await.unwrap(), 1);
        sqlx::query("insert into change (revision, author) values (1, 1)").execute(&mut *tx).await.unwrap();
        assert_eq!(seen(&database).await, (0, 0), "{}: and nobody sees it before", at.engine);
        drop(tx);
        change(&database, 1, true).await.unwrap();
        assert_eq!(seen(&database).await, (1, 1), "{}", at.engine);
    }
}

#[tokio::test]
async fn each_refusal_is_told_from_the_others() {
    for at in databases() {
        let database = open_with_schema(&at).await;
        change(&database, 1, true).await.unwrap();
        let mut tx = database.begin("test").await.unwrap();
        let error = tx.next_value("nothing").await.unwrap_err();
        assert!(matches!(error, StorageError::NoCounter("nothing")), "{error:?}");
        let insert = "insert into change (revision, author) values (1, 1)";
        let error = StorageError::from(sqlx::query(insert).execute(&mut *tx).await.unwrap_err());
        assert!(error.is_unique_violation() && !error.is_unavailable(), "{}: {error:?}", at.engine);
        drop(tx);
        let mut tx = database.begin("test").await.unwrap();
        let insert = "insert into change (revision, author) values (2, null)";
        let error = StorageError::from(sqlx::query(insert).execute(&mut *tx).await.unwrap_err());
        assert!(matches!(error, StorageError::Refused(_)), "{}: {error:?}", at.engine);
        drop(tx);
        database.close().await;
        assert!(database.begin("test").await.unwrap_err().is_unavailable(), "{}", at.engine);
        assert!(database.ping().await.unwrap_err().is_unavailable(), "{}", at.engine);
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_an_outage_and_its_return_is_noticed() {
    let at = TestDatabase::postgres();
    let database = open_with_schema(&at).await;
    let mut tx = database.begin("test.cut").await.unwrap();
    tx.next_value("revision").await.unwrap();
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                     where datname = current_database() and pid <> pg_backend_pid()";
    let cut: i64 = sqlx::query_scalar(terminate).fetch_one(database.reader()).await.unwrap();
    assert!(cut > 0);
    assert!(tx.next_value("revision").await.unwrap_err().is_unavailable());
    assert!(tx.commit().await.unwrap_err().is_unavailable(), "nothing is called committed that is not");
    change(&database, 1, true).await.unwrap();
    assert_eq!(seen(&database).await, (1, 1));
}

#[tokio::test]
async fn a_writer_waits_for_another_only_so_long() {
    let hasty = DatabaseOptions { patience: Duration::from_millis(200), connections: 2 };
    for at in databases() {
        drop(open_with_schema(&at).await);
        let database = Database::open(&at.url.parse().unwrap(), &hasty).await.unwrap();
        let held = database.begin("test.held").await.unwrap();
        let error = database.begin("test.waiting").await.unwrap_err();
        assert!(error.is_unavailable(), "{}: {error:?}", at.engine);
        database.ping().await.expect("who writes does not keep others from reading");
        drop(held);
        change(&database, 1, true).await.unwrap();
    }
}

/// As a command line next to a running service does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_write_to_one_database() {
    for at in databases() {
        let all = [open_with_schema(&at).await, open(&at).await, open(&at).await];
        let work = (0..30).map(|n| {
            let database = all[n % all.len()].clone();
            tokio::spawn(async move { change(&database, 1, true).await })
        });
        for result in join_all(work).await {
            result.unwrap().unwrap_or_else(|error| panic!("{}: {error:?}", at.engine));
        }
        assert_eq!(seen(&all[0]).await, (30, 30), "{}", at.engine);
    }
}

/// Does the work until it has to wait for the nth time, and then drops it. Says whether it was done before.
async fn give_up(work: impl Future<Output = Result<(), StorageError>>, nth_wait: usize) -> bool {
    let mut work = pin!(work);
    let mut waits = 0;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(result.map(|()| true)),
        Poll::Pending => {
            waits += 1;
            if waits == nth_wait { Poll::Ready(Ok(false)) } else { Poll::Pending }
        }
    })
    .await
    .unwrap()
}

/// SQLite's only writer would tell by refusing the next transaction.
async fn no_transaction_is_open(database: &Database) {
    if database.engine() == Engine::Postgres {
        eventually("the end of every transaction", Duration::from_secs(10), async || {
            let open: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'",
            )
            .fetch_one(database.reader())
            .await
            .unwrap();
            (open == 0).then_some(())
        })
        .await;
    }
}

/// A call whose caller goes away is dropped wherever it is waiting.
#[tokio::test]
async fn work_that_is_given_up_anywhere_leaves_no_transaction_behind() {
    const ROUNDS: usize = 20;
    for at in databases() {
        let database = open_with_schema(&at).await;
        let mut given_up = 0;
        for _ in 0..ROUNDS {
            let mut nth_wait = 1;
            while !give_up(change(&database, 1, true), nth_wait).await {
                let (count, newest) = seen(&database).await;
                assert_eq!(count, newest, "{}", at.engine);
                no_transaction_is_open(&database).await;
                nth_wait += 1;
            }
            given_up += nth_wait - 1;
        }
        assert!(given_up > ROUNDS, "{}: given up {given_up} times", at.engine);
        let before = seen(&database).await.0;
        for _ in 0..20 {
            change(&database, 2, true).await.unwrap();
        }
        assert_eq!(seen(&database).await, (before + 20, before + 20), "{}: every writer still works", at.engine);
    }
}
