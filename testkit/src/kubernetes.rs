mod certificates;
mod objects;
mod settle;
mod setup;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::workplace::Workplace;
use crate::{eventually, process_alive};

pub use setup::KubernetesSetup;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user who may do everything.
const ADMIN: &str = "admin";

/// A private Kubernetes: an API server with its etcd and, where it was asked for, the controllers that make replica sets and pods
/// of deployments. There are no nodes: nothing runs, a pod is what the API says of it, see [`KubernetesApi::settle`]. It ends
/// when this is dropped, or with the test process.
pub struct KubernetesApi {
    workplace: Workplace,
    port: u16,
    /// Names and tokens.
    users: Vec<(String, String)>,
    /// The API server's process.
    pid: u32,
}

impl KubernetesApi {
    /// Starts a server alone: what is written to it is kept, and nobody acts on it. Pods need no service accounts then, and the
    /// roles `admin`, `edit` and `view`, which a controller puts together, allow nothing.
    ///
    /// # Panics
    /// Where Kubernetes is not installed or does not start.
    pub async fn start() -> Self {
        Self::setup().start().await
    }

    /// Starts a server and the controllers.
    ///
    /// # Panics
    /// Where Kubernetes is not installed or does not start.
    pub async fn with_controllers() -> Self {
        Self::setup().controllers().start().await
    }

    /// A server that is still to be started.
    #[must_use]
    pub fn setup() -> KubernetesSetup {
        KubernetesSetup::default()
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.workplace.folder()
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that has signed the server's, in PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder().join("ca.crt")
    }

    /// The token of a user who may do everything.
    ///
    /// # Panics
    /// Never: there always is one.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        self.token(ADMIN)
    }

    /// The token of a user of the setup.
    ///
    /// # Panics
    /// Where there was no such user in the setup.
    #[must_use]
    pub fn token(&self, user: &str) -> &str {
        let found = self.users.iter().find(|(name, _)| name == user);
        &found.unwrap_or_else(|| panic!("the server was set up without the user {user}")).1
    }

    /// A configuration file, as clients read it, for the bearer of a token: of a user, of a service account, or of nobody.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        let known = self.users.iter().position(|(_, own)| own == token);
        let name = known.map_or_else(|| "other".to_owned(), |user| format!("user-{user}"));
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "test",
                "cluster": { "server": self.url(), "certificate-authority": self.ca_file() },
            }],
            "users": [{ "name": name, "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": name } }],
            "current-context": "test",
        });
        // JSON is YAML.
        self.workplace.write(&format!("{name}.kubeconfig"), config.to_string())
    }

    /// A client for the bearer of a token.
    ///
    /// # Panics
    /// Where the configuration cannot be written.
    pub async fn client(&self, token: &str) -> Client {
        let config = Kubeconfig::read_from(self.kubeconfig(token)).expect("our own file");
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("our own file")).expect("a plain configuration")
    }

    /// All that a part has written: `server`, `etcd`, or `controllers`.
    #[must_use]
    pub fn log(&self, part: &str) -> String {
        self.workplace.log(part)
    }

    /// Kills the API server (SIGKILL), and waits for its end. Its etcd stays, and the controllers wait for its return.
    ///
    /// # Panics
    /// Where it cannot be done.
    pub fn kill(&mut self) {
        self.workplace.stop("server");
    }

    /// Starts the API server again, on the same port and with what it has kept, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn restart(&mut self) {
        self.pid = self.workplace.start("server");
        self.ready().await;
    }

    async fn ready(&self) {
        let client = self.client(self.admin_token()).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new()).expect("a plain request");
            if client.request_text(request).await.is_ok() {
                return;
            }
            let logs = || format!("{}\n{}", self.log("etcd"), self.log("server"));
            assert!(process_alive(self.pid), "the API server ended:\n{}", logs());
            assert!(Instant::now() < deadline, "the API server does not answer:\n{}", logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The controllers have begun when they have made the first account: pods are refused before.
    async fn controllers_ready(&self) {
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client(self.admin_token()).await);
        eventually("the service account of the default namespace", PATIENCE, async || {
            accounts.get("default").await.ok()?.secrets
        })
        .await;
    }
}
