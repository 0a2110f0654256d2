//! The processes, and the links between them.

mod configuration;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use access::Credential;
use anyhow::Context;
use rand::RngExt;
use tempfile::TempDir;
use testkit::{Postgres, ServiceProcess, TestDatabase, binary, eventually};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

pub use configuration::Shape;

use crate::admission;
use crate::api::http;
use crate::history::Admission;
pub(crate) use crate::proxy::{Link, Weather};

/// How many gateways there are.
pub(crate) const GATEWAYS: usize = 3;

/// How many replicas of the authority there are.
pub(crate) const AUTHORITIES: usize = 2;

/// How long the whole may take to be ready after a fault.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long one question about that may take.
const PROBE: Duration = Duration::from_secs(5);

/// One of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Gateway(usize),
    Environment,
    Authority(usize),
}

impl Service {
    pub(crate) const ALL: [Self; GATEWAYS + 1 + AUTHORITIES] = [
        Self::Authority(0),
        Self::Authority(1),
        Self::Environment,
        Self::Gateway(0),
        Self::Gateway(1),
        Self::Gateway(2),
    ];

    fn index(self) -> usize {
        Self::ALL.iter().position(|service| *service == self).expect("all of them are in the list")
    }

    fn program(self) -> &'static str {
        match self {
            Self::Gateway(_) => "api-gateway",
            Self::Environment => "environment-service",
            Self::Authority(_) => "token-service",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(number) | Self::Authority(number) => write!(f, "{}-{number}", self.program()),
            Self::Environment => f.write_str(self.program()),
        }
    }
}

/// Where each process listens.
pub(crate) struct Ports([u16; Service::ALL.len()]);

impl Ports {
    fn of(&self, service: Service) -> u16 {
        self.0[service.index()]
    }
}

/// One proxy for each service that reaches another.
pub(crate) struct Links {
    gateway_to_authority: [[Link; AUTHORITIES]; GATEWAYS],
    gateway_to_environment: [Link; GATEWAYS],
    environment_to_authority: [Link; AUTHORITIES],
}

impl Links {
    async fn make(ports: &Ports) -> io::Result<Self> {
        let authority = async |number| Link::to(ports.of(Service::Authority(number))).await;
        let authorities = async || Ok::<_, io::Error>([authority(0).await?, authority(1).await?]);
        let environment = async || Link::to(ports.of(Service::Environment)).await;
        Ok(Self {
            gateway_to_authority: [authorities().await?, authorities().await?, authorities().await?],
            gateway_to_environment: [environment().await?, environment().await?, environment().await?],
            environment_to_authority: authorities().await?,
        })
    }

    /// The link from one service to another.
    ///
    /// # Panics
    /// Where the one never calls the other.
    pub(crate) fn between(&self, from: Service, to: Service) -> &Link {
        match (from, to) {
            (Service::Gateway(gateway), Service::Authority(authority)) => {
                &self.gateway_to_authority[gateway][authority]
            }
            (Service::Gateway(gateway), Service::Environment) => &self.gateway_to_environment[gateway],
            (Service::Environment, Service::Authority(authority)) => &self.environment_to_authority[authority],
            _ => panic!("{from} never calls {to}"),
        }
    }
}

/// The running system. What is dropped ends, the processes before the database.
pub(crate) struct Stack {
    processes: [Mutex<Option<ServiceProcess>>; Service::ALL.len()],
    pub(crate) links: Links,
    ports: Ports,
    /// The key by which the authority knows the test.
    pub(crate) service_key: Credential,
    /// Where the authority's database is.
    pub(crate) database_url: String,
    admissions: StdMutex<Vec<Admission>>,
    postgres: StdMutex<Postgres>,
    folder: TempDir,
    _environments: TestDatabase,
}

impl Stack {
    /// Writes the configurations and migrates the databases. Nothing runs yet but PostgreSQL.
    pub(crate) async fn prepare(shape: Shape) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let postgres = tokio::task::spawn_blocking(Postgres::start).await?;
        let (database_url, environments) = (postgres.new_database(), TestDatabase::sqlite());
        let ports = Ports(steady_ports());
        let links = Links::make(&ports).await.context("the proxies listen")?;
        let databases = [database_url.as_str(), environments.url.as_str()];
        let service_key = configuration::write(folder.path(), databases, &ports, &links, shape);
        let stack = Self {
            processes: Default::default(),
            links,
            ports,
            service_key,
            database_url,
            admissions: StdMutex::default(),
            postgres: StdMutex::new(postgres),
            folder,
            _environments: environments,
        };
        for service in [Service::Authority(0), Service::Environment] {
            e2e::run(service.program(), &["--config", &stack.config(service), "migrate"], "").await;
        }
        Ok(stack)
    }

    fn config(&self, service: Service) -> String {
        self.folder.path().join(format!("{service}.toml")).display().to_string()
    }

    pub(crate) fn url(&self, service: Service) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(service))
    }

    /// Starts every process.
    pub(crate) async fn start_all(&self) {
        for service in Service::ALL {
            self.start(service).await;
        }
        self.ready().await;
    }

    /// Starts a process and waits until it listens. Whether it can serve is another matter: something else may be broken.
    pub(crate) async fn start(&self, service: Service) {
        let program = binary(service.program());
        let process = ServiceProcess::start(&program, &["--config", &self.config(service)], &[]).await;
        let port = self.ports.of(service);
        process.ready(async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()).await;
        *self.process(service).lock().await = Some(process);
    }

    /// Waits until every gateway says that it and all behind it can serve.
    ///
    /// # Panics
    /// Where it does not come to that.
    pub(crate) async fn ready(&self) {
        let http = http(PROBE);
        for gateway in 0..GATEWAYS {
            let service = Service::Gateway(gateway);
            let url = format!("{}/readyz", self.url(service));
            eventually(&format!("{service} is ready"), RECOVERY, async || {
                http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200).then_some(())
            })
            .await;
        }
    }

    fn process(&self, service: Service) -> &Mutex<Option<ServiceProcess>> {
        &self.processes[service.index()]
    }

    /// Ends a process without asking.
    pub(crate) async fn kill(&self, service: Service) -> anyhow::Result<()> {
        self.end(service, testkit::Signal::KILL).await
    }

    /// Asks a process to end, and waits for that.
    pub(crate) async fn terminate(&self, service: Service) -> anyhow::Result<()> {
        self.end(service, testkit::Signal::TERM).await
    }

    async fn end(&self, service: Service, signal: testkit::Signal) -> anyhow::Result<()> {
        let Some(mut process) = self.process(service).lock().await.take() else { return Ok(()) };
        process.signal(signal);
        process.ended().await;
        if service == Service::Environment {
            let admitted = admission::read(process.log_file()).context("the log of the environment-service")?;
            self.admissions.lock().expect("nobody panics with it").extend(admitted);
        }
        Ok(())
    }

    /// Freezes a process.
    pub(crate) async fn pause(&self, service: Service) {
        if let Some(process) = self.process(service).lock().await.as_ref() {
            process.pause();
        }
    }

    /// Lets it go on.
    pub(crate) async fn resume(&self, service: Service) {
        if let Some(process) = self.process(service).lock().await.as_ref() {
            process.resume();
        }
    }

    /// Kills PostgreSQL and starts it again after a while. It blocks.
    pub(crate) fn restart_postgres(&self, after: Duration) {
        let mut postgres = self.postgres.lock().expect("nobody panics with it");
        postgres.kill();
        std::thread::sleep(after);
        postgres.restart();
    }

    /// What a process has logged of what a person must act on, the first lines of it.
    pub(crate) async fn errors(&self, service: Service, most: usize) -> Vec<String> {
        let log = self.process(service).lock().await.as_ref().map(ServiceProcess::log).unwrap_or_default();
        let errors = log.lines().filter(|line| line.contains("ERROR"));
        errors.take(most).map(|line| format!("{service}: {line}")).collect()
    }

    /// Ends all of it, and answers what the environment-service has admitted since the beginning.
    pub(crate) async fn end_all(&self) -> anyhow::Result<Vec<Admission>> {
        for service in Service::ALL.into_iter().rev() {
            self.terminate(service).await?;
        }
        Ok(std::mem::take(&mut *self.admissions.lock().expect("nobody panics with it")))
    }
}

impl Drop for Stack {
    /// Nodes outlive their service by design, and must not outlive the test.
    fn drop(&mut self) {
        for process in &mut self.processes {
            drop(process.get_mut().take());
        }
        testkit::kill_processes_of(self.folder.path());
    }
}

/// Ports that stay free while a process is down: none that the machine gives to outgoing connections.
fn steady_ports() -> [u16; Service::ALL.len()] {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = range.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768);
    let mut rng = rand::rng();
    let mut held = Vec::new();
    while held.len() < Service::ALL.len() {
        let port = rng.random_range(1024..u16::max(lowest, 2048));
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    std::array::from_fn(|n| held[n].local_addr().expect("a bound socket has an address").port())
}
