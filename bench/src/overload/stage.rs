use std::net::SocketAddr;

use anyhow::ensure;
use e2e::{Authority, Client, LOGIN};
use tempfile::TempDir;
use testkit::{ServiceProcess, TestDatabase, binary, free_port};
use tokio::net::TcpStream;

use super::load::Request;
use crate::hot_path::{Cores, GatewayConfig, Server, ready};

/// The environment that is looked at.
const ENVIRONMENT: &str = "my-project";

/// The three services on SQLite, with an environment of one process that runs.
pub(super) struct Stage {
    gateway: Option<Server>,
    environment: Option<ServiceProcess>,
    authority: Authority,
    session: String,
    folder: TempDir,
    databases: [TestDatabase; 2],
}

impl Stage {
    pub(super) async fn start(cores: Cores) -> anyhow::Result<Self> {
        let databases = [TestDatabase::sqlite(), TestDatabase::sqlite()];
        let mut authority = Authority::prepare(&databases[0].url).await;
        authority.create_account(LOGIN).await;
        authority.start_on(cores.servers).await;
        let session = authority.client().signin(LOGIN).await?.session;
        let folder = tempfile::tempdir()?;
        let mut stage = Self { gateway: None, environment: None, authority, session, folder, databases };
        let environment = stage.start_environment_service(cores).await?;
        stage.start_gateway(cores, &environment).await?;
        stage.create().await?;
        Ok(stage)
    }

    /// The call that is made.
    pub(super) fn request(&self) -> Request {
        let port = self.gateway.as_ref().map_or(0, |gateway| gateway.port);
        let text = format!(
            "GET /1.0/environment/control/rest/getenvinfo?envName={ENVIRONMENT} HTTP/1.1\r\nhost: x\r\n\
             authorization: Bearer {}\r\n\r\n",
            self.session
        );
        Request { address: SocketAddr::from(([127, 0, 0, 1], port)), text: text.into() }
    }

    async fn start_environment_service(&mut self, cores: Cores) -> anyhow::Result<String> {
        let (folder, port) = (self.folder.path(), free_port());
        let key = folder.join("executor.key");
        std::fs::write(&key, self.authority.executor_key())?;
        let config = format!(
            "listen = \"127.0.0.1:{port}\"\ndatabase_url = {:?}\nauthority_url = {:?}\nservice_key_file = {key:?}\n\
             data_dir = {:?}\n[node_limits]\nenforce = \"off\"\n\
             [[template]]\nname = \"sleeper\"\ncommand = [\"/bin/sleep\", \"1000\"]\n",
            self.databases[1].url,
            self.authority.url(),
            folder.join("nodes"),
        );
        let file = folder.join("environment-service.toml");
        std::fs::write(&file, config)?;
        let arguments = ["--config", &file.display().to_string()];
        e2e::run("environment-service", &[&arguments[..], &["migrate"]].concat(), "").await;
        let program = binary("environment-service");
        let process = ServiceProcess::start_on(cores.servers, &program, &arguments, &[]).await;
        process.ready(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        self.environment = Some(process);
        Ok(format!("http://127.0.0.1:{port}"))
    }

    async fn start_gateway(&mut self, cores: Cores, environment: &str) -> anyhow::Result<()> {
        let key = self.folder.path().join("gateway.key");
        std::fs::write(&key, self.authority.service_key())?;
        let config = GatewayConfig { authority: &self.authority.url(), environment, key: &key };
        let (port, file) = config.write(self.folder.path())?;
        let arguments = ["--config", &file.display().to_string()];
        let process = ServiceProcess::start_on(cores.servers, &binary("api-gateway"), &arguments, &[]).await;
        self.gateway = Some(ready(Server { process, port }).await?);
        Ok(())
    }

    async fn create(&self) -> anyhow::Result<()> {
        let Some(gateway) = &self.gateway else { return Ok(()) };
        let env = format!("{{\"shortdomain\":\"{ENVIRONMENT}\"}}");
        let form = [("session", self.session.as_str()), ("env", &env), ("nodes", "[{\"nodeType\":\"sleeper\"}]")];
        let client = Client::new(&gateway.url());
        let answer = client.post("/1.0/environment/control/rest/createenvironment", &form).await;
        ensure!(answer.result() == 0, "the environment was not made: {}", answer.body);
        Ok(())
    }
}

impl Drop for Stage {
    /// Nodes outlive their service by design, and must not outlive the measurement.
    fn drop(&mut self) {
        drop((self.gateway.take(), self.environment.take()));
        testkit::kill_processes_of(self.folder.path());
    }
}
