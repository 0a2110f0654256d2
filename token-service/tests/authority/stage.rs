//! A running authority, one of each engine, with an administrator who can sign in.

use access::{Credential, CredentialKind, GRANT_HEADER, ORIGIN_HEADER, Origin, SigningKey};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifecycle::{Clock, Lifecycle, ManualClock};
use proto::catalog::ServiceRole;
use proto::token::v1::account_administration_client::AccountAdministrationClient;
use proto::token::v1::account_client::AccountClient;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::lease_administration_client::LeaseAdministrationClient;
use proto::token::v1::second_factor_client::SecondFactorClient;
use proto::token::v1::token_authority_client::TokenAuthorityClient;
use proto::token::v1::use_reports_client::UseReportsClient;
use proto::token::v1::{
    ApiToken, CreateTokenRequest, IntrospectRequest, IntrospectResponse, SigninRequest, SigninResponse,
};
use proto::{ErrorKind, Failure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use testkit::{Metrics, TestDatabase, databases};
use token_service::{Config, NewAccount, Role, SecondFactorKey, Service, ServiceKeyConfig};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

pub(crate) const LOGIN: &str = "alice@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const STOP: &str = "environment.control.StopEnv";

/// A running authority.
pub(crate) struct Stage {
    pub(crate) engine: &'static str,
    pub(crate) url: String,
    pub(crate) leases: LeaseAdministrationClient<Channel>,
    pub(crate) config: Config,
    pub(crate) authority: TokenAuthorityClient<Channel>,
    pub(crate) administration: AccountAdministrationClient<Channel>,
    pub(crate) account: AccountClient<Channel>,
    pub(crate) introspection: IntrospectionClient<Channel>,
    pub(crate) second_factor: SecondFactorClient<Channel>,
    pub(crate) uses: UseReportsClient<Channel>,
    pub(crate) service_key: String,
    /// What the operator sees of this replica.
    pub(crate) metrics: Metrics,
    /// What moves its time: it stands still otherwise, where [`timed_stages`] has made it.
    pub(crate) time: Option<ManualClock>,
    clock: Clock,
    lifecycle: Lifecycle,
    /// What goes with the first replica.
    _kept: Option<(TempDir, TestDatabase)>,
}

/// One on each engine.
pub(crate) async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for database in databases() {
        stages.push(Stage::start(database, |_| {}).await);
    }
    stages
}

/// One on each engine whose time only the test moves.
pub(crate) async fn timed_stages(adjust: impl Fn(&mut Config)) -> Vec<Stage> {
    let mut stages = Vec::new();
    for database in databases() {
        let (clock, time) = Clock::manual(Timestamp::now());
        stages.push(Stage::start_with_clock(database, clock, Some(time), &adjust).await);
    }
    stages
}

impl Stage {
    pub(crate) async fn start(database: TestDatabase, adjust: impl FnOnce(&mut Config)) -> Self {
        Self::start_with_clock(database, Clock::system(), None, adjust).await
    }

    /// What time it is there.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        self.time.as_ref().expect("a stage of timed_stages").advance(by);
    }

    pub(crate) async fn start_with_clock(
        database: TestDatabase,
        clock: Clock,
        time: Option<ManualClock>,
        adjust: impl FnOnce(&mut Config),
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("signing-key.pem");
        std::fs::write(&key_file, SigningKey::generate(&mut rng).to_pem().as_bytes()).unwrap();
        let factor_key_file = folder.path().join("second-factor.key");
        std::fs::write(&factor_key_file, SecondFactorKey::generate(&mut rng).to_base64().as_bytes()).unwrap();
        let service_key = Credential::generate(CredentialKind::Service, &mut rng);

        let mut config = Config::new(database.url.parse().unwrap(), key_file);
        config.listen = ([127, 0, 0, 1], 0).into();
        config.second_factor_key_file = Some(factor_key_file);
        config.service_keys = vec![ServiceKeyConfig {
            name: "test".into(),
            role: ServiceRole::Gateway,
            sha256: service_key.hash().to_string(),
        }];
        adjust(&mut config);
        token_service::migrate(&config).await.unwrap();
        let account = NewAccount {
            login: LOGIN.parse().unwrap(),
            name: "Alice".into(),
            password: PASSWORD.to_owned().into(),
            role: Role::Administrator,
        };
        token_service::create_account(&config, account).await.unwrap();
        let engine = database.engine;
        let mut stage = Self::serve(engine, config, clock, service_key.expose(), Some((folder, database))).await;
        stage.time = time;
        stage
    }

    /// Another replica on the same database.
    pub(crate) async fn replica(&self) -> Self {
        Self::serve(self.engine, self.config.clone(), Clock::system(), &self.service_key, None).await
    }

    /// Another replica, whose clock is this one's.
    pub(crate) async fn replica_at_its_time(&self) -> Self {
        Self::serve(self.engine, self.config.clone(), self.clock.clone(), &self.service_key, None).await
    }

    pub(crate) async fn serve(
        engine: &'static str,
        config: Config,
        clock: Clock,
        service_key: &str,
        kept: Option<(TempDir, TestDatabase)>,
    ) -> Self {
        let lifecycle = Lifecycle::new();
        let metrics = Metrics::default();
        let bound = Service::bind_with(config.clone(), clock.clone(), &metrics.meter(), lifecycle.clone()).await;
        let service = bound.unwrap();
        let address = format!("http://{}", service.local_addr());
        tokio::spawn(service.serve());
        let channel = Channel::from_shared(address.clone()).unwrap().connect().await.unwrap();
        Self {
            engine,
            url: address,
            leases: LeaseAdministrationClient::new(channel.clone()),
            config,
            authority: TokenAuthorityClient::new(channel.clone()),
            administration: AccountAdministrationClient::new(channel.clone()),
            account: AccountClient::new(channel.clone()),
            introspection: IntrospectionClient::new(channel.clone()),
            second_factor: SecondFactorClient::new(channel.clone()),
            uses: UseReportsClient::new(channel),
            service_key: service_key.to_owned(),
            metrics,
            time: None,
            clock,
            lifecycle,
            _kept: kept,
        }
    }

    /// Begins to end, as on SIGTERM.
    pub(crate) fn drain(&self) {
        self.lifecycle.begin_drain();
    }

    pub(crate) async fn signin(&self, login: &str, password: &str) -> Result<SigninResponse, Status> {
        let request = SigninRequest { login: login.into(), password: password.into() };
        self.authority.clone().signin(request).await.map(Response::into_inner)
    }

    /// A session of the administrator.
    pub(crate) async fn session(&self) -> String {
        self.signin(LOGIN, PASSWORD).await.unwrap().session
    }

    /// A request that another service makes.
    pub(crate) fn by_service<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let key = format!("Bearer {}", self.service_key);
        request.metadata_mut().insert("authorization", key.parse().unwrap());
        request
    }

    /// The same call as a gateway passes it on.
    pub(crate) fn from<T>(&self, origin: &Origin, mut request: Request<T>) -> Request<T> {
        let key = format!("Bearer {}", self.service_key);
        request.metadata_mut().insert("authorization", key.parse().unwrap());
        request.metadata_mut().insert_bin(ORIGIN_HEADER, MetadataValue::from_bytes(&origin.to_bytes()));
        request
    }

    pub(crate) async fn introspect(&self, credential: &str) -> IntrospectResponse {
        self.ask(credential, false).await
    }

    /// Whatever the authority remembers.
    pub(crate) async fn introspect_anew(&self, credential: &str) -> IntrospectResponse {
        self.ask(credential, true).await
    }

    async fn ask(&self, credential: &str, fresh: bool) -> IntrospectResponse {
        let (credential, audience) = (credential.into(), "token-service".into());
        let request = self.by_service(IntrospectRequest { credential, audience, fresh, not_before: 0 });
        self.introspection.clone().introspect(request).await.unwrap().into_inner()
    }

    /// A request that carries the grant of a live credential.
    pub(crate) async fn granted<T>(&self, credential: &str, message: T) -> Request<T> {
        let introspected = self.introspect(credential).await;
        assert!(introspected.active, "the credential is alive");
        with_grant(&introspected.grant, message)
    }

    pub(crate) async fn create_token(&self, session: &str, request: CreateTokenRequest) -> Result<ApiToken, Status> {
        let request = self.granted(session, request).await;
        Ok(self.authority.clone().create_token(request).await?.into_inner().token.unwrap())
    }

    /// A token for `StopEnv` alone.
    pub(crate) async fn stop_token(&self, session: &str) -> ApiToken {
        self.create_token(session, stop_request()).await.unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.lifecycle.abort();
    }
}

pub(crate) fn with_grant<T>(grant: &[u8], message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(GRANT_HEADER, MetadataValue::from_bytes(grant));
    request
}

pub(crate) fn stop_request() -> CreateTokenRequest {
    CreateTokenRequest {
        description: Some("stop only".into()),
        password: PASSWORD.into(),
        api_list: vec![STOP.into()],
        ..CreateTokenRequest::default()
    }
}

/// The failure that a call ended with.
#[track_caller]
pub(crate) fn failure<T: std::fmt::Debug>(answer: Result<T, Status>) -> Failure {
    answer.map(|answer| panic!("it succeeded: {answer:?}")).unwrap_err().into()
}

/// A failure about a parameter, whose text names it.
#[track_caller]
pub(crate) fn assert_invalid<T: std::fmt::Debug>(answer: Result<T, Status>, parameter: &str) {
    let failure = failure(answer);
    assert_eq!(failure.kind(), ErrorKind::InvalidParameter, "{failure:?}");
    assert_eq!(failure.detail("parameter"), Some(parameter), "{failure:?}");
    assert!(failure.message().contains(&format!("`{parameter}`")), "{failure:?}");
}

pub(crate) fn after(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(proto::time::to_wire(Timestamp::now() + SignedDuration::from_secs(seconds)))
}
