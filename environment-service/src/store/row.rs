//! How values stand in columns.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use access::AccountId;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::groups;
use crate::domain::{
    Cloudlets, Environment, EnvironmentId, Instance, Launch, LaunchId, Node, NodeId, Variables, Workload,
};

/// A column that holds what this build cannot have written.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds {value:?}")]
struct Unreadable {
    column: &'static str,
    value: String,
}

fn unreadable(column: &'static str, value: impl Display) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(Unreadable { column, value: value.to_string() }))
}

pub(super) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| unreadable(column, text))
}

fn optional<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| unreadable(column, text))).transpose()
}

fn small<T: TryFrom<i64>>(column: &'static str, value: i64) -> Result<T, sqlx::Error> {
    T::try_from(value).map_err(|_| unreadable(column, value))
}

fn uuid(column: &'static str, bytes: &[u8]) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(bytes).map_err(|error| unreadable(column, error))
}

pub(super) fn environment_id(row: &AnyRow) -> Result<EnvironmentId, sqlx::Error> {
    Ok(EnvironmentId(uuid("id", row.try_get("id")?)?))
}

/// An environment without its nodes.
pub(super) fn environment(row: &AnyRow) -> Result<Environment, sqlx::Error> {
    Ok(Environment {
        id: environment_id(row)?,
        name: parsed(row, "name")?,
        account: AccountId(row.try_get("account")?),
        display_name: row.try_get("display_name")?,
        highly_available: row.try_get::<i64, _>("highly_available")? != 0,
        tls: row.try_get::<i64, _>("tls")? != 0,
        desired: parsed(row, "desired")?,
        operation: optional(row, "operation")?,
        created_at: moment("created_at", row.try_get("created_at")?)?,
        driver: parsed(row, "driver")?,
        adopted: row.try_get("adopted")?,
        groups: groups::from_column(row.try_get("env_groups")?),
        nodes: Vec::new(),
    })
}

/// A node; columns that an environment has too are called `node_…`.
pub(super) fn node(row: &AnyRow) -> Result<Node, sqlx::Error> {
    let fixed = small("fixed_cloudlets", row.try_get("fixed_cloudlets")?)?;
    let flexible = small("flexible_cloudlets", row.try_get("flexible_cloudlets")?)?;
    let port: Option<i64> = row.try_get("port")?;
    Ok(Node {
        id: node_id(row)?,
        group: parsed(row, "node_group")?,
        workload: Workload {
            node_type: parsed(row, "node_type")?,
            image: optional(row, "image")?,
            tag: parsed(row, "tag")?,
            variables: variables(row)?,
        },
        former_tag: optional(row, "former_tag")?,
        rank: small("rank", row.try_get("rank")?)?,
        adopted: row.try_get("node_adopted")?,
        display_name: row.try_get("node_display_name")?,
        cloudlets: Cloudlets::new(Some(fixed), Some(flexible)).map_err(|_| unreadable("fixed_cloudlets", fixed))?,
        port: port.map(|port| small("port", port)).transpose()?,
        launch: launch(row)?,
        ending: row.try_get::<i64, _>("ending")? != 0,
    })
}

pub(super) fn node_id(row: &AnyRow) -> Result<NodeId, sqlx::Error> {
    Ok(NodeId(row.try_get("node_id")?))
}

pub(super) fn moment(column: &'static str, micros: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(micros).map_err(|_| unreadable(column, micros))
}

/// Variables stand in their column as one JSON object; none as nothing.
pub(super) fn variables_to_column(variables: &Variables) -> Option<String> {
    let all: BTreeMap<&str, &str> = variables.iter().collect();
    (!all.is_empty()).then(|| serde_json::to_string(&all).expect("texts make JSON"))
}

fn variables(row: &AnyRow) -> Result<Variables, sqlx::Error> {
    let Some(text) = row.try_get::<Option<String>, _>("variables")? else { return Ok(Variables::default()) };
    // They may be secrets: an error does not say what it found.
    let unreadable = || unreadable("variables", "what is no object of texts");
    let all: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|_| unreadable())?;
    Variables::new(all).map_err(|_| unreadable())
}

pub(super) fn launch_id(row: &AnyRow) -> Result<Option<LaunchId>, sqlx::Error> {
    let bytes: Option<Vec<u8>> = row.try_get("launch_id")?;
    bytes.map(|bytes| uuid("launch_id", &bytes).map(LaunchId)).transpose()
}

fn launch(row: &AnyRow) -> Result<Option<Launch>, sqlx::Error> {
    let instance: Option<String> = row.try_get("instance")?;
    Ok(launch_id(row)?.map(|id| Launch { id, instance: instance.map(Instance) }))
}
