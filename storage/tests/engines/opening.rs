use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::AnyConnection;
use storage::{Database, DatabaseOptions, DatabaseUrl, Engine, OpenError};
use testkit::{TestDatabase, databases, eventually, free_port};

use crate::open;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new folder/deeper/what? 100% #1.db");
    let url: DatabaseUrl = DatabaseUrl::sqlite(&file).to_string().parse().unwrap();
    let database = Database::open(&url, &DatabaseOptions::default()).await.unwrap();
    let mut tx = database.begin("test").await.unwrap();
    sqlx::query("create table t (n bigint)").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let log = file.with_extension("db-wal");
    assert_eq!((mode(file.parent().unwrap()), mode(&file), mode(&log)), (0o700, 0o600, 0o600));
    database.close().await;
    assert!(!log.exists(), "one tidy file is left");
}

#[tokio::test]
async fn what_was_committed_comes_into_the_file_beside_the_transactions() {
    let at = TestDatabase::sqlite();
    let database = open(&at).await;
    let file = at.url.strip_prefix("sqlite://").unwrap().to_owned();
    let size = || std::fs::metadata(&file).unwrap().len();
    let before = size();
    let mut tx = database.begin("test").await.unwrap();
    sqlx::query("create table t (n bigint)").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    // Far fewer pages than those after which a commit would do it.
    let patience = Duration::from_secs(10);
    eventually("the table is in the file", patience, async || (size() > before).then_some(())).await;
    database.close().await;
}

async fn setting(connection: &mut AnyConnection, engine: Engine, name: &'static str) -> String {
    let sql = match engine {
        Engine::Sqlite => format!("pragma {name}"),
        Engine::Postgres => format!("select setting from pg_settings where name = '{name}'"),
    };
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(connection).await.unwrap();
    let number = sqlx::Row::try_get::<i64, _>(&row, 0).map(|number| number.to_string());
    number.or_else(|_| sqlx::Row::try_get(&row, 0)).unwrap()
}

#[tokio::test]
async fn every_connection_is_told_what_it_is_for() {
    for at in databases() {
        let database = open(&at).await;
        let engine = database.engine();
        let (both, reading, writing): (&[_], &[_], &[_]) = match engine {
            Engine::Sqlite => (
                &[("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("busy_timeout", "5000")],
                &[("query_only", "1"), ("mmap_size", "1073741824")],
                &[("query_only", "0"), ("wal_autocheckpoint", "16000")],
            ),
            Engine::Postgres => (
                &[("synchronous_commit", "on"), ("lock_timeout", "5000")],
                &[("default_transaction_read_only", "on"), ("statement_timeout", "10000")],
                &[("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "15000")],
            ),
        };
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(database.reader().acquire().await.unwrap());
        }
        for reader in &mut readers {
            for (name, value) in both.iter().chain(reading) {
                assert_eq!(setting(reader, engine, name).await, *value, "{engine} {name}");
            }
        }
        let mut writer = database.begin("test").await.unwrap();
        for (name, value) in both.iter().chain(writing) {
            assert_eq!(setting(&mut writer, engine, name).await, *value, "{engine} {name}");
        }
    }
}

#[tokio::test]
async fn a_reader_cannot_write() {
    for at in databases() {
        let database = open(&at).await;
        let written = sqlx::query("create table t (n bigint)").execute(database.reader()).await;
        assert!(matches!(written, Err(sqlx::Error::Database(_))), "{}: {written:?}", at.engine);
        database.ping().await.unwrap();
    }
}

#[tokio::test]
async fn many_open_a_new_database_at_once() {
    for at in databases() {
        let all = join_all((0..8).map(|_| async {
            let database = open(&at).await;
            database.ping().await.unwrap();
            database.close().await;
        }));
        all.await;
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_waited_for_and_named_without_its_password() {
    let url = format!("postgres://alice:s3cret@127.0.0.1:{}/tokens", free_port()).parse().unwrap();
    let options = DatabaseOptions { patience: Duration::from_millis(300), ..DatabaseOptions::default() };
    let begun = Instant::now();
    let error = Database::open(&url, &options).await.unwrap_err();
    assert!(begun.elapsed() >= options.patience && begun.elapsed() < Duration::from_secs(10));
    assert!(matches!(&error, OpenError::Connect { source, .. } if source.is_unavailable()), "{error:?}");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.contains("alice@127.0.0.1") && text.contains("refused"), "{text}");
    assert!(!format!("{text} {error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for() {
    let there = TestDatabase::postgres();
    let address = there.url.strip_prefix("postgres://postgres@").unwrap().to_owned();
    let (server, name) = address.split_once('/').unwrap();
    let port = free_port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/{name}").parse().unwrap();
    let options = DatabaseOptions { patience: Duration::from_secs(20), ..DatabaseOptions::default() };
    let opening = async { Database::open(&url, &options).await.unwrap().ping().await.unwrap() };
    // A relay that listens only after the first attempt has been refused.
    let relay = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {}
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut upstream = tokio::net::TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
        }
    };
    tokio::select! {
        biased;
        () = opening => {}
        () = relay => {}
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.db");
    std::fs::write(&file, "Dear database,\n".repeat(100)).unwrap();
    let error = Database::open(&DatabaseUrl::sqlite(&file), &DatabaseOptions::default()).await.unwrap_err();
    assert!(matches!(&error, OpenError::Connect { source, .. } if !source.is_unavailable()), "{error:?}");
    let folder = DatabaseUrl::sqlite(&file.join("inside.db"));
    let error = Database::open(&folder, &DatabaseOptions::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Prepare { .. }), "{error:?}");
}
