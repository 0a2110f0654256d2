//! The one decision whether a caller may call a method, the same at the gateway and at the executing service.

use proto::catalog::{Access, ServiceRole};
use proto::{ErrorKind, Failure, Method};

use crate::{GrantedKind, PermissionBits};

/// What decides whether a credential may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights<'a> {
    /// What kind of credential it is.
    pub kind: GrantedKind,
    /// Whether its account is an administrator.
    pub administrator: bool,
    /// What a token may call.
    pub permissions: PermissionBits<'a>,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The contract does not say who may call the method: nobody.
    NoRule,
    /// The method is for other services.
    ServicesOnly,
    /// The method is for services of other roles than this one.
    OtherRole(ServiceRole),
    /// There is no live credential.
    NotAuthenticated,
    /// A token was given where a session is needed.
    SessionRequired,
    /// The account is not an administrator.
    AdministratorRequired,
    /// The token does not list the method.
    MissingPermission,
}

/// Whether a credential with these rights — nobody, where there are none — may call the method. Calls between services are not
/// decided here: no credential of an account opens them.
///
/// # Errors
/// Where it may not.
pub fn decide(method: &Method, rights: Option<Rights<'_>>) -> Result<(), Denied> {
    let access = method.access().ok_or(Denied::NoRule)?;
    let kind = rights.map(|rights| rights.kind);
    match (access, kind) {
        (Access::Service { .. }, _) => Err(Denied::ServicesOnly),
        (Access::Public, _) => Ok(()),
        (_, None) => Err(Denied::NotAuthenticated),
        (Access::Authenticated, Some(_))
        | (Access::Session | Access::SessionWithPassword | Access::Permission { .. }, Some(GrantedKind::Session)) => {
            Ok(())
        }
        (Access::Administrator | Access::AdministratorWithPassword, Some(GrantedKind::Session)) => {
            if rights.is_some_and(|rights| rights.administrator) { Ok(()) } else { Err(Denied::AdministratorRequired) }
        }
        (
            Access::Session | Access::SessionWithPassword | Access::Administrator | Access::AdministratorWithPassword,
            Some(GrantedKind::Token),
        ) => Err(Denied::SessionRequired),
        (Access::Permission { id, .. }, Some(GrantedKind::Token)) => {
            if rights.is_some_and(|rights| rights.permissions.contains(*id)) {
                Ok(())
            } else {
                Err(Denied::MissingPermission)
            }
        }
    }
}

/// Whether a service of this role may call the method under its service key alone.
///
/// # Errors
/// Where it may not.
pub fn decide_service(method: &Method, role: ServiceRole) -> Result<(), Denied> {
    match method.access() {
        Some(Access::Service { roles }) if roles.contains(&role) => Ok(()),
        Some(Access::Service { .. }) => Err(Denied::OtherRole(role)),
        _ => decide(method, None),
    }
}

impl Denied {
    /// What the caller is told.
    #[must_use]
    pub fn failure(self, method: &Method) -> Failure {
        let name = method.name();
        match self {
            Self::NoRule => Failure::new(
                ErrorKind::PermissionDenied,
                format!("{name} declares no access rule, so nobody may call it"),
            ),
            Self::ServicesOnly => Failure::new(ErrorKind::PermissionDenied, format!("{name} is for services only")),
            Self::OtherRole(role) => {
                Failure::new(ErrorKind::PermissionDenied, format!("{name} is not for services of the role `{role}`"))
            }
            Self::NotAuthenticated => Failure::new(ErrorKind::NotAuthenticated, "not authenticated"),
            Self::SessionRequired => {
                Failure::new(ErrorKind::PermissionDenied, format!("{name} needs a session: a token can't call it"))
            }
            Self::AdministratorRequired => {
                Failure::new(ErrorKind::PermissionDenied, format!("{name} needs an administrator's session"))
            }
            Self::MissingPermission => {
                Failure::new(ErrorKind::MissingPermission, format!("the token lacks the permission {name}"))
                    .with("permission", name)
            }
        }
    }
}
