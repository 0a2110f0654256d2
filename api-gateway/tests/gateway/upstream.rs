//! A service that executes methods: it answers by the name of the environment, and remembers what reached it.

use std::sync::{Arc, Mutex};

use std::time::Duration;

use access::lease::{LeaseHandle, ToAuthority, ToHolder};
use access::{AccessLayer, AccountId, AccountPermit, Answers, Guarded, Handle, HandleAnswers, KeyRing, Revision};
use futures::{StreamExt, stream};
use lifecycle::Clock;
use proto::environment::v1::control_server::ControlServer;
use proto::environment::v1::watch_envs_response::Event;
use proto::environment::v1::{
    CreateEnvironmentRequest, CreateEnvironmentResponse, DeleteEnvRequest, DeleteEnvResponse, Environment,
    EnvironmentInfo, GetEnvInfoRequest, GetEnvInfoResponse, GetEnvsRequest, GetEnvsResponse, Node, StartEnvRequest,
    StartEnvResponse, StopEnvRequest, StopEnvResponse, WatchEnvsRequest, WatchEnvsResponse, WatchedEnvironment,
    WatchedEnvironments, rpc,
};
use proto::{ErrorKind, Failure, Rpc};
use tokio::sync::{Semaphore, watch};
use tonic::service::LayerExt;
use tonic::transport::server::Router;

#[derive(Clone)]
pub(crate) struct Upstream(Arc<Inside>);

struct Inside {
    reached: Mutex<Vec<(AccountId, String)>>,
    created: Mutex<Vec<CreateEnvironmentRequest>>,
    /// How many calls about `slow` may be answered.
    gate: Semaphore,
    lease: LeaseHandle,
    /// What those who watch are told.
    shown: watch::Sender<String>,
    /// One for each who watches.
    watchers: Arc<()>,
}

impl Upstream {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inside {
            reached: Mutex::default(),
            created: Mutex::default(),
            gate: Semaphore::new(0),
            lease: leased(),
            shown: watch::Sender::new("first".to_owned()),
            watchers: Arc::default(),
        }))
    }

    pub(crate) fn server(&self, keys: KeyRing) -> Router {
        let layer = AccessLayer::new("environment-service", keys, Clock::system());
        let layer = layer.with_lease(self.0.lease.clone());
        let service = ControlServer::new(Guarded::new(self.clone()));
        tonic::transport::Server::builder().add_service(layer.named_layer(service))
    }

    /// Who called about which environment.
    pub(crate) fn reached(&self) -> Vec<(AccountId, String)> {
        self.0.reached.lock().unwrap().clone()
    }

    pub(crate) fn created(&self) -> Vec<CreateEnvironmentRequest> {
        self.0.created.lock().unwrap().clone()
    }

    /// Shows this to all who watch.
    pub(crate) fn show(&self, text: &str) {
        self.0.shown.send_replace(text.to_owned());
    }

    /// How many watch.
    pub(crate) fn watchers(&self) -> usize {
        Arc::strong_count(&self.0.watchers) - 1
    }

    /// Lets a call about `slow` be answered.
    pub(crate) fn open_gate(&self) {
        self.0.gate.add_permits(1);
    }

    async fn reach(&self, permit: &AccountPermit, name: &str) -> Result<(), Failure> {
        self.0.reached.lock().unwrap().push((permit.account(), name.to_owned()));
        match name {
            "slow" => self.0.gate.acquire().await.unwrap().forget(),
            "broken" => return Err(Failure::internal("10.0.0.7:5432 refused")),
            "nowhere" => return Err(Failure::new(ErrorKind::EnvironmentNotFound, "there is no environment `nowhere`")),
            "bad" => return Err(Failure::invalid("envName", "must be better")),
            _ => {}
        }
        Ok(())
    }
}

/// A lease that outlasts its test. It hears of no change.
fn leased() -> LeaseHandle {
    let (lease, long) = (LeaseHandle::new(Clock::system()), Duration::from_secs(600));
    lease.change(|holder, now| {
        let stream = holder.connect().stream;
        let begin = ToHolder::Begin { after: Revision(0), remember_for: long };
        holder.take(stream, &begin, now).unwrap();
        let ToAuthority::Ask { number } = holder.ask(now) else { panic!("it asks") };
        holder.take(stream, &ToHolder::Lease { number, duration: long, revision: Revision(0) }, now).unwrap();
    });
    lease
}

impl HandleAnswers<rpc::WatchEnvs> for Upstream {
    async fn handle_answers(
        &self,
        permit: &AccountPermit,
        _: WatchEnvsRequest,
    ) -> Result<Answers<WatchEnvsResponse>, Failure> {
        self.reach(permit, "watched").await?;
        if *self.0.shown.borrow() == "full" {
            return Err(Failure::new(ErrorKind::Throttled, "there are too many"));
        }
        let watching = (self.0.shown.subscribe(), Arc::clone(&self.0.watchers), true);
        let answers = stream::unfold(watching, async |(mut shown, watcher, first)| {
            if !first {
                shown.changed().await.ok()?;
            }
            let text = shown.borrow_and_update().clone();
            if text == "all" {
                return None;
            }
            let info = WatchedEnvironment { right: text, ..WatchedEnvironment::default() };
            let event =
                if first { Event::Snapshot(WatchedEnvironments { infos: vec![info] }) } else { Event::Changed(info) };
            Some((Ok(WatchEnvsResponse { event: Some(event) }), (shown, watcher, false)))
        });
        Ok(answers.boxed())
    }
}

impl Handle<rpc::CreateEnvironment> for Upstream {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: CreateEnvironmentRequest,
    ) -> Result<CreateEnvironmentResponse, Failure> {
        self.reach(permit, &request.env.clone().unwrap_or_default().shortdomain).await?;
        self.0.created.lock().unwrap().push(request);
        Ok(CreateEnvironmentResponse { env: Some(Environment::default()), nodes: vec![Node::default()] })
    }
}

impl Handle<rpc::StartEnv> for Upstream {
    async fn handle(&self, permit: &AccountPermit, request: StartEnvRequest) -> Result<StartEnvResponse, Failure> {
        self.reach(permit, &request.env_name).await.map(|()| StartEnvResponse {})
    }
}

impl Handle<rpc::StopEnv> for Upstream {
    async fn handle(&self, permit: &AccountPermit, request: StopEnvRequest) -> Result<StopEnvResponse, Failure> {
        self.reach(permit, &request.env_name).await.map(|()| StopEnvResponse {})
    }
}

impl Handle<rpc::DeleteEnv> for Upstream {
    async fn handle(&self, permit: &AccountPermit, request: DeleteEnvRequest) -> Result<DeleteEnvResponse, Failure> {
        self.reach(permit, &request.env_name).await.map(|()| DeleteEnvResponse {})
    }
}

impl Handle<rpc::GetEnvs> for Upstream {
    async fn handle(&self, permit: &AccountPermit, request: GetEnvsRequest) -> Result<GetEnvsResponse, Failure> {
        self.reach(permit, &format!("lazy {:?}", request.lazy)).await?;
        // More than gRPC takes where nobody says otherwise.
        let display_name = "é".repeat(512 * 1024);
        let env = Environment { display_name, uid: i64::MAX, ..Environment::default() };
        Ok(GetEnvsResponse { infos: vec![EnvironmentInfo { env: Some(env), ..EnvironmentInfo::default() }; 8] })
    }
}

impl Handle<rpc::GetEnvInfo> for Upstream {
    async fn handle(&self, permit: &AccountPermit, request: GetEnvInfoRequest) -> Result<GetEnvInfoResponse, Failure> {
        self.reach(permit, &request.env_name).await?;
        Ok(GetEnvInfoResponse { env: Some(Environment::default()), ..GetEnvInfoResponse::default() })
    }
}

/// What is no matter of the gateway's, and is called by no test of it.
macro_rules! not_served {
    ($($method:ident),+ $(,)?) => {$(
        impl Handle<rpc::$method> for Upstream {
            async fn handle(
                &self,
                _: &AccountPermit,
                _: <rpc::$method as Rpc>::Request,
            ) -> Result<<rpc::$method as Rpc>::Response, Failure> {
                Err(Failure::internal(concat!(stringify!($method), " is not served here")))
            }
        }
    )+};
}

not_served! {
    SleepEnv,
    CloneEnv,
    GetBasicEnvsInfo,
    SetEnvDisplayName,
    AttachEnvGroup,
    DetachEnvGroup,
    SetEnvGroup,
    RestartNodes,
    RestartNodeById,
    RedeployContainerById,
    RedeployContainersByGroup,
    AddContainerEnvVars,
    SetContainerEnvVars,
    GetContainerEnvVars,
    RemoveContainerEnvVars,
    SetContainerEnvVarsByGroup,
    GetContainerEnvVarsByGroup,
    ExecCmdById,
    ExecCmdByGroup,
    SetCloudletsCountById,
    GetLogs,
    ReadLog,
}
