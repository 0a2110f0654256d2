mod rates;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use access::{Credential, ServiceKeyFileError};
use ipnet::IpNet;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Addresses, LoadError};
use telemetry::TelemetryConfig;
use tls::{Certificates, ListenerConfig, MutualConfig, PlainTextError, TlsError};
use tonic::transport::Endpoint;
use url::Url;

use crate::service_url;

pub use rates::{RateLimit, RateLimits};

/// How the api-gateway runs: a TOML file, and over it the environment, `PORTCULLIS_API_GATEWAY__LISTEN` and so on (`__`
/// goes one level down).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens for HTTP. Default: `127.0.0.1:8080`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The certificate that it shows to those who call it, by HTTP/2 or HTTP/1.1. Not given: it listens without TLS, which it does on the
    /// loopback only, unless `allow_plaintext` says otherwise.
    #[serde(default)]
    pub tls: Option<ListenerConfig>,
    /// By what it is known to the services whose address says `https`. Default: none.
    #[serde(default)]
    pub upstream_tls: Option<MutualConfig>,
    /// Whether it may listen, and call services, without TLS elsewhere than on the loopback too. Default: no.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// The file that holds the key by which the token-service knows this gateway.
    pub service_key_file: PathBuf,
    /// Where each service is that executes methods: `"token-service" = "http://127.0.0.1:9001"`, `https://…` with `upstream_tls`, or a
    /// list of its replicas.
    #[schemars(with = "BTreeMap<String, settings::AddressesText>")]
    pub upstreams: BTreeMap<String, Addresses>,
    /// The largest body, in bytes: 1 KiB to 1 GiB. Default: 4 MiB.
    #[serde(default = "default_max_body_bytes")]
    pub max_body_bytes: usize,
    /// The largest parameter, in bytes: 256 to 1 GiB. Default: 64 KiB.
    #[serde(default = "default_max_parameter_bytes")]
    pub max_parameter_bytes: usize,
    /// How long a client may take to send the head of a request, or be silent between requests: 100 ms to 10 min.
    /// Default: 15 s.
    #[serde(default = "default_head_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub head_timeout: SignedDuration,
    /// How long a client may take to send a body: 100 ms to 10 min. Default: 30 s.
    #[serde(default = "default_body_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub body_timeout: SignedDuration,
    /// How long a client may take to read an answer, or 16 KiB of it: 100 ms to 10 min. Default: 30 s.
    #[serde(default = "default_answer_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub answer_timeout: SignedDuration,
    /// How long a connection of HTTP/2 may be without a call: 100 ms to 24 h. Default: 5 min.
    #[serde(default = "default_idle_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub idle_timeout: SignedDuration,
    /// How long the service that executes a call may take for it: 100 ms to 24 h. Default: 1 h.
    #[serde(default = "default_call_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub call_timeout: SignedDuration,
    /// How many calls are worked on at once; further ones are told to try again: 1 to 1,000,000. Default: 4096.
    #[serde(default = "default_max_calls")]
    pub max_calls: usize,
    /// How many calls of methods that only read may wait at a service that cannot keep up; further ones are told to try again: 1 to
    /// 1,000,000. Default: 64.
    #[serde(default = "default_max_waiting_calls")]
    pub max_waiting_calls: usize,
    /// How many connections are open at once: 1 to 1,000,000. Default: 10000.
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
    /// How many of them an address may have, of IPv6 its /64, unless it is a trusted proxy's: 1 to 1,000,000. Default: 1000.
    #[serde(default = "default_max_connections_per_address")]
    pub max_connections_per_address: usize,
    /// How many calls a connection of HTTP/2 has at once: 1 to 10,000. Default: 100.
    #[serde(default = "default_max_calls_per_connection")]
    pub max_calls_per_connection: u32,
    /// How many streams of events are open at once; further ones are told to try again: 1 to 1,000,000. Default: 1024.
    #[serde(default = "default_max_streams")]
    pub max_streams: usize,
    /// After how long without an event a stream says that it lives: 10 ms to 10 min. Default: 15 s.
    #[serde(default = "default_stream_keep_alive", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub stream_keep_alive: SignedDuration,
    /// The networks of the proxies in front, in CIDR notation: only they are believed about a caller's address
    /// (`X-Forwarded-For`). Default: none.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// The gateway's address as its clients know it, `https://api.example.org`: the issuer of RFC 8414. Default:
    /// `http://`, or `https://` with `tls`, and the address that it listens on.
    #[serde(default)]
    pub public_url: Option<String>,
    /// How long the token-service may take to say what a credential is worth: 100 ms to 1 min. Default: 5 s.
    #[serde(default = "default_introspection_timeout", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub introspection_timeout: SignedDuration,
    /// How long a call waits for a service of which no replica takes connections, as while it is started anew: 0 s to 1 min.
    /// Default: 3 s.
    #[serde(default = "default_restart_patience", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub restart_patience: SignedDuration,
    /// How long connections are still taken after the gateway was told to end, while `/readyz` answers 503 and each answer asks
    /// its client to connect anew: whoever shares calls out finds other gateways meanwhile. 0 s to 5 min. Default: 0 s.
    #[serde(default, deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
    pub drain_delay: SignedDuration,
    /// Of how many credentials answers are remembered: 1 to 10,000,000. Default: 200,000.
    #[serde(default = "default_remembered_credentials")]
    pub remembered_credentials: usize,
    /// How many bytes that may take, about: 64 KiB to 64 GiB. Default: 80 MiB.
    #[serde(default = "default_remembered_bytes")]
    pub remembered_bytes: u64,
    /// How often calls may come.
    #[serde(default)]
    pub rate_limits: RateLimits,
    /// Logging.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_max_body_bytes() -> usize {
    4 * 1024 * 1024
}

fn default_max_parameter_bytes() -> usize {
    64 * 1024
}

fn default_head_timeout() -> SignedDuration {
    SignedDuration::from_secs(15)
}

fn default_body_timeout() -> SignedDuration {
    SignedDuration::from_secs(30)
}

fn default_answer_timeout() -> SignedDuration {
    SignedDuration::from_secs(30)
}

fn default_idle_timeout() -> SignedDuration {
    SignedDuration::from_mins(5)
}

fn default_call_timeout() -> SignedDuration {
    SignedDuration::from_hours(1)
}

fn default_max_calls() -> usize {
    4096
}

fn default_max_waiting_calls() -> usize {
    64
}

fn default_max_connections() -> usize {
    10_000
}

fn default_max_connections_per_address() -> usize {
    1000
}

fn default_max_calls_per_connection() -> u32 {
    100
}

fn default_max_streams() -> usize {
    1024
}

fn default_stream_keep_alive() -> SignedDuration {
    SignedDuration::from_secs(15)
}

fn default_remembered_credentials() -> usize {
    200_000
}

fn default_remembered_bytes() -> u64 {
    80 << 20
}

fn default_restart_patience() -> SignedDuration {
    SignedDuration::from_secs(3)
}

fn default_introspection_timeout() -> SignedDuration {
    SignedDuration::from_secs(5)
}

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
    /// It would speak plain text where others can read along.
    #[error(transparent)]
    PlainText(#[from] PlainTextError),
    /// The certificates cannot be used.
    #[error("{section}")]
    Tls {
        /// Which of them.
        section: &'static str,
        /// What is wrong.
        source: TlsError,
    },
    /// A service that executes methods has no address.
    #[error("upstreams: {0:?} is missing")]
    MissingUpstream(String),
    /// An address is of no service.
    #[error("upstreams: {0:?} is no service that executes methods")]
    UnknownUpstream(String),
    /// An address is none.
    #[error("upstreams: {0:?} must be an address like http://127.0.0.1:9001")]
    Upstream(String),
    /// The gateway's own address is none.
    #[error("public_url must be an address like https://api.example.org, without a path")]
    PublicUrl,
    /// The service key cannot be read.
    #[error("service_key_file")]
    ServiceKey(#[from] ServiceKeyFileError),
}

impl Config {
    /// The defaults, with all that has none.
    #[must_use]
    pub fn new(service_key_file: PathBuf, upstreams: BTreeMap<String, String>) -> Self {
        let upstreams = upstreams.into_iter().map(|(service, addresses)| (service, addresses.into())).collect();
        Self {
            listen: default_listen(),
            tls: None,
            upstream_tls: None,
            allow_plaintext: false,
            service_key_file,
            upstreams,
            max_body_bytes: default_max_body_bytes(),
            max_parameter_bytes: default_max_parameter_bytes(),
            head_timeout: default_head_timeout(),
            body_timeout: default_body_timeout(),
            answer_timeout: default_answer_timeout(),
            idle_timeout: default_idle_timeout(),
            call_timeout: default_call_timeout(),
            max_calls: default_max_calls(),
            max_waiting_calls: default_max_waiting_calls(),
            max_connections: default_max_connections(),
            max_connections_per_address: default_max_connections_per_address(),
            max_calls_per_connection: default_max_calls_per_connection(),
            max_streams: default_max_streams(),
            stream_keep_alive: default_stream_keep_alive(),
            trusted_proxies: Vec::new(),
            public_url: None,
            introspection_timeout: default_introspection_timeout(),
            restart_patience: default_restart_patience(),
            drain_delay: SignedDuration::ZERO,
            remembered_credentials: default_remembered_credentials(),
            remembered_bytes: default_remembered_bytes(),
            rate_limits: RateLimits::default(),
            telemetry: TelemetryConfig::default(),
        }
    }

    /// Reads a file and the environment.
    ///
    /// # Errors
    /// Where a key is unknown or missing, or a value is not what it may be; the error names the key.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let config: Self = settings::load(file, "PORTCULLIS_API_GATEWAY__")?;
        config.validate()?;
        Ok(config)
    }

    /// Looks whether each value is what it may be, and whether each service has its address.
    ///
    /// # Errors
    /// Names the first key whose value is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let range = |fits: bool, key, allowed| if fits { Ok(()) } else { Err(ConfigError::Range { key, allowed }) };
        if let Some((key, allowed)) = self.telemetry.flaw() {
            return Err(ConfigError::Range { key, allowed });
        }
        range((1024..=1 << 30).contains(&self.max_body_bytes), "max_body_bytes", "1 KiB to 1 GiB")?;
        range((256..=1 << 30).contains(&self.max_parameter_bytes), "max_parameter_bytes", "256 to 1 GiB")?;
        let client = SignedDuration::from_millis(100)..=SignedDuration::from_mins(10);
        range(client.contains(&self.head_timeout), "head_timeout", "100 ms to 10 min")?;
        range(client.contains(&self.body_timeout), "body_timeout", "100 ms to 10 min")?;
        range(client.contains(&self.answer_timeout), "answer_timeout", "100 ms to 10 min")?;
        let day = SignedDuration::from_millis(100)..=SignedDuration::from_hours(24);
        range(day.contains(&self.idle_timeout), "idle_timeout", "100 ms to 24 h")?;
        range(day.contains(&self.call_timeout), "call_timeout", "100 ms to 24 h")?;
        range((1..=1_000_000).contains(&self.max_calls), "max_calls", "1 to 1,000,000")?;
        range((1..=1_000_000).contains(&self.max_waiting_calls), "max_waiting_calls", "1 to 1,000,000")?;
        range((1..=1_000_000).contains(&self.max_connections), "max_connections", "1 to 1,000,000")?;
        let per_address = (1..=1_000_000).contains(&self.max_connections_per_address);
        range(per_address, "max_connections_per_address", "1 to 1,000,000")?;
        let per_connection = (1..=10_000).contains(&self.max_calls_per_connection);
        range(per_connection, "max_calls_per_connection", "1 to 10,000")?;
        range((1..=1_000_000).contains(&self.max_streams), "max_streams", "1 to 1,000,000")?;
        let alive = SignedDuration::from_millis(10)..=SignedDuration::from_mins(10);
        range(alive.contains(&self.stream_keep_alive), "stream_keep_alive", "10 ms to 10 min")?;
        let timeout = SignedDuration::from_millis(100)..=SignedDuration::from_mins(1);
        range(timeout.contains(&self.introspection_timeout), "introspection_timeout", "100 ms to 1 min")?;
        let restart = SignedDuration::ZERO..=SignedDuration::from_mins(1);
        range(restart.contains(&self.restart_patience), "restart_patience", "0 s to 1 min")?;
        let delay = SignedDuration::ZERO..=SignedDuration::from_mins(5);
        range(delay.contains(&self.drain_delay), "drain_delay", "0 s to 5 min")?;
        let remembered = (1..=10_000_000).contains(&self.remembered_credentials);
        range(remembered, "remembered_credentials", "1 to 10,000,000")?;
        range((64 << 10..=64 << 30).contains(&self.remembered_bytes), "remembered_bytes", "64 KiB to 64 GiB")?;
        self.rate_limits.validate()?;
        self.issuer(self.listen)?;
        tls::may_listen("listen", self.listen, self.tls.is_some(), self.allow_plaintext)?;
        if self.upstream_tls.as_ref().is_some_and(|tls| tls.clients.is_some()) {
            return Err(ConfigError::Range { key: "upstream_tls.clients", allowed: "left out: nobody connects there" });
        }
        let section = ("upstream_tls", self.upstream_tls.is_some());
        for (name, endpoints) in self.endpoints()? {
            let key = format!("upstreams: {name:?}");
            for endpoint in endpoints {
                // Whoever has a certificate for the services calls none of them without it.
                tls::may_connect(&key, endpoint.uri(), section, self.allow_plaintext && self.upstream_tls.is_none())?;
            }
        }
        Ok(())
    }

    /// The addresses of each service that executes methods.
    pub(crate) fn endpoints(&self) -> Result<BTreeMap<&'static str, Vec<Endpoint>>, ConfigError> {
        let audiences = proto::catalog().audiences();
        if let Some(unknown) = self.upstreams.keys().find(|name| !audiences.contains(name.as_str())) {
            return Err(ConfigError::UnknownUpstream(unknown.clone()));
        }
        let endpoints = audiences.into_iter().map(|audience| {
            let missing = || ConfigError::MissingUpstream(audience.to_owned());
            let urls = self.upstreams.get(audience).filter(|urls| !urls.is_empty()).ok_or_else(missing)?;
            let endpoints: Option<Vec<Endpoint>> = urls.iter().map(service_url::endpoint).collect();
            Ok((audience, endpoints.ok_or_else(|| ConfigError::Upstream(audience.to_owned()))?))
        });
        endpoints.collect()
    }

    /// Looks, besides, whether the files that it names hold what they should. Nothing is started, and nobody asked.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        self.service_key()?;
        self.certificates()?;
        self.upstream_certificates().map(drop)
    }

    /// What it shows to those who call it, where it speaks TLS with them.
    pub(crate) fn certificates(&self) -> Result<Option<Certificates>, ConfigError> {
        let certificates = self.tls.as_ref().map(Certificates::of_listener).transpose();
        certificates.map_err(|source| ConfigError::Tls { section: "tls", source })
    }

    /// By what it is known to the services, where it speaks TLS with them.
    pub(crate) fn upstream_certificates(&self) -> Result<Option<Certificates>, ConfigError> {
        let certificates = self.upstream_tls.as_ref().map(Certificates::mutual).transpose();
        certificates.map_err(|source| ConfigError::Tls { section: "upstream_tls", source })
    }

    /// The limits that calls meet, by their keys, as people read them.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, String)> {
        let rates = self.rate_limits.all().into_iter().map(|(key, limit)| (key, limit.to_string()));
        let numbers = [
            ("max_calls", self.max_calls),
            ("max_waiting_calls", self.max_waiting_calls),
            ("max_connections", self.max_connections),
            ("max_connections_per_address", self.max_connections_per_address),
            ("max_calls_per_connection", self.max_calls_per_connection as usize),
            ("max_streams", self.max_streams),
            ("max_body_bytes", self.max_body_bytes),
            ("max_parameter_bytes", self.max_parameter_bytes),
        ];
        let times = [
            ("head_timeout", self.head_timeout),
            ("body_timeout", self.body_timeout),
            ("answer_timeout", self.answer_timeout),
            ("idle_timeout", self.idle_timeout),
            ("call_timeout", self.call_timeout),
        ];
        let times = times.into_iter().map(|(key, time)| (key, format!("{time:#}")));
        rates.chain(numbers.map(|(key, number)| (key, number.to_string()))).chain(times)
    }

    /// The gateway's address as its clients know it, without a slash at its end. Never what a request says of it.
    pub(crate) fn issuer(&self, listening: SocketAddr) -> Result<String, ConfigError> {
        let Some(text) = &self.public_url else {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            return Ok(format!("{scheme}://{listening}"));
        };
        let url = Url::parse(text).map_err(|_| ConfigError::PublicUrl)?;
        let origin = url.origin().ascii_serialization();
        // Nothing but scheme, host and port.
        let plain = url.as_str().strip_suffix('/') == Some(origin.as_str());
        if plain && matches!(url.scheme(), "http" | "https") { Ok(origin) } else { Err(ConfigError::PublicUrl) }
    }

    /// The key by which the authority knows this gateway.
    pub(crate) fn service_key(&self) -> Result<Credential, ConfigError> {
        Ok(Credential::read_service_key(&self.service_key_file)?)
    }
}

#[cfg(test)]
mod tests;
