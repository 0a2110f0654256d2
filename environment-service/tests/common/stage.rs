//! An environment-service with its authority. Every process that it launches is killed when the test ends, in whatever way.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use access::{AccountId, Claims};
use environment_service::{Config, Enforce, Restart, Service, Template};
use jiff::SignedDuration;
use lifecycle::Lifecycle;
use procfs::process::{Process, all_processes};
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::{
    CreateEnvironmentRequest, CreateEnvironmentResponse, DeleteEnvRequest, EnvironmentInfo, EnvironmentSpec,
    GetEnvInfoRequest, GetEnvInfoResponse, GetEnvsRequest, Node, NodeSpec, StartEnvRequest, StopEnvRequest,
};
use proto::{ErrorKind, Failure};
use rustix::process::{Pid, Signal, kill_process};
use storage::{Database, DatabaseOptions};
use tempfile::TempDir;
use testkit::{Metrics, TestDatabase, databases, eventually};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::authority::{ALICE, Authority, with_grant};

/// Longer than anything that succeeds takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What nodes can run here.
const TEMPLATES: [(&str, &str); 10] = [
    // Two processes in one group.
    ("pair", "sleep 1000 & wait"),
    ("listener", "echo $PORT; exec sleep 1000"),
    // Ends only when it is killed.
    ("stubborn", "trap '' TERM; while :; do sleep 1000; done"),
    // Ends within the grace, but not at once: only after a file is there.
    ("slow", "trap 'while [ ! -e $GATE ]; do sleep 0.01; done; exit 0' TERM; while :; do sleep 1000 & wait; done"),
    ("broken", "exit 3"),
    // Starts only while a file is not there.
    // Starts in each version but one.
    ("versioned", "[ $PORTCULLIS_TAG = bad ] && exit 4; echo $PORTCULLIS_TAG $COLOUR; exec sleep 1000"),
    // Is launched again whenever it ends.
    ("immortal", "exec sleep 1000"),
    // The same, and it ends at once from the second time on.
    ("hopeless", "[ -e begun ] && exit 4; touch begun; exec sleep 1000"),
    // Wants more and more memory, once it is let to.
    ("greedy", "while [ ! -e $GATE ]; do sleep 0.01; done; x=$(head -c 400000000 /dev/zero | tr '\\0' x); echo $x"),
    ("fickle", "[ -e $GATE ] && exit 4; exec sleep 1000"),
];

pub(crate) struct Stage {
    pub(crate) engine: &'static str,
    pub(crate) config: Config,
    pub(crate) authority: Authority,
    /// What the operator sees of the service that runs.
    pub(crate) metrics: Metrics,
    running: Option<Running>,
    folder: TempDir,
    _database: TestDatabase,
}

struct Running {
    client: ControlClient<Channel>,
    channel: Channel,
    lifecycle: Lifecycle,
    served: JoinHandle<()>,
}

impl Stage {
    /// A service and its authority, neither of which runs.
    pub(crate) async fn prepare(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = ([127, 0, 0, 1], testkit::free_port()).into();
        let authority = Authority::prepare(folder.path(), listen).await;
        let mut config = Config::new(
            database.url.parse().unwrap(),
            format!("http://{listen}"),
            authority.service_key_file.clone(),
            folder.path().join("data"),
        );
        config.listen = ([127, 0, 0, 1], 0).into();
        config.stop_grace = SignedDuration::from_millis(500);
        // A service that is killed leaves its groups behind it.
        config.node_limits.enforce = Enforce::Off;
        config.start_settle = SignedDuration::from_millis(100);
        let gate = folder.path().join("gate").to_str().unwrap().to_owned();
        let template = |(name, script): &(&str, &str)| Template {
            name: (*name).to_owned(),
            node_type: None,
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: BTreeMap::from([("GATE".to_owned(), gate.clone())]),
            variables: vec!["*".parse().unwrap()],
            working_directory: None,
            restart: if ["immortal", "hopeless", "greedy"].contains(name) { Restart::Always } else { Restart::Never },
            port: *name == "listener",
        };
        config.templates = TEMPLATES.iter().map(template).collect();
        environment_service::migrate(&config).await.unwrap();
        let (engine, metrics) = (database.engine, Metrics::default());
        Self { engine, config, authority, metrics, running: None, folder, _database: database }
    }

    /// Both run.
    pub(crate) async fn start(database: TestDatabase) -> Self {
        Self::start_with_lease(database, SignedDuration::from_secs(3)).await
    }

    /// Both run, and leases last so long.
    pub(crate) async fn start_with_lease(database: TestDatabase, duration: SignedDuration) -> Self {
        let mut stage = Self::prepare(database).await;
        stage.authority.lease_for(duration);
        stage.authority.start().await;
        stage.start_service().await;
        stage
    }

    pub(crate) async fn sqlite() -> Self {
        Self::start(TestDatabase::sqlite()).await
    }

    /// One on each engine.
    pub(crate) async fn on_each_engine() -> Vec<Self> {
        let mut stages = Vec::new();
        for database in databases() {
            stages.push(Self::start(database).await);
        }
        stages
    }

    pub(crate) async fn start_service(&mut self) {
        let lifecycle = Lifecycle::new();
        self.metrics = Metrics::default();
        let meter = self.metrics.meter();
        let service = Service::bind_with(self.config.clone(), &meter, lifecycle.clone()).await.unwrap();
        let address = format!("http://{}", service.local_addr());
        let served = tokio::spawn(async move { service.serve().await.unwrap() });
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let health = HealthClient::new(channel.clone());
        self.running = Some(Running { client: ControlClient::new(channel.clone()), channel, lifecycle, served });
        if self.authority.is_running() {
            eventually("the service to serve", LONG, async || {
                let answer = health.clone().check(HealthCheckRequest::default()).await;
                answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving).then_some(())
            })
            .await;
        }
    }

    /// Begins the drain when it is called.
    pub(crate) fn draining(&self) -> impl FnOnce() + use<> {
        let lifecycle = self.running.as_ref().unwrap().lifecycle.clone();
        move || lifecycle.begin_drain()
    }

    /// Lets the service drain, as on SIGTERM.
    pub(crate) async fn stop_service(&mut self) {
        let Running { lifecycle, served, client, channel } = self.running.take().unwrap();
        drop((client, channel));
        lifecycle.begin_drain();
        served.await.unwrap();
        lifecycle.drained(LONG).await.unwrap();
    }

    pub(crate) fn client(&self) -> ControlClient<Channel> {
        self.running.as_ref().unwrap().client.clone()
    }

    pub(crate) fn channel(&self) -> Channel {
        self.running.as_ref().unwrap().channel.clone()
    }

    /// Calls go to a service that runs elsewhere.
    pub(crate) fn caller(&self, client: ControlClient<Channel>) -> Caller<'_> {
        Caller { authority: &self.authority, client, account: ALICE }
    }

    pub(crate) fn alice(&self) -> Caller<'_> {
        self.caller(self.client())
    }

    pub(crate) fn account(&self, account: AccountId) -> Caller<'_> {
        Caller { account, ..self.alice() }
    }

    /// The service's database, by another connection.
    pub(crate) async fn database(&self) -> Database {
        Database::open(&self.config.database_url, &DatabaseOptions::default()).await.unwrap()
    }

    /// Opens the gate that templates look at.
    pub(crate) fn open_gate(&self) {
        std::fs::write(self.folder.path().join("gate"), "").unwrap();
    }

    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The processes of all nodes.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let data = self.folder.path().join("data");
        let belongs = |process: &Process| {
            let alive = process.stat().is_ok_and(|stat| stat.state != 'Z');
            let home = process.environ().ok().and_then(|variables| variables.get(OsStr::new("HOME")).cloned());
            alive && home.is_some_and(|home| PathBuf::from(home).starts_with(&data))
        };
        all_processes().unwrap().flatten().filter(belongs).map(|process| process.pid()).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.lifecycle.abort();
            running.served.abort();
        }
        // Killing may race with forking, hence again until nothing is found.
        let deadline = Instant::now() + LONG;
        loop {
            let processes = self.processes();
            if processes.is_empty() || Instant::now() > deadline {
                return;
            }
            for pid in processes {
                let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
            }
        }
    }
}

/// An account that calls the service with a session.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    authority: &'a Authority,
    client: ControlClient<Channel>,
    account: AccountId,
}

impl Caller<'_> {
    pub(crate) fn claims(&self) -> Claims {
        self.authority.session(self.account)
    }

    /// A client, for what is called by nothing else here.
    pub(crate) fn client(&self) -> ControlClient<Channel> {
        self.client.clone()
    }

    /// A request that bears the account's grant.
    pub(crate) fn granted<T>(&self, message: T) -> Request<T> {
        with_grant(&self.authority.signing_key.sign(&self.claims()), message)
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        nodes: &[(&str, &str, i32)],
    ) -> Result<CreateEnvironmentResponse, Failure> {
        let nodes = nodes.iter().map(|(group, node_type, count)| NodeSpec {
            node_type: (*node_type).to_owned(),
            node_group: Some((*group).to_owned()),
            count: Some(*count),
            ..NodeSpec::default()
        });
        let env = EnvironmentSpec { shortdomain: name.to_owned(), ..EnvironmentSpec::default() };
        self.create_as(CreateEnvironmentRequest { env: Some(env), nodes: nodes.collect(), env_groups: Vec::new() })
            .await
    }

    pub(crate) async fn create_as(
        &self,
        request: CreateEnvironmentRequest,
    ) -> Result<CreateEnvironmentResponse, Failure> {
        answer(self.client.clone().create_environment(self.granted(request)).await)
    }

    pub(crate) async fn start(&self, name: &str) -> Result<(), Failure> {
        let request = StartEnvRequest { env_name: name.to_owned() };
        answer(self.client.clone().start_env(self.granted(request)).await).map(drop)
    }

    pub(crate) async fn stop(&self, name: &str) -> Result<(), Failure> {
        let request = StopEnvRequest { env_name: name.to_owned() };
        answer(self.client.clone().stop_env(self.granted(request)).await).map(drop)
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let request = DeleteEnvRequest { env_name: name.to_owned(), password: None };
        answer(self.client.clone().delete_env(self.granted(request)).await).map(drop)
    }

    pub(crate) async fn list(&self) -> Vec<EnvironmentInfo> {
        let request = self.granted(GetEnvsRequest::default());
        answer(self.client.clone().get_envs(request).await).unwrap().infos
    }

    pub(crate) async fn info(&self, name: &str) -> Result<GetEnvInfoResponse, Failure> {
        let request = GetEnvInfoRequest { env_name: name.to_owned(), lazy: None };
        answer(self.client.clone().get_env_info(self.granted(request)).await)
    }

    pub(crate) async fn status(&self, name: &str) -> i32 {
        self.info(name).await.unwrap().env.unwrap().status
    }

    /// Waits until the environment has a status.
    pub(crate) async fn until_status(&self, name: &str, status: i32) {
        let seen = || async { (self.status(name).await == status).then_some(()) };
        eventually(&format!("status {status} of {name}"), LONG, seen).await;
    }
}

pub(crate) fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    answer.map(Response::into_inner).map_err(Failure::from)
}

/// The first processes of nodes.
pub(crate) fn pids(nodes: &[Node]) -> Vec<i32> {
    nodes.iter().map(|node| i32::try_from(node.ctid).unwrap()).collect()
}

/// Whether all of these run.
pub(crate) fn all_alive(pids: &[i32]) -> bool {
    pids.iter().all(|pid| *pid > 1 && testkit::process_alive(pid.cast_unsigned()))
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(answer: Result<T, Failure>, kind: ErrorKind) -> String {
    let failure = answer.unwrap_err();
    assert_eq!(failure.kind(), kind, "{failure}");
    failure.message().to_owned()
}
