//! A gateway between its client, an authority and a service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use access::Credential;
use api_gateway::{Config, Gateway};
use lifecycle::Lifecycle;
use tempfile::TempDir;
use testkit::Metrics;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;

use crate::authority::Authority;
use crate::client::Client;
use crate::upstream::Upstream;

/// Longer than anything that succeeds takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) const STOP: &str = "/1.0/environment/control/rest/stopenv";
pub(crate) const START: &str = "/1.0/environment/control/rest/startenv";
pub(crate) const INFO: &str = "/1.0/environment/control/rest/getenvinfo";
pub(crate) const LIST: &str = "/1.0/environment/control/rest/getenvs";
pub(crate) const WATCH: &str = "/1.0/environment/control/rest/watchenvs";
pub(crate) const CREATE: &str = "/1.0/environment/control/rest/createenvironment";

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) authority: Authority,
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Lifecycle,
    /// What the operator sees of the gateway.
    pub(crate) metrics: Metrics,
    token_service: Server,
    environment_service: Server,
    _folder: TempDir,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    /// With another configuration than the default.
    pub(crate) async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        Self::with(Authority::new(), configure).await
    }

    /// Under a lease.
    pub(crate) async fn leased() -> Self {
        Self::leased_by(Authority::leasing()).await
    }

    /// The same, with an authority that has been at work before.
    pub(crate) async fn leased_by(authority: Authority) -> Self {
        Self::leased_with(authority, |_| {}).await
    }

    /// The same, with another configuration.
    pub(crate) async fn leased_with(authority: Authority, configure: impl FnOnce(&mut Config)) -> Self {
        let stage = Self::with(authority, configure).await;
        let leased = || async { stage.metrics.value("portcullis.lease.age", None).filter(|age| *age > 0.0) };
        testkit::eventually("the gateway's lease", LONG, leased).await;
        stage
    }

    async fn with(authority: Authority, configure: impl FnOnce(&mut Config)) -> Self {
        let upstream = Upstream::new();
        let token_service = Server::start(authority.server());
        let environment_service = Server::start(upstream.server(authority.key_ring()));
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("service.key");
        std::fs::write(&key_file, authority.service_key().expose()).unwrap();
        let upstreams = BTreeMap::from([
            ("token-service".to_owned(), format!("http://{}", token_service.address)),
            ("environment-service".to_owned(), format!("http://{}", environment_service.address)),
        ]);
        let mut config = Config::new(key_file, upstreams);
        config.listen = ([127, 0, 0, 1], 0).into();
        configure(&mut config);

        let lifecycle = Lifecycle::new();
        let metrics = Metrics::default();
        let gateway = Gateway::bind_with(config, &metrics.meter(), lifecycle.clone()).await.unwrap();
        let address = gateway.local_addr();
        drop(lifecycle.spawn("api-gateway", async move { gateway.serve().await.unwrap() }));
        Self {
            address,
            client: Client::new(&format!("http://{address}")),
            authority,
            upstream,
            gateway: lifecycle,
            metrics,
            token_service,
            environment_service,
            _folder: folder,
        }
    }

    /// A token that may stop environments.
    pub(crate) fn stopper(&self) -> String {
        self.authority.token(&["environment.control.StopEnv"])
    }

    pub(crate) async fn end_token_service(&mut self) {
        self.token_service.end().await;
    }

    pub(crate) async fn end_environment_service(&mut self) {
        self.environment_service.end().await;
    }

    /// Waits until as many calls have reached the service.
    pub(crate) async fn reached(&self, calls: usize) {
        let seen = || async { (self.upstream.reached().len() >= calls).then_some(()) };
        testkit::eventually(&format!("{calls} calls at the service"), LONG, seen).await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.gateway.abort();
    }
}

/// A service key that the authority does not know.
pub(crate) fn stranger() -> Credential {
    Credential::generate(access::CredentialKind::Service, &mut rand::rng())
}

/// A gRPC server that can end as a process does, with its connections.
struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves, with the health that the gateway looks at.
    fn start(router: Router) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let (reporter, health) = tonic_health::server::health_reporter();
            reporter.set_service_status("", ServingStatus::Serving).await;
            let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap());
            router.add_service(health).serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, runtime: Some(runtime) }
    }

    async fn end(&mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(LONG)).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
