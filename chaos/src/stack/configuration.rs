use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::{Credential, CredentialKind, SigningKey};

use super::{AUTHORITIES, GATEWAYS, Links, Ports, Service};

/// What the environments run. They are stopped at once: a call only looks at them.
const TEMPLATES: &str = "[node_limits]\nenforce = \"off\"\n[[template]]\nname = \"worker\"\ncommand = [\"/bin/sh\", \"-c\", \"sleep 600 & wait\"]\n";

/// What the services are told.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether holders are told of every replica of the authority, or each of one.
    pub several_authorities: bool,
    /// How long the authority's leases are.
    pub lease: Duration,
    /// Whether the environment-service logs each call that it admits.
    pub log_admissions: bool,
    /// Whether the ways between services go through the proxies that break them.
    pub proxied: bool,
}

impl Shape {
    /// For runs without faults: a lease is as long as the authority's own default.
    pub const UNDISTURBED: Self =
        Self { several_authorities: true, lease: Duration::from_secs(3), log_admissions: false, proxied: true };
    /// For a renewal of everything: a service that is not there takes no connections, which a proxy before it would hide.
    pub const DIRECT: Self = Self { proxied: false, ..Self::UNDISTURBED };
}

impl Default for Shape {
    /// A lease is shorter than the authority's own default: so there are more faults of several leases in the same time.
    fn default() -> Self {
        Self { several_authorities: true, lease: Duration::from_secs(1), log_admissions: false, proxied: true }
    }
}

/// Writes the configuration of every process, and answers the service key of the test itself.
pub(super) fn write(folder: &Path, databases: [&str; 2], ports: &Ports, links: &Links, shape: Shape) -> Credential {
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the temporary folder can be written");
        path
    };
    let mut service_keys = String::new();
    let mut key = |name: &str, role: &str| {
        let key = Credential::generate(CredentialKind::Service, &mut rand::rng());
        let _ = writeln!(
            service_keys,
            "[[service_keys]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{}\"",
            key.hash()
        );
        key
    };
    let own = key("chaos", "client");
    let ways = Ways { ports, links, shape };
    for number in 0..GATEWAYS {
        let service = Service::Gateway(number);
        let key = file(&format!("{service}.key"), key(&service.to_string(), "gateway").expose());
        let config = format!(
            "listen = \"127.0.0.1:{}\"\nservice_key_file = {key:?}\ndrain_delay = \"2s\"\n[telemetry]\nfilter = \"warn\"\n\
             [upstreams]\n\"token-service\" = {}\n\"environment-service\" = \"{}\"\n",
            ports.of(service),
            ways.authorities(service, number),
            ways.to(service, Service::Environment),
        );
        file(&format!("{service}.toml"), &config);
    }
    let key_file = file("environment-service.key", key("environment-service", "executor").expose());
    let filter = if shape.log_admissions { "warn,access=debug" } else { "warn" };
    let config = format!(
        "listen = \"127.0.0.1:{}\"\ndatabase_url = \"{}\"\nauthority_url = {}\nservice_key_file = {key_file:?}\n\
         data_dir = {:?}\nstop_grace = \"1s\"\n[telemetry]\nfilter = \"{filter}\"\nformat = \"json\"\n{TEMPLATES}",
        ports.of(Service::Environment),
        databases[1],
        ways.authorities(Service::Environment, GATEWAYS),
        folder.join("nodes"),
    );
    file("environment-service.toml", &config);
    let signing_key = file("signing-key.pem", &SigningKey::generate(&mut rand::rng()).to_pem());
    let lease = shape.lease.as_millis();
    for number in 0..AUTHORITIES {
        let service = Service::Authority(number);
        let config = format!(
            "listen = \"127.0.0.1:{}\"\ndatabase_url = \"{}\"\nsigning_key_file = {signing_key:?}\n\
             session_idle_lifetime = \"24h\"\ntokens_per_account = 100000\n\
             lease_duration = \"{lease}ms\"\n[telemetry]\nfilter = \"warn\"\n{service_keys}",
            ports.of(service),
            databases[0],
        );
        file(&format!("{service}.toml"), &config);
    }
    own
}

/// How services reach each other.
struct Ways<'a> {
    ports: &'a Ports,
    links: &'a Links,
    shape: Shape,
}

impl Ways<'_> {
    fn to(&self, from: Service, to: Service) -> String {
        let direct = || format!("http://127.0.0.1:{}", self.ports.of(to));
        if self.shape.proxied { self.links.between(from, to).url() } else { direct() }
    }

    /// A string where there is one address, an array where there are several. Each holder begins with another one.
    fn authorities(&self, holder: Service, first: usize) -> String {
        let url = |number| format!("\"{}\"", self.to(holder, Service::Authority(number)));
        let mut urls: Vec<String> = (0..AUTHORITIES).map(url).collect();
        urls.rotate_left(first % AUTHORITIES);
        if self.shape.several_authorities { format!("[{}]", urls.join(", ")) } else { urls.swap_remove(0) }
    }
}
