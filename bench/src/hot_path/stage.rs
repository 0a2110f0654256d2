//! The processes that are measured, each with its default configuration, all on one core.

use std::path::{Path, PathBuf};

use anyhow::Context;
use e2e::{Authority, Client};
use prost::Message;
use proto::token::v1::IntrospectResponse;
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::Method;
use tempfile::TempDir;
use testkit::{ServiceProcess, TestDatabase, binary, free_port};
use tokio::net::TcpStream;

use super::cores::Cores;
use crate::population::{Size, populate};

/// The call that is measured, as REST has it.
pub(super) const PATH: &str = "/1.0/environment/control/rest/stopenv?envName=my-project";

/// What answers it, where it succeeds.
pub(super) const ANSWER: &str = r#"{"result":0}"#;

/// As many tokens as all parts use, each for one purpose: 130,000.
const SIZE: Size = Size { accounts: 1300, tokens_per_account: 100, kept: usize::MAX };

/// An authority on SQLite with its tokens, and a service behind it that does nothing.
pub(super) struct Stage {
    pub(super) cores: Cores,
    pub(super) authority: Authority,
    pub(super) no_op: Server,
    pub(super) echo: Server,
    tokens: Vec<String>,
    folder: TempDir,
    _database: TestDatabase,
}

/// A process that listens.
pub(crate) struct Server {
    pub(crate) process: ServiceProcess,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it takes connections.
    pub(crate) async fn listens(self) -> Self {
        self.process.ready(async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()).await;
        self
    }
}

impl Stage {
    pub(super) async fn start(cores: Cores) -> anyhow::Result<Self> {
        let database = TestDatabase::sqlite();
        let mut authority = Authority::prepare(&database.url).await;
        let mut population = populate(&database.url, SIZE, &mut StdRng::seed_from_u64(1)).await?;
        authority.start_on(cores.servers).await;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("service.key"), authority.service_key())?;

        let token = population.tokens.pop().context("tokens were written")?;
        let answer = authority.client().introspect(&token).await?;
        let echo = start_echo(cores, folder.path(), &answer).await?;
        let no_op = yardstick(cores, &["no-op"]).await;
        Ok(Self { cores, authority, no_op, echo, tokens: population.tokens, folder, _database: database })
    }

    /// So many tokens that nobody has used yet, and nobody else gets.
    pub(super) fn fresh_tokens(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        let rest = self.tokens.len().checked_sub(count).context("the population is too small")?;
        Ok(self.tokens.split_off(rest))
    }

    pub(super) async fn yardstick(&self, arguments: &[&str]) -> Server {
        yardstick(self.cores, arguments).await
    }

    /// Where files of the run can be.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) async fn gateway(&self) -> anyhow::Result<Server> {
        let config = GatewayConfig {
            authority: &self.authority.url(),
            environment: &self.no_op.url(),
            key: &self.folder().join("service.key"),
        };
        let (port, file) = config.write(self.folder())?;
        let arguments = ["--config", &file.display().to_string()];
        let process = ServiceProcess::start_on(self.cores.servers, &binary("api-gateway"), &arguments, &[]).await;
        ready(Server { process, port }).await
    }

    /// Whoever has to be told of a change before it is confirmed: as many gateways, ready to serve.
    pub(super) async fn start_holders(&self, count: usize) -> anyhow::Result<Vec<Server>> {
        let mut holders = Vec::with_capacity(count);
        for _ in 0..count {
            holders.push(self.gateway().await?);
        }
        Ok(holders)
    }
}

/// What a gateway has to be told, with the defaults for all else. Its rate limits count, but no load meets them.
pub(crate) struct GatewayConfig<'a> {
    pub(crate) authority: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) key: &'a Path,
}

impl GatewayConfig<'_> {
    /// The port that it is to listen on, and the file.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<(u16, PathBuf)> {
        let (Self { authority, environment, key }, port) = (self, free_port());
        let file = folder.join(format!("api-gateway-{port}.toml"));
        let config = format!(
            "listen = \"127.0.0.1:{port}\"\nservice_key_file = {key:?}\n\
             [rate_limits]\ntoken = {{ calls = 1000000 }}\naccount = {{ calls = 1000000 }}\naddress = {{ calls = 1000000 }}\n\
             [upstreams]\n\"token-service\" = {authority:?}\n\"environment-service\" = {environment:?}\n",
        );
        std::fs::write(&file, config)?;
        Ok((port, file))
    }
}

/// Waits until a gateway says that a call can be served.
pub(crate) async fn ready(gateway: Server) -> anyhow::Result<Server> {
    let gateway = gateway.listens().await;
    let client = Client::new(&gateway.url());
    gateway.process.ready(async || client.get("/readyz").await.status == 200).await;
    Ok(gateway)
}

/// The answer of a gateway to the call that is measured, under a token.
pub(super) async fn call(client: &Client, token: &str) -> String {
    client.send(client.request(Method::GET, PATH).bearer_auth(token)).await.body
}

async fn start_echo(cores: Cores, folder: &Path, answer: &IntrospectResponse) -> anyhow::Result<Server> {
    let file = folder.join("introspected.bin");
    std::fs::write(&file, answer.encode_to_vec())?;
    Ok(yardstick(cores, &["echo", "--answer", &file.display().to_string()]).await)
}

async fn yardstick(cores: Cores, arguments: &[&str]) -> Server {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let arguments = [&["--listen", listen.as_str()], arguments].concat();
    let process = ServiceProcess::start_on(cores.servers, &binary("yardstick"), &arguments, &[]).await;
    Server { process, port }.listens().await
}
