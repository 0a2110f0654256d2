use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use access::{Credential, CredentialKind, SigningKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{ServiceProcess, TestDatabase, binary, eventually, free_port, process_alive, processes_in_group};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::{Certificates, Client};

/// What the administrator signs in with.
pub const LOGIN: &str = "alice@example.org";
/// The administrator's password.
pub const PASSWORD: &str = "correct horse battery";

/// Nodes of a shell with a child, so that a stop has a group to end. They end by themselves if everything else fails.
const TEMPLATES: &str = r#"
# A service that is killed leaves its groups behind it.
[node_limits]
enforce = "off"

[[template]]
name = "worker"
variables = ["COLOUR"]
command = ["/bin/sh", "-c", "echo working; sleep 600 & wait"]

[[template]]
name = "container"
node_type = "docker"
port = true
variables = ["COLOUR", "SIZE", "ONLY"]
command = ["/bin/sh", "-c", "echo version $PORTCULLIS_TAG, colour $COLOUR; test \"$PORTCULLIS_TAG\" != broken && sleep 600 & wait $!"]

[[template]]
name = "stubborn"
command = ["/bin/sh", "-c", "trap '' TERM; echo deaf; for second in $(seq 600); do sleep 1; done"]

[[template]]
name = "short"
command = ["/bin/sh", "-c", "echo gone; exit 3"]
"#;

/// A service beside the three that may ask about credentials: its key is [`Stack::service_key`]'s.
pub const CLIENT_NAME: &str = "deploy-bot";

/// What is not as it is by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// Further keys in the environment-service's configuration.
    pub environment: &'a str,
    /// Further keys in the token-service's configuration.
    pub token: &'a str,
    /// Where all processes tell their telemetry, in the form of the configuration.
    pub otlp: &'a str,
    /// Whether all of them speak TLS, and know each other by certificates.
    pub tls: bool,
    /// Whether there is a second replica of the authority, on the same database.
    pub replicated: bool,
}

/// A running system of three processes.
pub struct Stack {
    /// The database engine, for the text of an assertion.
    pub engine: &'static str,
    /// Calls the gateway.
    pub client: Client,
    /// The gateway's process.
    pub gateway: Option<ServiceProcess>,
    /// The environment-service's process.
    pub environment: Option<ServiceProcess>,
    /// The token-service's process.
    pub token: Option<ServiceProcess>,
    /// Where the environment-service listens for gRPC.
    pub environment_url: String,
    /// Where the gateway listens.
    pub url: String,
    /// Where the token-service listens for gRPC, and its second replica.
    pub token_urls: Vec<String>,
    /// Where the services speak TLS.
    pub certificates: Option<Certificates>,
    /// The process of the authority's second replica.
    pub replica: Option<ServiceProcess>,
    folder: TempDir,
    databases: [TestDatabase; 2],
}

/// One on each engine.
pub async fn stacks() -> Vec<Stack> {
    let sqlite = Stack::start([TestDatabase::sqlite(), TestDatabase::sqlite()], "").await;
    vec![sqlite, Stack::start([TestDatabase::postgres(), TestDatabase::postgres()], "").await]
}

impl Stack {
    /// One on SQLite, for what has nothing to do with the engine.
    pub async fn sqlite() -> Self {
        Self::sqlite_with("").await
    }

    /// One on SQLite, with further keys in the environment-service's configuration.
    pub async fn sqlite_with(keys: &str) -> Self {
        Self::start([TestDatabase::sqlite(), TestDatabase::sqlite()], keys).await
    }

    /// One on PostgreSQL.
    pub async fn postgres_with(setting: Setting<'_>) -> Self {
        Self::start_as([TestDatabase::postgres(), TestDatabase::postgres()], setting).await
    }

    /// One on SQLite whose processes speak TLS.
    pub async fn secured() -> Self {
        let setting = Setting { tls: true, ..Setting::default() };
        Self::start_as([TestDatabase::sqlite(), TestDatabase::sqlite()], setting).await
    }

    /// One on SQLite whose processes tell a receiver of OTLP.
    pub async fn sqlite_told_to(receiver: &str) -> Self {
        let otlp = format!("otlp = {{ endpoint = {receiver:?}, metrics_interval = \"1s\" }}");
        let setting = Setting { otlp: &otlp, ..Setting::default() };
        Self::start_as([TestDatabase::sqlite(), TestDatabase::sqlite()], setting).await
    }

    async fn start(databases: [TestDatabase; 2], keys: &str) -> Self {
        Self::start_as(databases, Setting { environment: keys, ..Setting::default() }).await
    }

    async fn start_as(databases: [TestDatabase; 2], setting: Setting<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = if setting.tls { Some(Certificates::new(folder.path().join("certs")).await) } else { None };
        let scheme = if setting.tls { "https" } else { "http" };
        let listen = || format!("{scheme}://127.0.0.1:{}", free_port());
        let token_urls = (0..=usize::from(setting.replicated)).map(|_| listen()).collect();
        let (environment_url, url) = (listen(), listen());
        let client = match &certificates {
            None => Client::new(&url),
            Some(certificates) => Client::believing(&url, &certificates.authority(), usize::MAX),
        };
        let mut stack = Self {
            engine: databases[0].engine,
            client,
            gateway: None,
            environment: None,
            token: None,
            environment_url,
            url,
            token_urls,
            certificates,
            replica: None,
            folder,
            databases,
        };
        stack.write_configurations(setting);
        stack.prepare().await;
        stack.start_token_service().await;
        if setting.replicated {
            stack.replica = Some(stack.process("token-service-2").await);
        }
        stack.start_environment_service().await;
        stack.start_gateway().await;
        stack.ready().await;
        stack
    }

    /// Migrates the databases and makes the administrator, as an operator does.
    async fn prepare(&self) {
        run("token-service", &["--config", &self.config("token-service"), "migrate"], "").await;
        run("environment-service", &["--config", &self.config("environment-service"), "migrate"], "").await;
        let config = self.config("token-service");
        let create = ["--config", &config, "create-account", "--login", LOGIN, "--administrator"];
        run("token-service", &create, PASSWORD).await;
    }

    /// The configuration of a service.
    #[must_use]
    pub fn config(&self, service: &str) -> String {
        self.folder.path().join(format!("{service}.toml")).display().to_string()
    }

    /// Starts the token-service.
    pub async fn start_token_service(&mut self) {
        self.token = Some(self.process("token-service").await);
    }

    /// Starts the environment-service.
    pub async fn start_environment_service(&mut self) {
        self.environment = Some(self.process("environment-service").await);
    }

    /// Starts the gateway.
    pub async fn start_gateway(&mut self) {
        self.gateway = Some(self.process("api-gateway").await);
    }

    async fn process(&self, service: &str) -> ServiceProcess {
        let program = binary(service.trim_end_matches("-2"));
        ServiceProcess::start(&program, &["--config", &self.config(service)], &[]).await
    }

    /// Waits until a call can be served.
    pub async fn ready(&self) {
        let gateway = self.gateway.as_ref().expect("the gateway was started");
        gateway.ready(|| async { self.client.try_get("/readyz").await.is_ok_and(|answer| answer.status == 200) }).await;
    }

    /// The authority's signing key, for grants that it never made.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        let pem = std::fs::read_to_string(self.folder.path().join("signing-key.pem")).expect("it was written");
        SigningKey::from_pem(&pem).expect("it was written as PEM")
    }

    /// The key by which the authority knows a service.
    #[must_use]
    pub fn service_key(&self, service: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{service}.key"))).expect("it was written")
    }

    /// Signs the administrator in.
    pub async fn session(&self) -> String {
        self.signin(LOGIN).await
    }

    /// Signs an account in.
    pub async fn signin(&self, login: &str) -> String {
        let path = "/1.0/users/authentication/rest/signin";
        let answer = self.client.post(path, &[("login", login), ("password", PASSWORD)]).await.success();
        answer["session"].as_str().expect("a session").to_owned()
    }

    /// Makes a token for methods and answers its number and value.
    pub async fn token(&self, session: &str, api_list: &str) -> (i64, String) {
        self.token_with(session, api_list, &[]).await
    }

    /// Makes a token with further parameters and answers its number and value.
    pub async fn token_with(&self, session: &str, api_list: &str, more: &[(&str, &str)]) -> (i64, String) {
        let path = "/1.0/users/authentication/rest/createtoken";
        let mut form =
            vec![("session", session), ("password", PASSWORD), ("description", "test"), ("apiList", api_list)];
        form.extend(more);
        let answer = self.client.post(path, &form).await.success();
        let token = &answer["token"];
        (token["id"].as_i64().expect("a number"), token["key"].as_str().expect("a value").to_owned())
    }

    /// Makes an account, by an administrator's session. Its password is [`PASSWORD`], as the administrator's.
    pub async fn create_account(&self, administrator: &str, login: &str) -> Value {
        let form =
            [("session", administrator), ("login", login), ("accountPassword", PASSWORD), ("password", PASSWORD)];
        self.client.post("/1.0/users/account/rest/createaccount", &form).await.success()
    }

    /// Makes an environment of one node group.
    pub async fn create_environment(&self, session: &str, name: &str, template: &str, count: u32) -> Value {
        let env = json!({ "shortdomain": name }).to_string();
        let nodes = json!([{ "nodeType": template, "count": count }]).to_string();
        let path = "/1.0/environment/control/rest/createenvironment";
        let form = [("session", session), ("env", env.as_str()), ("nodes", nodes.as_str())];
        self.client.post(path, &form).await.success()
    }

    /// What is known of an environment.
    pub async fn info(&self, session: &str, name: &str) -> Value {
        let path = "/1.0/environment/control/rest/getenvinfo";
        self.client.post(path, &[("session", session), ("envName", name)]).await.success()
    }

    /// The processes of an environment's nodes, by the numbers in an answer that lists its nodes.
    #[must_use]
    pub fn node_processes(answer: &Value) -> Vec<u32> {
        let nodes = answer["nodes"].as_array().expect("nodes");
        let pids = nodes.iter().map(|node| node["ctid"].as_i64().expect("a process number"));
        pids.filter(|pid| *pid != 0).map(|pid| u32::try_from(pid).expect("a process number")).collect()
    }

    /// Everything that the three processes have logged.
    #[must_use]
    pub fn logs(&self) -> String {
        let services = [&self.gateway, &self.environment, &self.token, &self.replica];
        services.into_iter().flatten().map(ServiceProcess::log).collect()
    }
}

impl Drop for Stack {
    /// Nodes outlive their service by design, and must not outlive the test.
    fn drop(&mut self) {
        drop((self.gateway.take(), self.environment.take(), self.token.take(), self.replica.take()));
        testkit::kill_processes_of(self.folder.path());
    }
}

/// Waits until processes, and all in their groups, are gone.
pub async fn gone(pids: &[u32]) {
    eventually("the end of the nodes' processes", Duration::from_secs(10), async || {
        let gone = pids.iter().all(|pid| !process_alive(*pid) && processes_in_group(*pid).is_empty());
        gone.then_some(())
    })
    .await;
}

/// Runs a program of the workspace to its end, with one line on its standard input.
///
/// # Panics
/// Where it fails; the text holds what it said.
pub async fn run(program: &str, arguments: &[&str], line: &str) {
    let mut command = Command::new(binary(program));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(format!("{line}\n").as_bytes()).await.ok();
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Stack {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("the temporary folder can be written");
        path
    }

    fn write_configurations(&self, setting: Setting<'_>) {
        let key = || Credential::generate(CredentialKind::Service, &mut rand::rng());
        let (gateway_key, environment_key, client_key) = (key(), key(), key());
        let gateway_key_file = self.write("api-gateway.key", gateway_key.expose());
        let environment_key_file = self.write("environment-service.key", environment_key.expose());
        self.write(&format!("{CLIENT_NAME}.key"), client_key.expose());
        self.write_token_services([&gateway_key, &environment_key, &client_key], setting);
        self.write_environment_service(&environment_key_file, setting);
        self.write_gateway(&gateway_key_file, setting);
    }

    fn write_token_services(&self, [gateway_key, environment_key, client_key]: [&Credential; 3], setting: Setting<'_>) {
        let signing_key = self.write("signing-key.pem", &SigningKey::generate(&mut rand::rng()).to_pem());
        let factor_key = self.write("second-factor.key", &STANDARD.encode(rand::random::<[u8; 32]>()));
        let Setting { token: keys, otlp, .. } = setting;
        let tls = self.section("tls", "token-service", "");
        for (url, name) in self.token_urls.iter().zip(["token-service", "token-service-2"]) {
            let listen = listened(url);
            let text = format!(
                "listen = {listen:?}\ndatabase_url = \"{}\"\nsigning_key_file = {signing_key:?}\n\
                 second_factor_key_file = {factor_key:?}\n{keys}\n{tls}\n\
                 [telemetry]\nfilter = \"trace,h2=info,hyper=info,tower=info,sqlx=debug\"\n{otlp}\n\
                 [[service_keys]]\nname = \"api-gateway\"\nrole = \"gateway\"\nsha256 = \"{}\"\n\
                 [[service_keys]]\nname = \"environment-service\"\nrole = \"executor\"\nsha256 = \"{}\"\n\
                 [[service_keys]]\nname = \"{CLIENT_NAME}\"\nsha256 = \"{}\"\n",
                self.databases[0].url,
                gateway_key.hash(),
                environment_key.hash(),
                client_key.hash(),
            );
            self.write(&format!("{name}.toml"), &text);
        }
    }

    fn write_environment_service(&self, key_file: &Path, setting: Setting<'_>) {
        let Setting { environment: keys, otlp, .. } = setting;
        let tls = self.section("tls", "environment-service", "clients = [\"api-gateway\"]");
        let text = format!(
            "listen = {:?}\ndatabase_url = \"{}\"\nauthority_url = {:?}\n\
             service_key_file = {key_file:?}\ndata_dir = {:?}\nstop_grace = \"1s\"\n\
             {keys}\n{tls}\n\
             [telemetry]\nfilter = \"trace,h2=info,hyper=info,tower=info,sqlx=debug\"\n{otlp}\n{TEMPLATES}",
            listened(&self.environment_url),
            self.databases[1].url,
            self.token_urls,
            self.folder.path().join("nodes"),
        );
        self.write("environment-service.toml", &text);
    }

    fn write_gateway(&self, key_file: &Path, setting: Setting<'_>) {
        let listener = self.certificates.as_ref().map(|certificates| certificates.listener("api-gateway"));
        let text = format!(
            "listen = {:?}\nservice_key_file = {key_file:?}\nbody_timeout = \"1s\"\n\
             trusted_proxies = [\"127.0.0.0/8\"]\n{}\n{}\n\
             [telemetry]\nfilter = \"trace,h2=info,hyper=info,tower=info\"\n{}\n\
             [upstreams]\n\"token-service\" = {:?}\n\"environment-service\" = {:?}\n",
            listened(&self.url),
            listener.unwrap_or_default(),
            self.section("upstream_tls", "api-gateway", ""),
            setting.otlp,
            self.token_urls,
            self.environment_url,
        );
        self.write("api-gateway.toml", &text);
    }

    /// The section that names a service's certificate, where there are some.
    fn section(&self, section: &str, name: &str, more: &str) -> String {
        let certificates = self.certificates.as_ref();
        certificates.map(|certificates| certificates.section(section, name, more)).unwrap_or_default()
    }
}

/// The address in a URL.
fn listened(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, address)| address)
}
