//! How values stand in columns.

use std::collections::BTreeSet;
use std::str::FromStr;

use access::Confinement;
use jiff::Timestamp;
use proto::catalog::TokenTemplate;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{AccountState, ApiSet, FactorState, Role, SessionState};

/// A column that holds what this build cannot have written.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds {value:?}")]
struct Unreadable {
    column: &'static str,
    value: String,
}

pub(super) fn unreadable(column: &'static str, value: &dyn std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(Unreadable { column, value: value.to_string() }))
}

pub(super) fn moment(row: &AnyRow, column: &'static str) -> Result<Timestamp, sqlx::Error> {
    let micros: i64 = row.try_get(column)?;
    Timestamp::from_microsecond(micros).map_err(|_| unreadable(column, &micros))
}

pub(super) fn optional_moment(row: &AnyRow, column: &'static str) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros: Option<i64> = row.try_get(column)?;
    micros.map(|micros| Timestamp::from_microsecond(micros).map_err(|_| unreadable(column, &micros))).transpose()
}

pub(super) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Administrator => "administrator",
    }
}

pub(super) fn role(row: &AnyRow) -> Result<Role, sqlx::Error> {
    match row.try_get("role")? {
        "member" => Ok(Role::Member),
        "administrator" => Ok(Role::Administrator),
        other => Err(unreadable("role", &other)),
    }
}

pub(super) fn account_state_text(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
    }
}

pub(super) fn account_state(row: &AnyRow) -> Result<AccountState, sqlx::Error> {
    match row.try_get("state")? {
        "active" => Ok(AccountState::Active),
        "disabled" => Ok(AccountState::Disabled),
        other => Err(unreadable("state", &other)),
    }
}

pub(super) fn session_state_text(state: SessionState) -> &'static str {
    match state {
        SessionState::Active => "active",
        SessionState::Pending => "pending",
    }
}

pub(super) fn factor_state(row: &AnyRow) -> Result<FactorState, sqlx::Error> {
    match row.try_get("state")? {
        "pending" => Ok(FactorState::Pending),
        "active" => Ok(FactorState::Active),
        other => Err(unreadable("state", &other)),
    }
}

const TEMPLATES: [(TokenTemplate, &str); 5] = [
    (TokenTemplate::ExtendedAccess, "extended_access"),
    (TokenTemplate::IdePlugins, "ide_plugins"),
    (TokenTemplate::Marketplace, "marketplace"),
    (TokenTemplate::MavenPlugin, "maven_plugin"),
    (TokenTemplate::Custom, "custom"),
];

/// The columns `template` and `api_list`.
pub(super) fn api_set_columns(set: &ApiSet) -> (&'static str, String) {
    let template = set.template();
    let text = TEMPLATES.iter().find(|(known, _)| *known == template).map(|(_, text)| *text);
    let text = text.expect("every set that can be chosen has a column value");
    let list = match set {
        ApiSet::Template(_) => String::new(),
        ApiSet::Custom(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
    };
    (text, list)
}

pub(super) fn api_set(row: &AnyRow) -> Result<ApiSet, sqlx::Error> {
    let text: &str = row.try_get("template")?;
    let known = TEMPLATES.iter().find(|(_, known)| *known == text);
    let (template, _) = known.ok_or_else(|| unreadable("template", &text))?;
    if *template != TokenTemplate::Custom {
        return Ok(ApiSet::Template(*template));
    }
    let list: &str = row.try_get("api_list")?;
    Ok(ApiSet::Custom(list.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>()))
}

/// Values in one column, parted by spaces.
pub(super) fn listed(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The columns `environments` and `networks`.
pub(super) fn confinement(row: &AnyRow) -> Result<Confinement, sqlx::Error> {
    Ok(Confinement { environments: values(row, "environments")?, networks: values(row, "networks")? })
}

fn values<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<Vec<T>, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.split_whitespace().map(|value| value.parse().map_err(|_| unreadable(column, &value))).collect()
}
