use access::{Credential, CredentialKind, SigningKey};
use serde_json::json;
use token_service::SecondFactorKey;

use crate::arguments::Output;
use crate::output;

pub(super) fn service_key(output: Output) -> anyhow::Result<()> {
    let key = Credential::generate(CredentialKind::Service, &mut rand::rng());
    let (value, hash) = (key.expose(), key.hash().to_string());
    let text = match output {
        Output::Json => json!({ "key": value, "sha256": hash }).to_string(),
        Output::Text => format!("key     {value}\nsha256  {hash}"),
    };
    Ok(output::line(&text)?)
}

pub(super) fn signing_key() -> anyhow::Result<()> {
    let key = SigningKey::generate(&mut rand::rng());
    Ok(output::line(key.to_pem().trim_end())?)
}

pub(super) fn second_factor_key() -> anyhow::Result<()> {
    let key = SecondFactorKey::generate(&mut rand::rng());
    Ok(output::line(&key.to_base64())?)
}
