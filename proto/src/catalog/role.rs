use std::fmt;
use std::str::FromStr;

use crate::api::v1::ServiceRole as WireRole;

/// What a service of the installation is, and so what it may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceRole {
    /// It takes calls from outside and passes them on under grants.
    Gateway,
    /// It executes methods under the grants that gateways pass on.
    Executor,
    /// It asks about credentials that it is shown, and ends them.
    Client,
}

/// Why a text is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `gateway`, `executor` or `client`")]
pub struct ServiceRoleError;

impl ServiceRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Executor, Self::Client];

    /// Its name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Executor => "executor",
            Self::Client => "client",
        }
    }

    /// The role of this number in `options.proto`.
    pub(super) fn from_wire(number: i32) -> Option<Self> {
        match WireRole::try_from(number).ok()? {
            WireRole::Unspecified => None,
            WireRole::Gateway => Some(Self::Gateway),
            WireRole::Executor => Some(Self::Executor),
            WireRole::Client => Some(Self::Client),
        }
    }
}

impl fmt::Display for ServiceRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ServiceRole {
    type Err = ServiceRoleError;

    fn from_str(text: &str) -> Result<Self, ServiceRoleError> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(ServiceRoleError)
    }
}
