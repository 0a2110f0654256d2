//! Environments, their lifecycle, and the drivers that really run them. It must not know what a token is, nor how callers
//! reach it: who may do what, it learns from grants alone.

mod config;
mod domain;
#[allow(dead_code, reason = "the drivers for Docker and Kubernetes, which use the rest of it, are on their way")]
mod driver;
mod grpc;
mod operation;
mod service;
mod store;
mod watching;

pub use config::{AccountRules, Config, ConfigError, DriverName, Limits, OnShutdown};
pub use driver::{OpenError, Restart, ScanError, Template, TemplateError};
pub use operation::RecoverError;
pub use service::{MigrationError, RunError, Service, migrate, run};
