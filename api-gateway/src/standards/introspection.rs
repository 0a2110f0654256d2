use jiff::Timestamp;
use proto::Failure;
use proto::token::v1::{CredentialKind, IntrospectedCredential};
use serde::Serialize;

/// The members of an answer (RFC 7662, section 2.2), and those of our own that say what a token is confined to.
#[derive(Serialize)]
struct Introspection<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    username: &'a str,
    sub: String,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iat: i64,
    iss: &'a str,
    jti: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    portcullis_environments: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    portcullis_source_networks: &'a [String],
}

/// The answer about a credential.
pub(super) fn body(known: &IntrospectedCredential, issuer: &str) -> Result<String, Failure> {
    if !known.active {
        return Ok("{\"active\":false}".to_owned());
    }
    let (name, scope) = match known.kind() {
        CredentialKind::Session => ("session", None),
        CredentialKind::Token => ("token", Some(known.permissions.join(" "))),
        CredentialKind::Unspecified => return Err(Failure::internal("the authority did not say what is active")),
    };
    let moment = |wire: &prost_types::Timestamp| proto::time::from_wire(wire).map_err(Failure::internal);
    let created_at =
        known.created_at.as_ref().ok_or_else(|| Failure::internal("the authority did not say since when"))?;
    let introspection = Introspection {
        active: true,
        scope,
        username: &known.login,
        sub: known.account_id.to_string(),
        token_type: "Bearer",
        exp: known.expires_at.as_ref().map(moment).transpose()?.map(Timestamp::as_second),
        iat: moment(created_at)?.as_second(),
        iss: issuer,
        jti: format!("{name} {}", known.credential_id),
        portcullis_environments: &known.environments,
        portcullis_source_networks: &known.source_networks,
    };
    serde_json::to_string(&introspection).map_err(Failure::internal)
}
