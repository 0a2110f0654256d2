//! Who may call what: credentials, permissions, grants, the decision, and the layer that enforces it in front of each
//! handler. It knows neither HTTP parameters nor any storage, and no method by name.

mod confinement;
mod credential;
mod decision;
mod grant;
mod handle;
mod identity;
mod layer;
pub mod lease;
mod origin;
mod permission;
mod permit;
mod replicas;
mod server;
mod service_key;
mod standing;

pub use confinement::{Confinement, EnvironmentPattern, EnvironmentPatternError};
pub use credential::{Credential, CredentialError, CredentialHash, CredentialKind};
pub use decision::{Denied, Rights, decide, decide_service};
pub use grant::{
    Claims, GRANT_HEADER, GrantError, KeyError, KeyRing, MalformedClaims, SigningKey, SigningKeyError, VerifyingKey,
};
pub use handle::{Answers, Guarded, Handle, HandleAnswers, HandleStream};
pub use identity::{AccountId, CredentialId, GrantedKind, Revision};
pub use layer::{AccessLayer, AccessService};
pub use origin::{GATEWAY_KEY_HEADER, ORIGIN_HEADER, Origin};
pub use permission::{PermissionBits, PermissionSet};
pub use permit::{AccountPermit, AdministratorPermit, NoPermit, PublicPermit, ServicePermit, SessionPermit};
pub use replicas::{Replicas, is_outage};
pub use server::server;
pub use service_key::{ServiceKey, ServiceKeyError, ServiceKeyFileError, ServiceKeys};
