use std::path::PathBuf;

use access::{ServiceKeyError, SigningKeyError};
use settings::LoadError;
use tls::{PlainTextError, TlsError};

use crate::second_factor::SecondFactorKeyError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file and the environment cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A value is out of its range.
    #[error("{key} must be {allowed}")]
    Range {
        /// The key.
        key: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// It would listen in plain text where others can read along.
    #[error(transparent)]
    PlainText(#[from] PlainTextError),
    /// The certificates cannot be used.
    #[error("tls")]
    Tls(#[from] TlsError),
    /// A service's hash is none.
    #[error("service_keys: sha256 of {name:?}")]
    ServiceKey {
        /// The service's name.
        name: String,
        /// What is wrong.
        source: ServiceKeyError,
    },
    /// Two services have one key: as which of them would it count?
    #[error("service_keys: {first:?} and {second:?} have the same sha256")]
    SameServiceKey {
        /// One service's name.
        first: String,
        /// The other's.
        second: String,
    },
    /// The signing key cannot be read.
    #[error("signing_key_file: {} cannot be read", file.display())]
    SigningKeyFile {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The key of second factors cannot be read.
    #[error("second_factor_key_file: {} cannot be read", file.display())]
    SecondFactorKeyFile {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The key of second factors is none.
    #[error("second_factor_key_file: {}", file.display())]
    SecondFactorKey {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: SecondFactorKeyError,
    },
    /// The webhook's secret cannot be read.
    #[error("webhook.secret_file: {} cannot be read", file.display())]
    WebhookSecretFile {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The webhook cannot be called.
    #[error("webhook: {problem}")]
    Webhook {
        /// What is wrong.
        problem: String,
    },
    /// The signing key is none.
    #[error("signing_key_file: {}", file.display())]
    SigningKey {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: SigningKeyError,
    },
}
