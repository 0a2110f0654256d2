use std::collections::HashSet;

use access::AccountId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigError;
use crate::domain::{DriverKind, ImagePattern, Policies, Policy, Quota};

/// How much an account may have. Environments that were there before do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Environments: 0 to 100,000. Default: 100.
    pub max_environments: i64,
    /// Nodes of all of them: 0 to 1,000,000. Default: 500.
    pub max_nodes: i64,
    /// Cloudlets (128 MiB and 400 MHz) up to which all of these may grow: 0 to 10,000,000. Default: 4,000.
    pub max_cloudlets: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_environments: 100, max_nodes: 500, max_cloudlets: 4_000 }
    }
}

/// What one account may. What is not given is as for all others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRules {
    /// The account's number.
    pub id: i64,
    /// The drivers that it may use: the first that can run a new environment runs it. Default: as in `drivers`.
    #[serde(default)]
    pub drivers: Option<Vec<DriverName>>,
    /// The templates that it may use. Default: all.
    #[serde(default)]
    pub templates: Option<Vec<String>>,
    /// The images that it may run, by name without version, of those that a driver may run; `*` stands for any characters but
    /// a slash. Default: all of these.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub images: Option<Vec<ImagePattern>>,
    /// Environments. Default: as in `limits`.
    #[serde(default)]
    pub max_environments: Option<i64>,
    /// Nodes. Default: as in `limits`.
    #[serde(default)]
    pub max_nodes: Option<i64>,
    /// Cloudlets. Default: as in `limits`.
    #[serde(default)]
    pub max_cloudlets: Option<i64>,
}

/// A driver by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriverName {
    /// Processes of this machine.
    Process,
    /// Containers of a Docker engine.
    Docker,
    /// Workloads of a Kubernetes cluster.
    Kubernetes,
}

impl From<DriverName> for DriverKind {
    fn from(name: DriverName) -> Self {
        match name {
            DriverName::Process => Self::Process,
            DriverName::Docker => Self::Docker,
            DriverName::Kubernetes => Self::Kubernetes,
        }
    }
}

/// The order of drivers where none is told.
pub(super) fn all_drivers() -> Vec<DriverName> {
    vec![DriverName::Process, DriverName::Docker, DriverName::Kubernetes]
}

/// What each account may, by a configuration.
pub(super) fn policies(
    drivers: &[DriverName],
    limits: Limits,
    accounts: &[AccountRules],
) -> Result<Policies, ConfigError> {
    let default =
        Policy { drivers: kinds("drivers", drivers)?, templates: None, images: None, quota: quota("limits", limits)? };
    let mut policies = Policies { default: default.clone(), accounts: std::collections::HashMap::new() };
    for rules in accounts {
        let limits = Limits {
            max_environments: rules.max_environments.unwrap_or(limits.max_environments),
            max_nodes: rules.max_nodes.unwrap_or(limits.max_nodes),
            max_cloudlets: rules.max_cloudlets.unwrap_or(limits.max_cloudlets),
        };
        let drivers = rules.drivers.as_ref().map(|drivers| kinds("account.drivers", drivers)).transpose()?;
        let template = |name: &String| {
            name.parse().map_err(|_| ConfigError::Value { key: "account.templates", allowed: "names of templates" })
        };
        let templates = rules.templates.as_ref().map(|names| names.iter().map(template).collect()).transpose()?;
        let policy = Policy {
            drivers: drivers.unwrap_or_else(|| default.drivers.clone()),
            templates,
            images: rules.images.as_ref().map(|images| images.iter().cloned().collect()),
            quota: quota("account", limits)?,
        };
        if policies.accounts.insert(AccountId(rules.id), policy).is_some() {
            return Err(ConfigError::Value { key: "account.id", allowed: "there once" });
        }
    }
    Ok(policies)
}

fn kinds(key: &'static str, names: &[DriverName]) -> Result<Vec<DriverKind>, ConfigError> {
    let kinds: Vec<DriverKind> = names.iter().copied().map(Into::into).collect();
    let different: HashSet<DriverKind> = kinds.iter().copied().collect();
    if kinds.is_empty() || different.len() != kinds.len() {
        return Err(ConfigError::Value { key, allowed: "names of drivers, each once and at least one" });
    }
    Ok(kinds)
}

fn quota(key: &'static str, limits: Limits) -> Result<Quota, ConfigError> {
    let fits = (0..=100_000).contains(&limits.max_environments)
        && (0..=1_000_000).contains(&limits.max_nodes)
        && (0..=10_000_000).contains(&limits.max_cloudlets);
    if !fits {
        let allowed = "at most 100,000 environments, 1,000,000 nodes and 10,000,000 cloudlets, and none below 0";
        return Err(ConfigError::Value { key, allowed });
    }
    Ok(Quota { environments: limits.max_environments, nodes: limits.max_nodes, cloudlets: limits.max_cloudlets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> AccountRules {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_given_is_as_for_all_others() {
        let limits = Limits { max_nodes: 7, ..Limits::default() };
        let accounts = [
            rules("id = 3\nmax_environments = 1\ntemplates = [\"web\"]\nimages = [\"team/*\"]"),
            rules("id = 4\ndrivers = [\"docker\"]"),
        ];
        let policies = policies(&[DriverName::Process], limits, &accounts).unwrap();
        let (other, third, fourth) = (policies.of(AccountId(1)), policies.of(AccountId(3)), policies.of(AccountId(4)));
        assert_eq!(other.quota, Quota { environments: 100, nodes: 7, cloudlets: 4_000 });
        assert_eq!(third.quota, Quota { environments: 1, ..other.quota });
        assert_eq!((&third.drivers, &fourth.drivers), (&vec![DriverKind::Process], &vec![DriverKind::Docker]));
        let [web, worker] = ["web", "worker"].map(|name| name.parse().unwrap());
        assert!(third.allows(&web) && !third.allows(&worker) && fourth.allows(&worker));
        let [ours, nginx] = ["team/web", "nginx"].map(|name| name.parse().unwrap());
        assert!(third.allows_image(&ours) && !third.allows_image(&nginx) && fourth.allows_image(&nginx));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let key = |drivers: &[DriverName], limits, accounts: &[AccountRules]| match policies(drivers, limits, accounts)
            .unwrap_err()
        {
            ConfigError::Value { key, .. } => key,
            other => panic!("{other}"),
        };
        let all = all_drivers();
        assert_eq!(key(&[], Limits::default(), &[]), "drivers");
        assert_eq!(key(&[DriverName::Docker; 2], Limits::default(), &[]), "drivers");
        assert_eq!(key(&all, Limits { max_nodes: -1, ..Limits::default() }, &[]), "limits");
        assert_eq!(key(&all, Limits::default(), &[rules("id = 1"), rules("id = 1")]), "account.id");
        assert_eq!(key(&all, Limits::default(), &[rules("id = 1\ndrivers = []")]), "account.drivers");
        assert_eq!(key(&all, Limits::default(), &[rules("id = 1\ntemplates = [\"Web\"]")]), "account.templates");
        assert_eq!(key(&all, Limits::default(), &[rules("id = 1\nmax_nodes = 10000000")]), "account");
    }
}
