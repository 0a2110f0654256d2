//! How tokens and permissions look on the wire.

use access::{Credential, CredentialHash, CredentialKind, EnvironmentPattern};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use proto::token::v1::{ApiListItem, ApiToken, TokenTemplate};
use proto::{Catalog, Failure, Method};

use crate::domain::{self, ApiSet, ApiSetError, Description, DescriptionError, Expiry, ExpiryError, Selection, Token};
use crate::grpc::Authority;

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

/// How many entries a page has at most, and where nothing is said.
const LONGEST_PAGE: u32 = 1000;
const USUAL_PAGE: u32 = 100;

/// How many entries a call wants at once.
pub(super) fn page_limit(wanted: Option<u32>) -> Result<u32, Failure> {
    let limit = wanted.unwrap_or(USUAL_PAGE);
    if (1..=LONGEST_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(Failure::invalid("limit", format!("must be 1 to {LONGEST_PAGE}")))
}

/// Which of an account's objects a call names.
pub(super) fn selection(ids: &[i64], all: bool, what: &str) -> Result<Selection, Failure> {
    match (all, ids.is_empty()) {
        (true, true) => Ok(Selection::All),
        (false, false) => Ok(Selection::Only(ids.iter().copied().collect())),
        (true, false) => Err(Failure::invalid("ids", "must be `*` or numbers, not both")),
        (false, true) => Err(Failure::invalid("ids", format!("must name at least one {what}, or be `*`"))),
    }
}

impl Authority {
    /// A token as its owner sees it, with its value where it has just got it.
    pub(super) fn shown(&self, token: Token, value: Option<&Credential>, now: Timestamp) -> ApiToken {
        shown(self.catalog, token, value, now, self.policy.expiry_notice)
    }
}

fn shown(
    catalog: &Catalog,
    token: Token,
    value: Option<&Credential>,
    now: Timestamp,
    notice: SignedDuration,
) -> ApiToken {
    let template = token.api_set.template();
    let items = items(&token.api_set.methods(catalog));
    let is_expired = token.expires_at.is_some_and(|end| end <= now);
    let last_use = token.last_use;
    ApiToken {
        id: token.id,
        description: token.description,
        key: value.map(|value| value.expose().to_owned()),
        expires_at: token.expires_at.map(proto::time::to_wire),
        last_used: last_use.as_ref().map(|used| proto::time::to_wire(used.at)),
        last_used_address: last_use.as_ref().map(|used| used.address.clone()).unwrap_or_default(),
        last_used_method: last_use.map(|used| used.method).unwrap_or_default(),
        use_count: token.use_count,
        environments: token.confinement.environments.iter().map(ToString::to_string).collect(),
        source_networks: token.confinement.networks.iter().map(ToString::to_string).collect(),
        created_on: Some(proto::time::to_wire(token.created_at)),
        expires_soon: !is_expired && token.expires_at.is_some_and(|end| end <= now + notice),
        is_expired,
        overlap_ends_at: token.overlap_ends_at.filter(|end| *end > now).map(proto::time::to_wire),
        leaked_at: token.leaked_at.map(proto::time::to_wire),
        previous_leaked_at: token.previous_leaked_at.map(proto::time::to_wire),
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

pub(super) fn environments(texts: &[String]) -> Result<Option<Vec<EnvironmentPattern>>, Failure> {
    domain::environments(texts).map_err(|error| Failure::invalid("environments", error))
}

pub(super) fn networks(texts: &[String]) -> Result<Option<Vec<IpNet>>, Failure> {
    domain::networks(texts).map_err(|error| Failure::invalid("sourceNetworks", error))
}
