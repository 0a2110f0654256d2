use std::path::Path;

use e2e::{Authority, AuthorityClient, LOGIN, with_grant};
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::{
    CreateEnvironmentRequest, DeleteEnvRequest, EnvironmentSpec, GetEnvsRequest, NodeSpec, StartEnvRequest,
    StopEnvRequest,
};
use tempfile::TempDir;
use testkit::{ServiceProcess, TestDatabase, binary, free_port};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// An environment-service on SQLite with an authority, called by gRPC as the gateway calls it.
pub(super) struct Stage {
    service: Option<ServiceProcess>,
    client: ControlClient<Channel>,
    authority_client: AuthorityClient,
    session: String,
    _authority: Authority,
    folder: TempDir,
    _databases: [TestDatabase; 2],
}

impl Stage {
    /// The defaults, and these keys.
    pub(super) async fn start(keys: &str) -> anyhow::Result<Self> {
        let databases = [TestDatabase::sqlite(), TestDatabase::sqlite()];
        let mut authority = Authority::prepare(&databases[0].url).await;
        authority.create_account(LOGIN).await;
        authority.start().await;
        let folder = tempfile::tempdir()?;
        let port = free_port();
        let config = configuration(folder.path(), &databases[1].url, port, &authority, keys)?;
        e2e::run("environment-service", &["--config", &config, "migrate"], "").await;
        let service = ServiceProcess::start(&binary("environment-service"), &["--config", &config], &[]).await;
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.tcp_nodelay(true).connect_lazy();
        let health = HealthClient::new(channel.clone());
        let ready = async || {
            let answer = health.clone().check(HealthCheckRequest { service: String::new() }).await;
            answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
        };
        service.ready(ready).await;
        let mut authority_client = authority.client();
        let session = authority_client.signin(LOGIN).await?.session;
        Ok(Self {
            service: Some(service),
            client: ControlClient::new(channel),
            authority_client,
            session,
            _authority: authority,
            folder,
            _databases: databases,
        })
    }

    /// A request with a grant of now.
    async fn granted<T>(&self, message: T) -> anyhow::Result<Request<T>> {
        let grant = self.authority_client.clone().grant_for(&self.session, "environment-service").await?;
        Ok(with_grant(&grant, message))
    }

    /// Makes an environment of one node, which runs.
    pub(super) async fn create(&self, name: &str, template: &str) -> anyhow::Result<()> {
        let node = NodeSpec { node_type: template.to_owned(), ..NodeSpec::default() };
        let env = EnvironmentSpec { shortdomain: name.to_owned(), ..EnvironmentSpec::default() };
        let request = CreateEnvironmentRequest { env: Some(env), nodes: vec![node], env_groups: Vec::new() };
        self.client.clone().create_environment(self.granted(request).await?).await?;
        Ok(())
    }

    /// Ends an environment and removes it.
    pub(super) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let request = DeleteEnvRequest { env_name: name.to_owned(), password: None };
        self.client.clone().delete_env(self.granted(request).await?).await?;
        Ok(())
    }

    /// A start that can be sent.
    pub(super) async fn start_request(&self, name: &str) -> anyhow::Result<Request<StartEnvRequest>> {
        self.granted(StartEnvRequest { env_name: name.to_owned() }).await
    }

    /// A stop that can be sent.
    pub(super) async fn stop_request(&self, name: &str) -> anyhow::Result<Request<StopEnvRequest>> {
        self.granted(StopEnvRequest { env_name: name.to_owned() }).await
    }

    /// A look at all that can be sent.
    pub(super) async fn list_request(&self) -> anyhow::Result<Request<GetEnvsRequest>> {
        self.granted(GetEnvsRequest::default()).await
    }

    /// The service's process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.service.as_ref().map(ServiceProcess::pid)
    }

    /// A client of the service.
    pub(super) fn client(&self) -> ControlClient<Channel> {
        self.client.clone()
    }
}

impl Drop for Stage {
    /// Nodes outlive their service by design, and must not outlive the measurement.
    fn drop(&mut self) {
        drop(self.service.take());
        testkit::kill_processes_of(self.folder.path());
    }
}

fn configuration(
    folder: &Path,
    database: &str,
    port: u16,
    authority: &Authority,
    keys: &str,
) -> anyhow::Result<String> {
    let key = folder.join("service.key");
    std::fs::write(&key, authority.executor_key())?;
    let text = format!(
        "listen = \"127.0.0.1:{port}\"\ndatabase_url = {database:?}\nauthority_url = {:?}\nservice_key_file = {key:?}\n\
         data_dir = {:?}\n{keys}",
        authority.url(),
        folder.join("nodes"),
    );
    let file = folder.join("environment-service.toml");
    std::fs::write(&file, text)?;
    Ok(file.display().to_string())
}
