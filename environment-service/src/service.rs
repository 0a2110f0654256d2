use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::lease::{LeaseHandle, LeaseKeeper};
use access::{AccessLayer, KeyRing, Replicas};
use lifecycle::{Clock, Lifecycle, Undrained};
use opentelemetry::metrics::Meter;
use storage::{Database, DatabaseOptions, MigrateError, SchemaError};
use tls::{Certificates, Connector, Listener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::{Config, ConfigError, OnShutdown};
use crate::driver::{
    self, DockerDriver, Driver, Drivers, KubernetesDriver, KubernetesError, LogLimits, ProcessDriver, ProcessSettings,
};
use crate::grpc::{self, AuthorityKeys, Control, Departures};
use crate::operation::{Claims, Commands, Operations, Parts, RecoverError};
use crate::store::{MIGRATIONS, Store};

/// The service that is the authority, as its certificate names it.
pub(crate) const AUTHORITY: &str = "token-service";

/// How often health looks at the database.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// How long, besides the nodes' grace, accepted calls may take when the drain has begun. One that watches the health never
/// ends by itself.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long calls that come right after the start are left waiting until there is a lease to decide them by. After that they are told
/// to try again.
const FIRST_LEASE_PATIENCE: Duration = Duration::from_secs(3);

/// Why the service does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// Nodes cannot be run here.
    #[error("nodes cannot be run")]
    Driver(#[from] driver::OpenError),
    /// The Kubernetes cluster cannot be used.
    #[error("the Kubernetes cluster cannot be used")]
    Kubernetes(#[from] KubernetesError),
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] storage::OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// What was launched before cannot be found again.
    #[error("what was begun before cannot be taken up")]
    Recover(#[from] RecoverError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the server failed")]
    Serve(#[from] tonic::transport::Error),
    /// Something went on for too long when the service ended.
    #[error("not everything had ended")]
    Undrained(#[from] Undrained),
    /// It was told to end at once.
    #[error("stopped before everything had ended")]
    Aborted,
}

/// The environment-service, listening.
pub struct Service {
    listener: Listener,
    certificates: Option<Certificates>,
    address: SocketAddr,
    operations: Operations,
    keys: AuthorityKeys,
    departures: Departures,
    lease: LeaseHandle,
    keeper: LeaseKeeper,
    released: CancellationToken,
    layer: AccessLayer,
    on_shutdown: OnShutdown,
    patience: Duration,
    lifecycle: Lifecycle,
}

impl Service {
    /// Takes the data folder into use, opens the database, looks whether its schema fits, and begins to listen. The
    /// authority need not be there yet.
    ///
    /// # Errors
    /// Where any of it is not possible. Nothing is changed then.
    pub async fn bind(config: Config, lifecycle: Lifecycle) -> Result<Self, RunError> {
        Self::bind_with(config, &telemetry::meter("environment-service"), lifecycle).await
    }

    /// The same, with another meter than the process's.
    ///
    /// # Errors
    /// Where any of it is not possible. Nothing is changed then.
    pub async fn bind_with(config: Config, meter: &Meter, lifecycle: Lifecycle) -> Result<Self, RunError> {
        config.validate()?;
        let service_key = config.service_key()?;
        let certificates = config.certificates()?;
        let authority = Replicas::new(config.authority()?, Connector::to(certificates.clone(), AUTHORITY));
        let clock = Clock::system();

        let drivers = drivers(&config, &lifecycle).await?;
        let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
        database.check_schema(&MIGRATIONS).await?;
        let adopting = drivers.all().map(|driver| (driver.kind(), tokio::sync::Mutex::default())).collect();
        let operations = Operations::new(Parts {
            store: Store::new(database),
            drivers,
            policies: config.policies()?,
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
            settle: config.start_settle(),
            claims: Claims::default(),
            adopting,
            commands: Commands::default(),
            under_way: TaskTracker::new(),
            news: watch::Sender::new(()),
            watchers_per_account: config.watchers_per_account,
        });

        let ring = KeyRing::default();
        let lease = LeaseHandle::new(clock.clone());
        lease.show(meter);
        lease.show_refusals(meter);
        let layer = AccessLayer::new(grpc::AUDIENCE, ring.clone(), clock.clone()).with_lease(lease.clone());
        let keys = AuthorityKeys::new(authority.clone(), &service_key, ring, clock);
        let departures = Departures::new(authority.clone(), &service_key);

        let listen = |source| RunError::Listen { address: config.listen, source };
        let listener = Listener::bind(config.listen, certificates.clone()).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let patience = DRAIN_PATIENCE + config.stop_grace();
        let released = CancellationToken::new();
        let place = address.to_string();
        let keeper = LeaseKeeper::new(lease.clone(), authority, service_key.bearer(), place, released.clone());
        Ok(Self {
            listener,
            certificates,
            address,
            operations,
            keys,
            departures,
            lease,
            keeper,
            released,
            layer,
            on_shutdown: config.on_shutdown,
            patience,
            lifecycle,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes up what was begun before, then serves until the drain begins, and then until every accepted call is answered
    /// and every operation is finished.
    ///
    /// # Errors
    /// Where the server fails, what was begun before cannot be taken up, or all is to end at once.
    pub async fn serve(self) -> Result<(), RunError> {
        // Who connects meanwhile is let in, and waits for an answer.
        let incoming = self.listener.incoming();
        self.operations.adopt_all().await;
        self.operations.recover().await?;
        drop(self.lifecycle.spawn("environment-service.adopt", self.operations.clone().keep_adopting()));
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", ServingStatus::NotServing).await;
        let ready = (self.keys.clone(), self.lease.clone());
        let watch = watch_health(reporter, ready, self.operations.store.clone(), self.lifecycle.clone());
        self.lifecycle.spawn("environment-service.health", watch);
        self.lifecycle.spawn("environment-service.keys", self.keys.clone().renew(self.lifecycle.clone()));

        self.lifecycle.spawn("environment-service.supervision", self.operations.clone().supervise());

        let following = self.operations.clone().follow_departures(self.departures);
        self.lifecycle.spawn("environment-service.departures", following);

        let kept = self.lifecycle.spawn("environment-service.lease", self.keeper.keep());

        if let Some(certificates) = self.certificates {
            self.lifecycle.spawn("environment-service.certificates", certificates.follow(self.lifecycle.clone()));
        }
        let leased = async { tokio::join!(self.keys.ready(), self.lease.leased()) };
        tokio::select! {
            _ = tokio::time::timeout(FIRST_LEASE_PATIENCE, leased) => {}
            () = self.lifecycle.draining() => {}
        }
        tracing::info!(address = %self.address, "environment-service is listening");
        let control = Control::new(self.operations.clone());
        let server = access::server()
            .layer(telemetry::ServerSpans)
            .add_routes(grpc::routes(control, self.keys, self.layer).add_service(health))
            .serve_with_incoming_shutdown(incoming, self.lifecycle.draining());
        let lifecycle = &self.lifecycle;
        let too_late = async { (lifecycle.draining().await, tokio::time::sleep(self.patience).await) };
        tokio::select! {
            served = server => served?,
            _ = too_late => tracing::warn!("connections are cut that did not end"),
            () = lifecycle.aborted() => return Err(RunError::Aborted),
        }
        // No call is executed any more: nobody need wait for what this service acknowledges.
        self.released.cancel();
        drop(kept.await);
        shut_down(&self.operations, self.on_shutdown).await;
        Ok(())
    }
}

/// What runs nodes here: processes, and the engines that the configuration names.
async fn drivers(config: &Config, lifecycle: &Lifecycle) -> Result<Drivers, RunError> {
    let settings = ProcessSettings {
        data_dir: config.data_dir.clone(),
        stop_grace: config.stop_grace(),
        templates: config.templates.clone(),
        log: LogLimits { bytes: config.node_log_bytes, files: config.node_log_files },
        exec: config.exec_commands.clone(),
        bounding: config.node_limits.settings(),
    };
    let process: Arc<dyn Driver> = Arc::new(ProcessDriver::open(settings, lifecycle.clone()).await?);
    let mut drivers = vec![process];
    drivers.extend(docker_driver(config, lifecycle)?);
    if let Some(kubernetes) = &config.kubernetes {
        let settings = kubernetes.settings(config.stop_grace())?;
        drivers.push(Arc::new(KubernetesDriver::open(settings, lifecycle).await?));
    }
    Ok(Drivers::new(drivers))
}

/// The engine need not answer yet.
fn docker_driver(config: &Config, lifecycle: &Lifecycle) -> Result<Option<Arc<dyn Driver>>, driver::OpenError> {
    let Some(docker) = &config.docker else { return Ok(None) };
    let settings = docker.settings(config.stop_grace());
    let driver = DockerDriver::open(settings, lifecycle).map_err(driver::OpenError::Template)?;
    Ok(Some(Arc::new(driver)))
}

async fn shut_down(operations: &Operations, on_shutdown: OnShutdown) {
    operations.settled().await;
    if on_shutdown == OnShutdown::Stop
        && let Err(error) = operations.stop_until_next_run().await
    {
        tracing::error!(%error, "environments were not stopped");
    }
    operations.store.close().await;
}

/// Serving from when the authority's keys are known and there is a lease, while the database answers, until the drain begins.
async fn watch_health(
    reporter: HealthReporter,
    (keys, lease): (AuthorityKeys, LeaseHandle),
    store: Store,
    lifecycle: Lifecycle,
) {
    let mut tick = tokio::time::interval(HEALTH_INTERVAL);
    let serving = async {
        keys.ready().await;
        lease.leased().await;
        loop {
            tick.tick().await;
            let answers = store.ping().await.is_ok();
            let status = if answers { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status("", status).await;
        }
    };
    tokio::select! {
        () = lifecycle.draining() => reporter.set_service_status("", ServingStatus::NotServing).await,
        () = serving => (),
    }
}

/// Runs the service until the drain is over.
///
/// # Errors
/// Where it does not start, or fails.
pub async fn run(config: Config, lifecycle: Lifecycle) -> Result<(), RunError> {
    let patience = DRAIN_PATIENCE + config.stop_grace();
    Service::bind(config, lifecycle.clone()).await?.serve().await?;
    Ok(lifecycle.drained(patience).await?)
}

/// Why the database was not brought to this version.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] storage::OpenError),
    /// The database cannot be brought to this version.
    #[error("the migration failed")]
    Migrate(#[from] MigrateError),
}

/// Why the authority was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] storage::OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// The database did not take it.
    #[error("the database did not forget it")]
    Storage(#[from] storage::StorageError),
}

/// Forgets which authority the accounts are of, and which of them are gone, so that the next one that answers is taken for theirs.
///
/// # Errors
/// Where the database cannot be opened or changed, or is not of this version.
pub async fn forget_authority(config: &Config) -> Result<(), ForgetError> {
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    let store = Store::new(database);
    store.forget_authority().await?;
    store.close().await;
    Ok(())
}

/// Brings the database to this version.
///
/// # Errors
/// Where the database cannot be opened or changed, or is of a later version.
pub async fn migrate(config: &Config) -> Result<(), MigrationError> {
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.migrate(&MIGRATIONS).await?;
    database.close().await;
    Ok(())
}
