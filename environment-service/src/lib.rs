//! Environments, their lifecycle, and the drivers that really run them. It must not know what a token is, nor how callers
//! reach it: who may do what, it learns from grants alone.

mod config;
mod doctor;
mod domain;
mod driver;
mod grpc;
mod operation;
mod service;
mod store;
mod watching;

pub use config::{
    AccountRules, Config, ConfigError, DockerConfig, DriverName, Enforce, KubernetesConfig, KubernetesEnvironment,
    Limits, NodeLimits, OnShutdown,
};
pub use doctor::doctor;
pub use domain::{ImagePattern, VariablePattern};
pub use driver::{
    ComposeProject, DockerTemplate, KubernetesError, OpenError, Restart, ScanError, Template, TemplateError,
};
pub use operation::RecoverError;
pub use service::{ForgetError, MigrationError, RunError, Service, forget_authority, migrate, run};
