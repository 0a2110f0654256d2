use std::collections::HashMap;

use access::AccountId;

use super::{DriverKind, ImageName, ImagePatterns, NodeType};

/// How much an account may have. Environments that were there before do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Environments.
    pub(crate) environments: i64,
    /// Nodes of all of them.
    pub(crate) nodes: i64,
    /// Cloudlets up to which all of these may grow.
    pub(crate) cloudlets: i64,
}

impl Quota {
    /// As much as can be.
    pub(crate) const UNBOUNDED: Self = Self { environments: i64::MAX, nodes: i64::MAX, cloudlets: i64::MAX };
}

/// How much an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) environments: i64,
    pub(crate) nodes: i64,
    pub(crate) cloudlets: i64,
}

/// An account would have more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account may have {most} {what}, and would have {would}")]
pub(crate) struct QuotaExceeded {
    pub(crate) what: &'static str,
    pub(crate) most: i64,
    pub(crate) would: i64,
}

impl Quota {
    /// Whether an account may have so much.
    ///
    /// # Errors
    /// Says what is too much.
    pub(crate) fn allow(&self, would: Holdings) -> Result<(), QuotaExceeded> {
        let each = [
            ("environments", self.environments, would.environments),
            ("nodes", self.nodes, would.nodes),
            ("cloudlets", self.cloudlets, would.cloudlets),
        ];
        match each.into_iter().find(|(_, most, would)| would > most) {
            Some((what, most, would)) => Err(QuotaExceeded { what, most, would }),
            None => Ok(()),
        }
    }
}

/// What an account may run, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The drivers, the first that can run a new environment runs it.
    pub(crate) drivers: Vec<DriverKind>,
    /// The templates; all that there are where none is listed.
    pub(crate) templates: Option<Vec<NodeType>>,
    /// The images, of those that a driver may run; all of these where none is listed.
    pub(crate) images: Option<ImagePatterns>,
    /// How much.
    pub(crate) quota: Quota,
}

/// What each account may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policies {
    pub(crate) default: Policy,
    pub(crate) accounts: HashMap<AccountId, Policy>,
}

impl Policies {
    /// What an account may.
    #[must_use]
    pub(crate) fn of(&self, account: AccountId) -> &Policy {
        self.accounts.get(&account).unwrap_or(&self.default)
    }
}

impl Policy {
    /// Whether it may run a template.
    #[must_use]
    pub(crate) fn allows(&self, template: &NodeType) -> bool {
        self.templates.as_ref().is_none_or(|templates| templates.contains(template))
    }

    /// Whether it may run an image, as far as a driver may.
    #[must_use]
    pub(crate) fn allows_image(&self, image: &ImageName) -> bool {
        self.images.as_ref().is_none_or(|images| images.allows(image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_named() {
        let quota = Quota { environments: 1, nodes: 2, cloudlets: 3 };
        let would = |environments, nodes, cloudlets| quota.allow(Holdings { environments, nodes, cloudlets });
        assert_eq!(would(1, 2, 3), Ok(()));
        assert_eq!(would(2, 2, 3), Err(QuotaExceeded { what: "environments", most: 1, would: 2 }));
        assert_eq!(would(1, 3, 3), Err(QuotaExceeded { what: "nodes", most: 2, would: 3 }));
        let error = would(1, 2, 4).unwrap_err();
        assert_eq!(error.to_string(), "the account may have 3 cloudlets, and would have 4");
    }
}
