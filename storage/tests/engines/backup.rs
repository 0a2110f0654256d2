use std::os::unix::fs::PermissionsExt;

use storage::{BackupError, Database, DatabaseOptions, DatabaseUrl, OpenError};
use testkit::TestDatabase;

use crate::open;

#[tokio::test]
async fn a_copy_is_of_one_moment_whoever_writes_meanwhile() {
    let (at, folder) = (TestDatabase::sqlite(), tempfile::tempdir().unwrap());
    let database = open(&at).await;
    let mut tx = database.begin("test").await.unwrap();
    for sql in ["create table letter (text text)", "insert into letter values ('sent')"] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut unfinished = database.begin("test").await.unwrap();
    sqlx::query("insert into letter values ('draft')").execute(&mut *unfinished).await.unwrap();

    let (url, file) = (at.url.parse().unwrap(), folder.path().join("it's a copy.db"));
    Database::back_up(&url, &file).await.unwrap();
    unfinished.commit().await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = Database::open(&DatabaseUrl::sqlite(&file), &DatabaseOptions::default()).await.unwrap();
    let letters: Vec<String> = sqlx::query_scalar("select text from letter").fetch_all(copy.reader()).await.unwrap();
    assert_eq!(letters, ["sent"]);
    let again = Database::back_up(&url, &file).await.unwrap_err();
    assert!(matches!(again, BackupError::File { .. }), "{again:?}: nothing is written over");
}

#[tokio::test]
async fn what_is_not_there_and_what_has_tools_of_its_own_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, file) = (folder.path().join("missing.db"), folder.path().join("copy.db"));
    let refused = Database::back_up(&DatabaseUrl::sqlite(&missing), &file).await.unwrap_err();
    assert!(matches!(refused, BackupError::Open(OpenError::Missing { .. })), "{refused:?}");
    let refused = Database::back_up(&TestDatabase::postgres().url.parse().unwrap(), &file).await.unwrap_err();
    assert!(matches!(refused, BackupError::Engine), "{refused:?}");
    assert!(!missing.exists() && !file.exists(), "nothing is made");
}
