mod error;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use access::{CredentialHash, ServiceKey, ServiceKeys, SigningKey};
use jiff::SignedDuration;
use proto::catalog::ServiceRole;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use storage::DatabaseUrl;
use telemetry::TelemetryConfig;
use tls::{Certificates, MutualConfig};
use url::Url;

use crate::domain::{Allowance, PasswordRules, Throttle};
use crate::second_factor::SecondFactorKey;
use crate::store::DEFAULT_SESSION_IDLE_LIFETIME;
use crate::webhook::Webhook;

pub use error::ConfigError;

/// How the token-service runs: a TOML file, and over it the environment, `PORTCULLIS_TOKEN_SERVICE__DATABASE_URL` and so
/// on (`__` goes one level down).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens for gRPC. Default: `127.0.0.1:9001`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// By what it is known to the other services, which have to show a certificate then. Not given: it listens without TLS, which it
    /// does on the loopback only, unless `allow_plaintext` says otherwise.
    #[serde(default)]
    pub tls: Option<MutualConfig>,
    /// Whether it may listen without TLS elsewhere than on the loopback too. Default: no.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// Its database: `sqlite:///var/lib/portcullis/token.db` or `postgres://…`, which can stand in a file: `{ file = "…" }`.
    #[serde(deserialize_with = "settings::text_or_file")]
    #[schemars(with = "settings::TextOrFileText")]
    pub database_url: DatabaseUrl,
    /// The Ed25519 key that signs grants: PKCS #8 PEM, as `portcullis signing-key` writes it.
    pub signing_key_file: PathBuf,
    /// The services that may ask, by the hashes of their keys.
    #[serde(default)]
    pub service_keys: Vec<ServiceKeyConfig>,
    /// How long a grant can be used: 1 s to 10 min. Default: 60 s.
    #[serde(default = "default_grant_lifetime", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub grant_lifetime: SignedDuration,
    /// How long a lease lasts: 500 ms to 60 s. So long a revocation waits at most for a gateway or service that does not
    /// answer; and so long those serve at most without the authority. The same for every replica. Default: 3 s.
    #[serde(default = "default_lease_duration", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub lease_duration: SignedDuration,
    /// How long a session lives: 1 min to 365 days. Default: 24 h.
    #[serde(default = "default_session_lifetime", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub session_lifetime: SignedDuration,
    /// How long a session lives without a call: from `grant_lifetime`, at least 1 min, to 365 days. Default: 1 h.
    #[serde(default = "default_session_idle_lifetime", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub session_idle_lifetime: SignedDuration,
    /// How many sessions an account may have: 1 to 1,000. One more ends the one that was used longest ago. Default: 100.
    #[serde(default = "default_sessions_per_account")]
    pub sessions_per_account: u32,
    /// How many tokens an account may hold: 1 to 100,000. Default: 100.
    #[serde(default = "default_tokens_per_account")]
    pub tokens_per_account: u32,
    /// How long before its expiry a token is said to expire soon: 0 s to 365 days. Default: 7 days (`168h`).
    #[serde(default = "default_expiry_notice", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub expiry_notice: SignedDuration,
    /// How many characters a new password has at least: 8 to 64. Default: 12.
    #[serde(default = "default_password_shortest")]
    pub password_shortest: usize,
    /// How many passwords are verified at once, 19 MiB each: 1 to 64. Default: half as many as there
    /// are cores, 1 to 4, so that others find one that is free.
    #[serde(default = "default_passwords_at_once")]
    pub passwords_at_once: usize,
    /// The key under which the secrets of second factors are sealed: 32 bytes in base64, as `portcullis second-factor-key`
    /// writes them. Not given: nobody can turn a second factor on, and codes of those that are on cannot be verified.
    #[serde(default)]
    pub second_factor_key_file: Option<PathBuf>,
    /// What authenticators call this installation: 1 to 64 characters, no colon. Default: `Portcullis`.
    #[serde(default = "default_second_factor_issuer")]
    pub second_factor_issuer: String,
    /// How guessing is slowed down.
    #[serde(default)]
    pub throttle: ThrottleConfig,
    /// What is told of tokens that expire soon, and of values that were reported to be known to others. Default: nothing.
    #[serde(default)]
    pub webhook: Option<WebhookConfig>,
    /// Logging.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// What is told of tokens that expire soon, and of values that were reported to be known to others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where messages go by POST, in the form of Standard Webhooks: `https://…`.
    #[schemars(with = "String")]
    pub url: Url,
    /// The file that holds the secret by which messages are signed: `whsec_` and 24 to 64 bytes in base64.
    pub secret_file: PathBuf,
}

/// How guessing is slowed down: after the free tries each wrong one costs a wait, of 1 s at first, that doubles.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleConfig {
    /// How many wrong tries at an account in a row cost no wait: 0 to 100. One is forgotten each hour, all of them with the
    /// right password. Default: 10.
    pub account_free: u32,
    /// How long the wait gets at most: 1 s to 1 h. Default: 60 s.
    #[serde(deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub account_longest: SignedDuration,
    /// How long the wait gets at most for the codes of a second factor: 1 s to 24 h. Default: 15 min.
    #[serde(deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub code_longest: SignedDuration,
    /// How many wrong tries from an address (of IPv6: from its /64) cost no wait: 0 to 100,000. One is forgotten each five
    /// minutes. Default: 100.
    pub address_free: u32,
    /// How long the wait gets at most: 1 s to 24 h. Default: 15 min.
    #[serde(deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub address_longest: SignedDuration,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            account_free: 10,
            account_longest: SignedDuration::from_secs(60),
            code_longest: SignedDuration::from_mins(15),
            address_free: 100,
            address_longest: SignedDuration::from_mins(15),
        }
    }
}

impl From<ThrottleConfig> for Throttle {
    fn from(config: ThrottleConfig) -> Self {
        let allowance = |free, longest, recovery| Allowance { free, longest, recovery };
        Self {
            account: allowance(config.account_free, config.account_longest, SignedDuration::from_hours(1)),
            address: allowance(config.address_free, config.address_longest, SignedDuration::from_mins(5)),
            code: allowance(config.account_free, config.code_longest, SignedDuration::from_hours(1)),
        }
    }
}

/// A service that may ask the authority.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceKeyConfig {
    /// What it is called in logs.
    pub name: String,
    /// What it is, and so what it may ask: `gateway`, `executor` (it executes methods) or `client` (it asks about credentials
    /// that it is shown, and ends them). Default: `client`, which may do the least.
    #[serde(default = "default_role", deserialize_with = "role")]
    #[schemars(with = "String")]
    pub role: ServiceRole,
    /// SHA-256 of its key in hexadecimal, as `portcullis service-key` prints it. It can stand in a file: `{ file = "…" }`.
    #[serde(deserialize_with = "settings::text_or_file")]
    pub sha256: String,
}

fn default_role() -> ServiceRole {
    ServiceRole::Client
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServiceRole, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|error| D::Error::custom(format!("role {error}")))
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9001))
}

fn default_grant_lifetime() -> SignedDuration {
    SignedDuration::from_secs(60)
}

fn default_lease_duration() -> SignedDuration {
    SignedDuration::from_secs(3)
}

fn default_session_lifetime() -> SignedDuration {
    SignedDuration::from_hours(24)
}

fn default_session_idle_lifetime() -> SignedDuration {
    DEFAULT_SESSION_IDLE_LIFETIME
}

fn default_sessions_per_account() -> u32 {
    100
}

fn default_tokens_per_account() -> u32 {
    100
}

fn default_expiry_notice() -> SignedDuration {
    SignedDuration::from_hours(7 * 24)
}

fn default_password_shortest() -> usize {
    12
}

fn default_passwords_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 4))
}

fn default_second_factor_issuer() -> String {
    "Portcullis".to_owned()
}

impl Config {
    /// The defaults, on a database and with a signing key.
    #[must_use]
    pub fn new(database_url: DatabaseUrl, signing_key_file: PathBuf) -> Self {
        Self {
            listen: default_listen(),
            tls: None,
            allow_plaintext: false,
            database_url,
            signing_key_file,
            service_keys: Vec::new(),
            grant_lifetime: default_grant_lifetime(),
            lease_duration: default_lease_duration(),
            session_lifetime: default_session_lifetime(),
            session_idle_lifetime: default_session_idle_lifetime(),
            sessions_per_account: default_sessions_per_account(),
            tokens_per_account: default_tokens_per_account(),
            expiry_notice: default_expiry_notice(),
            password_shortest: default_password_shortest(),
            passwords_at_once: default_passwords_at_once(),
            second_factor_key_file: None,
            second_factor_issuer: default_second_factor_issuer(),
            throttle: ThrottleConfig::default(),
            webhook: None,
            telemetry: TelemetryConfig::default(),
        }
    }

    /// Reads a file and the environment.
    ///
    /// # Errors
    /// Where a key is unknown or missing, or a value is not what it may be; the error names the key.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let config: Self = settings::load(file, "PORTCULLIS_TOKEN_SERVICE__")?;
        config.validate()?;
        Ok(config)
    }

    /// Looks whether each value is in its range.
    ///
    /// # Errors
    /// Names the first key whose value is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let range = |fits: bool, key, allowed| if fits { Ok(()) } else { Err(ConfigError::Range { key, allowed }) };
        if let Some((key, allowed)) = self.telemetry.flaw() {
            return Err(ConfigError::Range { key, allowed });
        }
        tls::may_listen("listen", self.listen, self.tls.is_some(), self.allow_plaintext)?;
        let grant = (SignedDuration::from_secs(1)..=SignedDuration::from_mins(10)).contains(&self.grant_lifetime);
        range(grant, "grant_lifetime", "1 s to 10 min")?;
        let lease = (SignedDuration::from_millis(500)..=SignedDuration::from_secs(60)).contains(&self.lease_duration);
        range(lease, "lease_duration", "500 ms to 60 s")?;
        let longest = SignedDuration::from_hours(24 * 365);
        let session = (SignedDuration::from_mins(1)..=longest).contains(&self.session_lifetime);
        range(session, "session_lifetime", "1 min to 365 days")?;
        let idle =
            (SignedDuration::from_mins(1).max(self.grant_lifetime)..=longest).contains(&self.session_idle_lifetime);
        range(idle, "session_idle_lifetime", "1 min to 365 days, and not less than grant_lifetime")?;
        range((1..=1000).contains(&self.sessions_per_account), "sessions_per_account", "1 to 1,000")?;
        range((1..=100_000).contains(&self.tokens_per_account), "tokens_per_account", "1 to 100,000")?;
        let notice = (SignedDuration::ZERO..=longest).contains(&self.expiry_notice);
        range(notice, "expiry_notice", "0 s to 365 days")?;
        let web = self.webhook.as_ref().is_none_or(|webhook| matches!(webhook.url.scheme(), "http" | "https"));
        range(web, "webhook.url", "an address of http or https")?;
        range((8..=64).contains(&self.password_shortest), "password_shortest", "8 to 64")?;
        range((1..=64).contains(&self.passwords_at_once), "passwords_at_once", "1 to 64")?;
        let issuer = &self.second_factor_issuer;
        let label = (1..=64).contains(&issuer.chars().count()) && !issuer.contains(':');
        range(label, "second_factor_issuer", "1 to 64 characters without a colon")?;
        self.validate_throttle()?;
        self.service_keys().map(drop)
    }

    fn validate_throttle(&self) -> Result<(), ConfigError> {
        let range = |fits: bool, key, allowed| if fits { Ok(()) } else { Err(ConfigError::Range { key, allowed }) };
        let ThrottleConfig { account_free, account_longest, code_longest, address_free, address_longest } =
            self.throttle;
        let second = SignedDuration::from_secs(1);
        range(account_free <= 100, "throttle.account_free", "0 to 100")?;
        range(address_free <= 100_000, "throttle.address_free", "0 to 100,000")?;
        let account = (second..=SignedDuration::from_hours(1)).contains(&account_longest);
        range(account, "throttle.account_longest", "1 s to 1 h")?;
        let address = (second..=SignedDuration::from_hours(24)).contains(&address_longest);
        range(address, "throttle.address_longest", "1 s to 24 h")?;
        let code = (second..=SignedDuration::from_hours(24)).contains(&code_longest);
        range(code, "throttle.code_longest", "1 s to 24 h")
    }

    /// Looks, besides, whether the files that it names hold what they should. Nothing is started, and nobody asked.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        self.signing_key()?;
        self.second_factor_key()?;
        self.service_keys()?;
        self.webhook()?;
        self.certificates()?;
        Ok(())
    }

    /// By what it is known to the other services, where it speaks TLS with them.
    pub(crate) fn certificates(&self) -> Result<Option<Certificates>, ConfigError> {
        Ok(self.tls.as_ref().map(Certificates::mutual).transpose()?)
    }

    /// What passwords have to be.
    pub(crate) fn password_rules(&self) -> PasswordRules {
        PasswordRules { shortest: self.password_shortest }
    }

    pub(crate) fn service_keys(&self) -> Result<ServiceKeys, ConfigError> {
        let mut keys: Vec<ServiceKey> = Vec::new();
        for ServiceKeyConfig { name, role, sha256 } in &self.service_keys {
            let hash: CredentialHash =
                sha256.parse().map_err(|source| ConfigError::ServiceKey { name: name.clone(), source })?;
            if let Some(known) = keys.iter().find(|known| known.hash == hash) {
                return Err(ConfigError::SameServiceKey { first: known.name.clone(), second: name.clone() });
            }
            keys.push(ServiceKey { name: name.clone(), role: *role, hash });
        }
        Ok(ServiceKeys::new(keys))
    }

    /// The webhook, where there is one.
    pub(crate) fn webhook(&self) -> Result<Option<Webhook>, ConfigError> {
        let Some(WebhookConfig { url, secret_file: file }) = &self.webhook else { return Ok(None) };
        let secret = settings::read_secret(file)
            .map_err(|source| ConfigError::WebhookSecretFile { file: file.clone(), source })?;
        let webhook = Webhook::new(url.clone(), &secret, self.expiry_notice);
        webhook.map(Some).map_err(|error| ConfigError::Webhook { problem: error.to_string() })
    }

    /// The key of second factors, where there is one.
    pub(crate) fn second_factor_key(&self) -> Result<Option<SecondFactorKey>, ConfigError> {
        let Some(file) = self.second_factor_key_file.clone() else { return Ok(None) };
        let text = settings::read_secret(&file)
            .map_err(|source| ConfigError::SecondFactorKeyFile { file: file.clone(), source })?;
        let key = SecondFactorKey::from_base64(&text);
        key.map(Some).map_err(|source| ConfigError::SecondFactorKey { file, source })
    }

    pub(crate) fn signing_key(&self) -> Result<SigningKey, ConfigError> {
        let file = self.signing_key_file.clone();
        let pem = settings::read_secret(&file)
            .map_err(|source| ConfigError::SigningKeyFile { file: file.clone(), source })?;
        SigningKey::from_pem(&pem).map_err(|source| ConfigError::SigningKey { file, source })
    }
}

#[cfg(test)]
mod tests;
