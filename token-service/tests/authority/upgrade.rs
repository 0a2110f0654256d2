//! A database of the first release, with its data, is brought to this one and served.

use access::{Credential, CredentialKind, SigningKey};
use argon2::{Argon2, PasswordHasher};
use lifecycle::Lifecycle;
use proto::catalog::ServiceRole;
use proto::token::v1::GetTokensRequest;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::migrate::Migrator;
use storage::{Database, DatabaseOptions};
use token_service::{Config, Service, ServiceKeyConfig, verify_audit};

use crate::stage::{LOGIN, PASSWORD, STOP, Stage};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// What the first release kept.
async fn first_release(database: &Database, session: &Credential, token: &Credential) {
    let first: Vec<_> = MIGRATIONS.iter().take(1).cloned().collect();
    database.migrate(&Migrator::with_migrations(first)).await.unwrap();
    let password_hash = Argon2::default().hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let mut tx = database.begin("test").await.unwrap();
    let account = "insert into account (id, login, name, email, password_hash, role, state, created_at) \
                   values (1, $1, 'Alice', $1, $2, 'administrator', 'active', 1)";
    sqlx::query(account).bind(LOGIN).bind(password_hash).execute(&mut *tx).await.unwrap();
    let session_row = "insert into session (id, account_id, hash, created_at, expires_at) values (1, 1, $1, $2, $3)";
    let now = jiff::Timestamp::now().as_microsecond();
    let statement =
        sqlx::query(session_row).bind(session.hash().as_bytes().to_vec()).bind(now).bind(now + 3_600_000_000);
    statement.execute(&mut *tx).await.unwrap();
    let token_row = "insert into token (id, account_id, description, hash, template, api_list, created_at, expires_at, \
                     last_used_at) values (7, 1, 'old', $1, 'custom', $2, 1, null, null)";
    let statement = sqlx::query(token_row).bind(token.hash().as_bytes().to_vec()).bind(STOP);
    statement.execute(&mut *tx).await.unwrap();
    for counter in ["account", "session", "token", "revision"] {
        let statement = "update counter set value = 7 where name = $1";
        sqlx::query(statement).bind(counter).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn the_first_releases_data_is_served_after_the_upgrade() {
    for test_database in testkit::databases() {
        let engine = test_database.engine;
        let mut rng = StdRng::seed_from_u64(2);
        let mut credential = |kind| Credential::generate(kind, &mut rng);
        let session = credential(CredentialKind::Session);
        let (token, key) = (credential(CredentialKind::Token), credential(CredentialKind::Service));
        let url = test_database.url.parse().unwrap();
        let database = Database::open(&url, &DatabaseOptions::default()).await.unwrap();
        first_release(&database, &session, &token).await;

        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("signing-key.pem");
        std::fs::write(&key_file, SigningKey::generate(&mut rand::rng()).to_pem().as_bytes()).unwrap();
        let mut config = Config::new(url, key_file);
        config.listen = ([127, 0, 0, 1], 0).into();
        config.service_keys =
            vec![ServiceKeyConfig { name: "test".into(), role: ServiceRole::Gateway, sha256: key.hash().to_string() }];
        let refused = Service::bind(config.clone(), Lifecycle::new()).await.map(|_| ()).unwrap_err();
        assert!(
            format!("{refused:?}").contains("Older"),
            "{engine}: it does not serve before the upgrade: {refused:?}"
        );
        token_service::migrate(&config).await.unwrap();

        let stage =
            Stage::serve(engine, config, lifecycle::Clock::system(), key.expose(), Some((folder, test_database))).await;
        let claims = stage.introspect(token.expose()).await.claims.unwrap();
        assert!(claims.environments.is_empty() && claims.source_networks.is_empty(), "{engine}: it is not confined");
        let request = stage.granted(session.expose(), GetTokensRequest::default()).await;
        let tokens = stage.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens;
        let old = &tokens[0];
        assert_eq!((old.id, old.description.as_str(), old.use_count), (7, "old", 0), "{engine}");
        let made = stage.stop_token(&stage.session().await).await;
        assert_eq!(made.id, 8, "{engine}: numbers go on");
        verify_audit(&stage.config.database_url, None).await.unwrap();
    }
}

#[tokio::test]
async fn what_waits_for_the_webhook_waits_on_after_the_upgrade() {
    for test_database in testkit::databases() {
        let url = test_database.url.parse().unwrap();
        let database = Database::open(&url, &DatabaseOptions::default()).await.unwrap();
        let before: Vec<_> = MIGRATIONS.iter().filter(|migration| migration.version < 6).cloned().collect();
        database.migrate(&Migrator::with_migrations(before)).await.unwrap();
        let mut tx = database.begin("test").await.unwrap();
        let row = "insert into notice (id, account_id, token_id, kind, about, attempts, next_attempt_at, delivered_at) \
                   values ('a', 1, 7, 'token.leaked', 10, 2, 20, null), ('b', 1, 8, 'token.expiring', 30, 1, 40, 50)";
        sqlx::query(row).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();

        database.migrate(&MIGRATIONS).await.unwrap();
        let rows = "select id, credential_id, kind, about, attempts, next_attempt_at, coalesce(delivered_at, 0) \
                    from notice order by id";
        let rows: Vec<(String, i64, String, i64, i64, i64, i64)> =
            sqlx::query_as(rows).fetch_all(database.reader()).await.unwrap();
        let expected = [
            ("a".into(), 7, "token.leaked".into(), 10, 2, 20, 0),
            ("b".into(), 8, "token.expiring".into(), 30, 1, 40, 50),
        ];
        assert_eq!(rows, expected, "{}", test_database.engine);
        database.close().await;
    }
}

#[tokio::test]
async fn accounts_that_were_deleted_before_the_upgrade_are_told_to_be_gone() {
    for test_database in testkit::databases() {
        let engine = test_database.engine;
        let url = test_database.url.parse().unwrap();
        let database = Database::open(&url, &DatabaseOptions::default()).await.unwrap();
        let before: Vec<_> = MIGRATIONS.iter().filter(|migration| migration.version < 9).cloned().collect();
        database.migrate(&Migrator::with_migrations(before)).await.unwrap();
        let mut tx = database.begin("test").await.unwrap();
        let account = "insert into account (id, login, name, email, password_hash, role, state, created_at) \
                       values (4, 'dave', 'Dave', '', '', 'member', 'active', 1)";
        sqlx::query(account).execute(&mut *tx).await.unwrap();
        // One was deleted, one only almost, one is there; and what else was done to one deletes nothing.
        for (number, account, action, outcome) in [
            (1, 3, "account.delete", "SUCCESS"),
            (2, 2, "account.delete", "SUCCESS"),
            (3, 5, "account.delete", "THROTTLED"),
            (4, 4, "account.delete", "SUCCESS"),
            (5, 6, "account.disable", "SUCCESS"),
        ] {
            let entry = "insert into audit (number, at, account_id, actor, action, object, outcome, address, user_agent, \
                         request_id, hash) values ($1, 1000 + $1, $2, '', $3, '', $4, '', '', '', $5)";
            let entry = sqlx::query(entry).bind(i64::from(number)).bind(i64::from(account)).bind(action).bind(outcome);
            entry.bind(vec![0_u8; 32]).execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();

        database.migrate(&MIGRATIONS).await.unwrap();
        let rows = "select number, account_id, deleted_at from deleted_account order by number";
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(rows).fetch_all(database.reader()).await.unwrap();
        assert_eq!(rows, [(1, 3, 1001), (2, 2, 1002)], "{engine}");
        let counter = "select value from counter where name = 'deleted_account'";
        let counter: (i64,) = sqlx::query_as(counter).fetch_one(database.reader()).await.unwrap();
        assert_eq!(counter, (2,), "{engine}: the numbers go on");
        database.close().await;
    }
}
