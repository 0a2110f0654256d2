use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// By what a listener for everybody is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// The certificate in PEM, and after it those between it and its authority's.
    pub certificate_file: PathBuf,
    /// Its private key in PEM.
    pub key_file: PathBuf,
}

/// By what a service is known to others, and whom it believes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MutualConfig {
    /// The certificate in PEM, and after it those between it and its authority's. It is shown to those who connect, and by this
    /// service when it connects.
    pub certificate_file: PathBuf,
    /// Its private key in PEM.
    pub key_file: PathBuf,
    /// The certificates of the authorities that are believed, in PEM: one, or several while one is replaced by another.
    pub ca_file: PathBuf,
    /// The names of the services that may connect: one of those in their certificate. Default: every one that has a certificate of
    /// these authorities.
    #[serde(default)]
    pub clients: Option<Vec<String>>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{key}: {} cannot be read", file.display())]
    Unreadable {
        /// The key of the configuration, within its section.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{key}: {} holds no {expected} in PEM", file.display())]
    Malformed {
        /// The key of the configuration, within its section.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The certificate is not one that can be used now.
    #[error("certificate_file: the certificate is {0}")]
    Certificate(String),
    /// The certificate and the key do not go together, or the authorities cannot be believed.
    #[error("the certificate, its key and the authorities do not go together")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl TlsError {
    pub(crate) fn rejected(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Rejected(error.into())
    }
}
