mod docker;
mod kubernetes;
mod node_limits;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::{Credential, ServiceKeyFileError};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Addresses, LoadError};
use storage::DatabaseUrl;
use telemetry::TelemetryConfig;
use tls::{Certificates, MutualConfig, PlainTextError, TlsError};
use tonic::transport::Endpoint;

pub use docker::DockerConfig;
pub use kubernetes::{KubernetesConfig, KubernetesEnvironment};
pub use node_limits::{Enforce, NodeLimits};

use crate::domain::Policies;
use crate::driver::{Template, TemplateError};

mod account;

pub use account::{AccountRules, DriverName, Limits};

/// How the environment-service runs: a TOML file, and over it the environment,
/// `PORTCULLIS_ENVIRONMENT_SERVICE__DATABASE_URL` and so on (`__` goes one level down).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens for gRPC. Default: `127.0.0.1:9002`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// By what it is known to the other services: to those that connect, which have to show a certificate then, and to the authority,
    /// where its address says `https`. Not given: it listens without TLS, which it does on the loopback only, unless `allow_plaintext`
    /// says otherwise.
    #[serde(default)]
    pub tls: Option<MutualConfig>,
    /// Whether it may listen, and call the authority, without TLS elsewhere than on the loopback too. Default: no.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// Its database: `sqlite:///var/lib/portcullis/environment.db` or `postgres://…`, which can stand in a file: `{ file = "…" }`.
    #[serde(deserialize_with = "settings::text_or_file")]
    #[schemars(with = "settings::TextOrFileText")]
    pub database_url: DatabaseUrl,
    /// Where the token-service is: `http://127.0.0.1:9001`, `https://…` with `tls`, or a list of its replicas.
    #[schemars(with = "settings::AddressesText")]
    pub authority_url: Addresses,
    /// The file that holds the key by which the token-service knows this service.
    pub service_key_file: PathBuf,
    /// The folder for the nodes' own folders and logs. One service at a time uses it.
    pub data_dir: PathBuf,
    /// How long a node may take to end before it is killed: 0 s to 10 min. Default: 10 s.
    #[serde(default = "default_stop_grace", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub stop_grace: SignedDuration,
    /// How long a node that was launched has to run before it counts as started: 0 s to 1 min. Default: 200 ms. It makes
    /// every start as much longer, and one that fails within it is told to the caller.
    #[serde(default = "default_start_settle", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub start_settle: SignedDuration,
    /// What becomes of running environments when the service stops: `keep` or `stop`. Default: `keep`.
    #[serde(default)]
    pub on_shutdown: OnShutdown,
    /// The programs that callers may have run in nodes that are processes (`ExecCmdById`), by the names that they call them by. They
    /// run as this service's own user. Default: none.
    #[serde(default)]
    pub exec_commands: Vec<String>,
    /// How large a log of a node that is a process may become before it is put aside: 64 KiB to 1 GiB. Default: 10 MiB.
    #[serde(default = "default_node_log_bytes")]
    pub node_log_bytes: u64,
    /// How many logs that were put aside are kept: 0 to 100. Default: 3.
    #[serde(default = "default_node_log_files")]
    pub node_log_files: u32,
    /// How nodes that are processes are held to their cloudlets.
    #[serde(default)]
    pub node_limits: NodeLimits,
    /// The drivers that accounts may use, those of them that are configured: the first that can run a new environment runs it.
    /// Default: `["process", "docker", "kubernetes"]`.
    #[serde(default = "account::all_drivers")]
    pub drivers: Vec<DriverName>,
    /// How much each account may have.
    #[serde(default)]
    pub limits: Limits,
    /// What single accounts may.
    #[serde(default, rename = "account")]
    pub accounts: Vec<AccountRules>,
    /// What nodes can run.
    #[serde(default, rename = "template")]
    pub templates: Vec<Template>,
    /// The Docker engine. Default: none, and nothing is run in containers.
    #[serde(default)]
    pub docker: Option<DockerConfig>,
    /// The Kubernetes cluster that nodes can run in. Default: none.
    #[serde(default)]
    pub kubernetes: Option<KubernetesConfig>,
    /// How many streams of `WatchEnvs` an account may have at once: 1 to 10,000. Default: 32.
    #[serde(default = "default_watchers_per_account")]
    pub watchers_per_account: usize,
    /// Logging.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// What becomes of running environments when the service stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnShutdown {
    /// They keep running, and the next start finds them.
    #[default]
    Keep,
    /// They are stopped, and the next start starts them again.
    Stop,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9002))
}

fn default_stop_grace() -> SignedDuration {
    SignedDuration::from_secs(10)
}

fn default_start_settle() -> SignedDuration {
    SignedDuration::from_millis(200)
}

fn default_node_log_bytes() -> u64 {
    10 << 20
}

fn default_node_log_files() -> u32 {
    3
}

fn default_watchers_per_account() -> usize {
    32
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file and the environment cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A value is not what it may be.
    #[error("{key} must be {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// A template cannot be run.
    #[error("template {name:?}")]
    Template {
        /// Its name.
        name: String,
        /// What is wrong.
        source: TemplateError,
    },
    /// Two templates have one name.
    #[error("template {0:?} is there twice")]
    TemplateTwice(String),
    /// A value of a list or of a section is not what it may be.
    #[error("{key} {problem}")]
    Item {
        /// The key, with the number of the item: `kubernetes.environment[0].name`.
        key: String,
        /// What is wrong, to be read after the key.
        problem: String,
    },
    /// It would speak plain text where others can read along.
    #[error(transparent)]
    PlainText(#[from] PlainTextError),
    /// The certificates cannot be used.
    #[error("tls")]
    Tls(#[from] TlsError),
    /// The service key cannot be read.
    #[error("service_key_file")]
    ServiceKey(#[from] ServiceKeyFileError),
}

/// How long one of the authority's replicas may take to be connected to.
const CONNECT: Duration = Duration::from_secs(1);

fn endpoint(url: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned()).ok()?;
    let uri = endpoint.uri();
    let fits = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    fits.then(|| endpoint.connect_timeout(CONNECT))
}

impl ConfigError {
    pub(crate) const AUTHORITY_URL: Self = Self::Value {
        key: "authority_url",
        allowed: "an address like http://127.0.0.1:9001 or https://token.example.org:9001",
    };
}

impl Config {
    /// The defaults, with all that has none.
    #[must_use]
    pub fn new(database_url: DatabaseUrl, authority_url: String, service_key_file: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            listen: default_listen(),
            tls: None,
            allow_plaintext: false,
            database_url,
            authority_url: authority_url.into(),
            service_key_file,
            data_dir,
            stop_grace: default_stop_grace(),
            start_settle: default_start_settle(),
            on_shutdown: OnShutdown::default(),
            exec_commands: Vec::new(),
            node_log_bytes: default_node_log_bytes(),
            node_log_files: default_node_log_files(),
            node_limits: NodeLimits::default(),
            drivers: account::all_drivers(),
            limits: Limits::default(),
            accounts: Vec::new(),
            templates: Vec::new(),
            docker: None,
            kubernetes: None,
            watchers_per_account: default_watchers_per_account(),
            telemetry: TelemetryConfig::default(),
        }
    }

    /// Reads a file and the environment.
    ///
    /// # Errors
    /// Where a key is unknown or missing, or a value is not what it may be; the error names the key.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let config: Self = settings::load(file, "PORTCULLIS_ENVIRONMENT_SERVICE__")?;
        config.validate()?;
        Ok(config)
    }

    /// Looks whether each value is what it may be.
    ///
    /// # Errors
    /// Names the first key whose value is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let value = |fits: bool, key, allowed| if fits { Ok(()) } else { Err(ConfigError::Value { key, allowed }) };
        if let Some((key, allowed)) = self.telemetry.flaw() {
            return Err(ConfigError::Value { key, allowed });
        }
        let (tls, allowed) = (self.tls.is_some(), self.allow_plaintext);
        tls::may_listen("listen", self.listen, tls, allowed)?;
        for endpoint in self.authority()? {
            // Whoever has a certificate calls nobody without it.
            tls::may_connect("authority_url", endpoint.uri(), ("tls", tls), allowed && !tls)?;
        }
        self.policies()?;
        value(!self.data_dir.as_os_str().is_empty(), "data_dir", "a folder")?;
        let grace = SignedDuration::ZERO..=SignedDuration::from_mins(10);
        value(grace.contains(&self.stop_grace), "stop_grace", "0 s to 10 min")?;
        let settle = SignedDuration::ZERO..=SignedDuration::from_mins(1);
        value(settle.contains(&self.start_settle), "start_settle", "0 s to 1 min")?;
        value((64 << 10..=1 << 30).contains(&self.node_log_bytes), "node_log_bytes", "64 KiB to 1 GiB")?;
        value(self.node_log_files <= 100, "node_log_files", "0 to 100")?;
        self.node_limits.validate()?;
        value((1..=10_000).contains(&self.watchers_per_account), "watchers_per_account", "1 to 10,000")?;
        let mut names = HashSet::new();
        for template in &self.templates {
            let name = template.name.clone();
            template.validate().map_err(|source| ConfigError::Template { name, source })?;
            if !names.insert(template.name.clone()) {
                return Err(ConfigError::TemplateTwice(template.name.clone()));
            }
        }
        if let Some(docker) = &self.docker {
            docker.validate(&mut names)?;
        }
        self.kubernetes.as_ref().map_or(Ok(()), KubernetesConfig::validate)
    }

    /// What each account may.
    pub(crate) fn policies(&self) -> Result<Policies, ConfigError> {
        account::policies(&self.drivers, self.limits, &self.accounts)
    }

    /// By what it is known to the other services, where it speaks TLS with them.
    pub(crate) fn certificates(&self) -> Result<Option<Certificates>, ConfigError> {
        Ok(self.tls.as_ref().map(Certificates::mutual).transpose()?)
    }

    /// Where the authority's replicas are.
    pub(crate) fn authority(&self) -> Result<Vec<Endpoint>, ConfigError> {
        let endpoints: Option<Vec<Endpoint>> = self.authority_url.iter().map(endpoint).collect();
        endpoints.filter(|endpoints| !endpoints.is_empty()).ok_or(ConfigError::AUTHORITY_URL)
    }

    /// Looks, besides, whether the files that it names hold what they should. Nothing is started, and nobody asked.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        self.service_key()?;
        self.certificates().map(drop)
    }

    pub(crate) fn stop_grace(&self) -> Duration {
        self.stop_grace.unsigned_abs()
    }

    pub(crate) fn start_settle(&self) -> Duration {
        self.start_settle.unsigned_abs()
    }

    /// The key by which the authority knows this service.
    pub(crate) fn service_key(&self) -> Result<Credential, ConfigError> {
        Ok(Credential::read_service_key(&self.service_key_file)?)
    }
}

#[cfg(test)]
mod tests;
