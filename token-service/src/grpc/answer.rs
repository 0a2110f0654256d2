//! How tokens and permissions look on the wire.

use access::{Credential, CredentialHash, CredentialKind};
use jiff::Timestamp;
use proto::token::v1::{ApiListItem, ApiToken, TokenTemplate};
use proto::{Catalog, Failure, Method};

use crate::domain::{ApiSet, ApiSetError, Description, DescriptionError, Expiry, ExpiryError, Token};

pub(super) fn item(method: &Method) -> ApiListItem {
    ApiListItem {
        id: method.permission().map_or(0, |id| id.0),
        method: method.name().to_owned(),
        is_safe: method.is_safe(),
        is_collaboration_accessible: false,
    }
}

pub(super) fn items(methods: &[&Method]) -> Vec<ApiListItem> {
    methods.iter().map(|method| item(method)).collect()
}

pub(super) fn token(catalog: &Catalog, token: Token, value: Option<&Credential>) -> ApiToken {
    let template = token.api_set.template();
    let items = items(&token.api_set.methods(catalog));
    ApiToken {
        id: token.id,
        description: token.description,
        key: value.map(|value| value.expose().to_owned()),
        expires_at: token.expires_at.map(proto::time::to_wire),
        last_used: token.last_used_at.map(proto::time::to_wire),
        is_system: false,
        api_list_items: items.clone(),
        token_template: Some(TokenTemplate {
            id: template.into(),
            name: catalog.template_name(template).to_owned(),
            api_list_items: items,
        }),
    }
}

/// A new token's value, and what is kept of it.
pub(super) fn new_value() -> (Credential, CredentialHash) {
    let value = Credential::generate(CredentialKind::Token, &mut rand::rng());
    let hash = value.hash();
    (value, hash)
}

pub(super) fn expiry(moment: Option<prost_types::Timestamp>, now: Timestamp) -> Result<Option<Expiry>, Failure> {
    let Some(moment) = moment else { return Ok(None) };
    let moment = proto::time::from_wire(&moment).map_err(|error| Failure::invalid("expiresAt", error))?;
    Ok(Some(Expiry::chosen(moment, now)?))
}

impl From<ExpiryError> for Failure {
    fn from(error: ExpiryError) -> Self {
        Self::invalid("expiresAt", error)
    }
}

impl From<DescriptionError> for Failure {
    fn from(error: DescriptionError) -> Self {
        Self::invalid("description", error)
    }
}

impl From<ApiSetError> for Failure {
    fn from(error: ApiSetError) -> Self {
        Self::invalid(error.parameter(), error)
    }
}

pub(super) fn api_set(
    catalog: &Catalog,
    template: Option<&str>,
    api_list: &[String],
) -> Result<Option<ApiSet>, Failure> {
    Ok(ApiSet::chosen(catalog, template, api_list)?)
}

pub(super) fn description(text: Option<String>) -> Result<Option<Description>, Failure> {
    Ok(text.map(Description::try_from).transpose()?)
}
