use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::json;
use storage::DatabaseUrl;
use token_service::{Config, SigningKeyInfo};

use crate::arguments::{AuthorityPlace, Keys, Output};
use crate::output;

pub(super) async fn run(output: Output, command: Keys) -> anyhow::Result<()> {
    let keys = match command {
        Keys::Rotate { lead, place } => {
            token_service::rotate_signing_key(&config(&place)?, Duration::from_secs(lead)).await?
        }
        Keys::List { place } => token_service::signing_keys(&config(&place)?).await?,
    };
    let text = match output {
        Output::Json => json!({ "keys": keys.iter().map(object).collect::<Vec<_>>() }).to_string(),
        Output::Text => {
            let columns = ["key", "signs from", "verifies until"];
            output::table(columns, keys.iter().map(|key| [key.key_id.clone(), from(key), until(key)]))
        }
    };
    Ok(output::line(&text)?)
}

fn object(key: &SigningKeyInfo) -> serde_json::Value {
    json!({
        "id": key.key_id,
        "signsFrom": key.signs_from.to_string(),
        "verifiesUntil": key.verifies_until.map(|until| until.to_string()),
    })
}

/// The first one has always signed.
fn from(key: &SigningKeyInfo) -> String {
    if key.signs_from == Timestamp::UNIX_EPOCH { String::new() } else { key.signs_from.to_string() }
}

fn until(key: &SigningKeyInfo) -> String {
    key.verifies_until.map(|until| until.to_string()).unwrap_or_default()
}

/// How the authority is configured there. A folder without a database is not made into one.
fn config(place: &AuthorityPlace) -> anyhow::Result<Config> {
    if let Some(file) = &place.config {
        return Ok(Config::load(file)?);
    }
    let [database, key] = ["token.db", "signing-key.pem"].map(|file| place.data_dir.join(file));
    if !database.is_file() {
        bail!("there is no database {}: use --data-dir or --config", database.display());
    }
    Ok(Config::new(DatabaseUrl::sqlite(&database), key))
}
