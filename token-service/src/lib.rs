//! The authority: accounts, sessions and personal access tokens, and what each may do. It must not know what the methods
//! of the API do, nor how callers reach it.

mod audit;
mod config;
mod doctor;
mod domain;
mod grpc;
mod housekeeping;
mod lease;
mod password;
mod restored;
mod second_factor;
mod service;
mod signing_keys;
mod store;
mod webhook;

pub use audit::{AuditHead, AuditHeadError, AuditLogError, export_audit, verify_audit};
pub use config::{Config, ConfigError, ServiceKeyConfig, ThrottleConfig, WebhookConfig};
pub use doctor::doctor;
pub use domain::{Login, LoginError, NewAccount, NewPassword, PasswordError, Role};
pub use restored::{RestoredError, restored};
pub use second_factor::{SecondFactorKey, SecondFactorKeyError};
pub use service::{
    AdministerError, RunError, Service, create_account, has_accounts, migrate, reset_second_factor, set_password,
};
pub use signing_keys::{
    SHORTEST_LEAD, SealedKeyError, SigningKeyInfo, reset_signing_keys, rotate_signing_key, signing_keys,
};
