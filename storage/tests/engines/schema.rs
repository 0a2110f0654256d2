use futures::future::join_all;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use storage::{Database, MigrateError, SchemaError};
use testkit::databases;

use crate::open;

const ACCOUNT: &str = "create table account (id bigint not null primary key, login text not null unique)";
const SESSION: &str = "create table session (id bigint not null primary key, hash bytea not null)";

fn migrator(migrations: &[&'static str]) -> Migrator {
    let numbered = (1..)
        .zip(migrations)
        .map(|(version, sql)| Migration::new(version, "test".into(), MigrationType::Simple, sql.into_sql_str(), false));
    Migrator::with_migrations(numbered.collect())
}

async fn tables(database: &Database) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (name, sql) in [("account", "select 1 from account"), ("session", "select 1 from session")] {
        if sqlx::query(sql).fetch_optional(database.reader()).await.is_ok() {
            found.push(name);
        }
    }
    found
}

async fn write(database: &Database, sql: &'static str) {
    let mut tx = database.begin("test").await.unwrap();
    assert_eq!(sqlx::query(sql).execute(&mut *tx).await.unwrap().rows_affected(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn only_the_schema_of_this_build_is_accepted() {
    let (old, new, other) = (migrator(&[ACCOUNT]), migrator(&[ACCOUNT, SESSION]), migrator(&[SESSION, SESSION]));
    for at in databases() {
        let database = open(&at).await;
        let empty = database.check_schema(&new).await.unwrap_err();
        assert!(matches!(empty, SchemaError::Older { found: 0, needed: 2 }), "{empty:?}");
        assert!(empty.to_string().contains("run `migrate`"));
        let untouched = sqlx::query("select 1 from _sqlx_migrations").fetch_optional(database.reader()).await;
        assert!(untouched.is_err(), "{}: looking changes nothing", at.engine);

        database.migrate(&old).await.unwrap();
        database.check_schema(&old).await.unwrap();
        let older = database.check_schema(&new).await.unwrap_err();
        assert!(matches!(older, SchemaError::Older { found: 1, needed: 2 }), "{older:?}");

        database.migrate(&new).await.unwrap();
        database.migrate(&new).await.unwrap();
        database.check_schema(&new).await.unwrap();
        assert_eq!(tables(&database).await, ["account", "session"]);

        let newer = database.check_schema(&old).await.unwrap_err();
        assert!(matches!(newer, SchemaError::Newer(2)), "{newer:?}");
        let newer = database.migrate(&old).await.unwrap_err();
        assert!(matches!(newer, MigrateError::Schema(SchemaError::Newer(2))), "{newer:?}");
        let different = database.check_schema(&other).await.unwrap_err();
        assert!(matches!(different, SchemaError::Different(1)), "{different:?}");
        let different = database.migrate(&other).await.unwrap_err();
        assert!(matches!(different, MigrateError::Schema(SchemaError::Different(1))), "{different:?}");

        write(&database, "update _sqlx_migrations set success = false where version = 2").await;
        let unfinished = database.check_schema(&new).await.unwrap_err();
        assert!(matches!(unfinished, SchemaError::Unfinished(2)), "{unfinished:?}");
        let unfinished = database.migrate(&new).await.unwrap_err();
        assert!(matches!(unfinished, MigrateError::Schema(SchemaError::Unfinished(2))), "{unfinished:?}");
    }
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_and_can_be_repeated() {
    let broken = migrator(&[ACCOUNT, "create table session (id bigint); select * from nowhere"]);
    let repaired = migrator(&[ACCOUNT, SESSION]);
    for at in databases() {
        let database = open(&at).await;
        let error = database.migrate(&broken).await.unwrap_err();
        assert!(matches!(error, MigrateError::Migration { version: 2, .. }), "{error:?}");
        assert!(!tables(&database).await.contains(&"session"), "{}", at.engine);
        database.migrate(&repaired).await.unwrap();
        database.check_schema(&repaired).await.unwrap();
    }
}

#[tokio::test]
async fn several_processes_may_migrate_at_once() {
    let steps = migrator(&[ACCOUNT, SESSION, "insert into account (id, login) values (1, 'alice')"]);
    for at in databases() {
        let all = join_all((0..6).map(|_| async {
            let database = open(&at).await;
            database.migrate(&steps).await.unwrap();
            database.check_schema(&steps).await.unwrap();
        }));
        all.await;
        let database = open(&at).await;
        let accounts: i64 =
            sqlx::query_scalar("select count(*) from account").fetch_one(database.reader()).await.unwrap();
        assert_eq!(accounts, 1, "{}", at.engine);
    }
}

#[tokio::test]
async fn a_migration_can_be_one_engines_alone() {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let all = Migrator::with_migrations(vec![
        migration(1, "account", ACCOUNT),
        migration(2, "engine.sqlite", "create table engine (name text); insert into engine values ('SQLite')"),
        migration(2, "engine.postgres", "create table engine (name text); insert into engine values ('PostgreSQL')"),
        migration(3, "session", SESSION),
    ]);
    for at in databases() {
        let database = open(&at).await;
        database.migrate(&all).await.unwrap();
        database.migrate(&all).await.unwrap();
        database.check_schema(&all).await.unwrap();
        let names: Vec<String> =
            sqlx::query_scalar("select name from engine").fetch_all(database.reader()).await.unwrap();
        assert_eq!(names, [at.engine]);
        assert_eq!(tables(&database).await, ["account", "session"]);
    }
}
