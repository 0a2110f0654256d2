use access::Credential;
use lifecycle::Lifecycle;
use sqlx::Row;
use token_service::{RunError, Service};

use crate::stage::stages;

#[tokio::test]
async fn credentials_and_passwords_are_stored_as_hashes_only() {
    for stage in stages().await {
        let session = stage.session().await;
        let value = stage.stop_token(&session).await.key.unwrap();
        let database = storage::Database::open(&stage.config.database_url, &storage::DatabaseOptions::default()).await;
        let database = database.unwrap();
        let mut kept = String::new();
        for table in ["session", "token", "account", "change"] {
            // Every column of every row as the engine itself prints it.
            let statement = match database.engine() {
                storage::Engine::Postgres => format!("select cast({table} as text) as row_text from {table}"),
                storage::Engine::Sqlite => format!("select {} as row_text from {table}", columns(table)),
            };
            let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(database.reader()).await.unwrap();
            assert!(table == "change" || !rows.is_empty(), "{table} was read");
            kept.extend(rows.iter().map(|row| row.get::<String, _>("row_text").to_lowercase()));
        }
        let hash = Credential::parse(&value).unwrap().hash().to_string();
        assert!(kept.contains(&hash), "{}: the hash is there: {kept}", stage.engine);
        for secret in [&session, &value, crate::stage::PASSWORD] {
            let in_hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!kept.contains(&secret.to_lowercase()) && !kept.contains(&in_hex), "{}", stage.engine);
        }
    }
}

/// The text and blob columns of a table, as one SQLite expression.
fn columns(table: &str) -> &'static str {
    match table {
        "session" => "hex(hash)",
        "token" => "description || api_list || hex(hash)",
        "account" => "login || name || email || password_hash",
        _ => "credential_kind",
    }
}

#[tokio::test]
async fn it_does_not_start_on_a_schema_that_it_does_not_know() {
    for stage in stages().await {
        let open = storage::Database::open(&stage.config.database_url, &storage::DatabaseOptions::default()).await;
        let database = open.unwrap();
        let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                     select 999, 'later', success, checksum, 0 from _sqlx_migrations limit 1";
        let mut tx = database.begin("test").await.unwrap();
        sqlx::query(later).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let mut config = stage.config.clone();
        config.listen.set_port(0);
        let error = Service::bind(config, Lifecycle::new()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, RunError::Schema(storage::SchemaError::Newer(999))), "{}: {error:?}", stage.engine);
    }
    for database in testkit::databases() {
        let mut config = stages().await.remove(0).config.clone();
        config.database_url = database.url.parse().unwrap();
        let key = tempfile::NamedTempFile::new().unwrap();
        let pem = access::SigningKey::generate(&mut rand::rng()).to_pem();
        std::fs::write(key.path(), pem.as_bytes()).unwrap();
        config.signing_key_file = key.path().to_owned();
        config.second_factor_key_file = None;
        let error = Service::bind(config, Lifecycle::new()).await.map(|_| ()).unwrap_err();
        assert!(
            matches!(error, RunError::Schema(storage::SchemaError::Older { found: 0, .. })),
            "{}: {error:?}",
            database.engine
        );
    }
}
