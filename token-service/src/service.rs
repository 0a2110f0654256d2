use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{AccessLayer, AccountId, KeyRing};
use lifecycle::{Clock, Lifecycle};
use opentelemetry::metrics::Meter;
use proto::catalog::ServiceRole;
use storage::{Database, DatabaseOptions, MigrateError, OpenError, SchemaError};
use tls::{Certificates, Listener};

use crate::domain::{AccountChange, Login, NewAccount, NewPassword, PasswordError};
use crate::grpc::{self, Authority, Policy};
use crate::lease::Leases;
use crate::password::{HashError, Passwords};
use crate::signing_keys::SigningKeys;
use crate::store::{AdministrationError, CreateAccountError, MIGRATIONS, SessionError, Store};
use crate::webhook::Webhook;
use crate::{Config, ConfigError, housekeeping};

/// How often health looks at the database.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// How long a call may take: the longest waits for its turn to verify a password.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long connections may take to end: no call takes longer.
const DRAIN_TIMEOUT: Duration = CALL_TIMEOUT;

/// Why the service does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// The signing keys cannot be read.
    #[error("grants cannot be signed")]
    SigningKeys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The password pool cannot be made.
    #[error("passwords cannot be hashed")]
    Passwords(#[source] Box<dyn std::error::Error + Send + Sync>),
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
}

/// The token-service, listening.
pub struct Service {
    listener: Listener,
    certificates: Option<Certificates>,
    address: SocketAddr,
    authority: Authority,
    layer: AccessLayer,
    store: Store,
    webhook: Option<Webhook>,
    clock: Clock,
    lifecycle: Lifecycle,
}

impl Service {
    /// Opens the database, looks whether its schema fits, and begins to listen.
    ///
    /// # Errors
    /// Where any of it is not possible. Nothing is changed then.
    pub async fn bind(config: Config, lifecycle: Lifecycle) -> Result<Self, RunError> {
        Self::bind_with(config, Clock::system(), &telemetry::meter("token-service"), lifecycle).await
    }

    /// The same, by another clock than the machine's, and with another meter than the process's.
    ///
    /// # Errors
    /// Where any of it is not possible. Nothing is changed then.
    pub async fn bind_with(
        config: Config,
        clock: Clock,
        meter: &Meter,
        lifecycle: Lifecycle,
    ) -> Result<Self, RunError> {
        config.validate()?;
        let signing_key = config.signing_key()?;
        let service_keys = config.service_keys()?;
        if !config.service_keys.iter().any(|key| key.role == ServiceRole::Gateway) {
            tracing::warn!("no entry of service_keys has the role `gateway`: every gateway is refused");
        }
        let second_factor_key = config.second_factor_key()?;
        let webhook = config.webhook()?;
        let certificates = config.certificates()?;
        let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
        database.check_schema(&MIGRATIONS).await?;
        let store = Store::new(database).with_session_idle_lifetime(config.session_idle_lifetime);

        let passwords =
            Passwords::new(config.passwords_at_once).map_err(|error| RunError::Passwords(Box::new(error)))?;
        let keys = KeyRing::default();
        let signing_keys = SigningKeys::open(signing_key, keys.clone(), store.clone(), clock.clone()).await;
        let signing_keys = signing_keys.map_err(|error| RunError::SigningKeys(Box::new(error)))?;
        let layer = AccessLayer::new(grpc::AUDIENCE, keys, clock.clone()).with_service_keys(service_keys);
        let listen = |source| RunError::Listen { address: config.listen, source };
        let listener = Listener::bind(config.listen, certificates.clone()).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let leases = Leases::new(
            store.clone(),
            clock.clone(),
            address.to_string(),
            config.lease_duration,
            config.grant_lifetime,
            meter,
            lifecycle.clone(),
        );
        leases.show(meter);
        let introspections = Arc::new(grpc::Introspections::new(leases.own().clone(), grpc::BOUNDS));
        introspections.show(meter);
        let authority = Authority::new(grpc::Shared {
            store: store.clone(),
            passwords,
            introspections,
            leases,
            signing_keys,
            second_factor_key,
            second_factor_issuer: config.second_factor_issuer.clone(),
            clock: clock.clone(),
            catalog: proto::catalog(),
            policy: Policy {
                grant_lifetime: config.grant_lifetime,
                session_lifetime: config.session_lifetime,
                sessions_per_account: config.sessions_per_account.into(),
                tokens_per_account: config.tokens_per_account.into(),
                expiry_notice: config.expiry_notice,
                throttle: config.throttle.into(),
                passwords: config.password_rules(),
            },
        });

        Ok(Self { listener, certificates, address, authority, layer, store, webhook, clock, lifecycle })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the drain begins, and then until every accepted call is answered.
    ///
    /// # Errors
    /// Where the server fails.
    pub async fn serve(self) -> Result<(), RunError> {
        let (reporter, health) = tonic_health::server::health_reporter();
        self.lifecycle
            .spawn("token-service.health", watch_health(reporter, self.store.clone(), self.lifecycle.clone()));
        let leases = self.authority.leases.clone();
        let following = leases.start();
        let followed = self.authority.signing_keys.clone().follow(self.lifecycle.clone());
        self.lifecycle.spawn("token-service.signing_keys", followed);
        let keep = housekeeping::run(self.store.clone(), self.clock.clone(), self.lifecycle.clone());
        self.lifecycle.spawn("token-service.housekeeping", keep);
        if let Some(webhook) = self.webhook {
            let told = webhook.run(self.store.clone(), self.clock.clone(), self.lifecycle.clone());
            self.lifecycle.spawn("token-service.webhook", told);
        }
        if let Some(certificates) = self.certificates {
            self.lifecycle.spawn("token-service.certificates", certificates.follow(self.lifecycle.clone()));
        }
        tracing::info!(address = %self.address, "token-service is listening");
        let served = access::server()
            .layer(telemetry::ServerSpans)
            .timeout(CALL_TIMEOUT)
            .add_routes(grpc::routes(&self.authority, self.layer).add_service(health))
            .serve_with_incoming_shutdown(self.listener.incoming(), self.lifecycle.draining());
        let drain = self.lifecycle.clone();
        let patience = async move {
            drain.draining().await;
            tokio::time::sleep(DRAIN_TIMEOUT).await;
        };
        // A stream that its client does not read, a health watch say, would hold the drain up for ever.
        tokio::select! {
            served = served => served?,
            () = patience => tracing::warn!("connections that did not end were cut"),
            () = self.lifecycle.aborted() => {}
        }
        leases.end();
        for task in following {
            drop(task.await);
        }
        self.store.close().await;
        Ok(())
    }
}

/// Serving while the database answers, and not while it does not or the drain has begun.
async fn watch_health(mut reporter: tonic_health::server::HealthReporter, store: Store, lifecycle: Lifecycle) {
    let mut tick = tokio::time::interval(HEALTH_INTERVAL);
    loop {
        tokio::select! {
            () = lifecycle.draining() => {
                reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
                // Whoever watches has been told; without a status there is nothing more to watch, and the stream ends.
                reporter.clear_service_status("").await;
                return;
            }
            _ = tick.tick() => {}
        }
        let status = match store.ping().await {
            Ok(()) => tonic_health::ServingStatus::Serving,
            Err(_) => tonic_health::ServingStatus::NotServing,
        };
        reporter.set_service_status("", status).await;
    }
}

/// Why the database was not changed from the command line.
#[derive(Debug, thiserror::Error)]
pub enum AdministerError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// The database cannot be brought to this version.
    #[error("the migration failed")]
    Migrate(#[from] MigrateError),
    /// The rules do not allow the password.
    #[error("the password {0}")]
    Weak(PasswordError),
    /// The password was not hashed.
    #[error("the password cannot be hashed")]
    Password(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The account exists.
    #[error("an account of this login exists already")]
    LoginTaken,
    /// The account does not exist.
    #[error("there is no account of this login")]
    NoSuchAccount,
    /// The account cannot be changed so.
    #[error("the account was not changed")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database did not keep the account.
    #[error("the database did not keep the account")]
    Storage(#[from] storage::StorageError),
}

impl From<HashError> for AdministerError {
    fn from(error: HashError) -> Self {
        Self::Password(Box::new(error))
    }
}

impl From<CreateAccountError> for AdministerError {
    fn from(error: CreateAccountError) -> Self {
        match error {
            CreateAccountError::LoginTaken => Self::LoginTaken,
            CreateAccountError::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<AdministrationError> for AdministerError {
    fn from(error: AdministrationError) -> Self {
        match error {
            AdministrationError::Session(SessionError::Storage(error)) => Self::Storage(error),
            error => Self::Refused(Box::new(error)),
        }
    }
}

/// Brings the database to this version.
///
/// # Errors
/// Where the database cannot be opened or changed, or is of a later version.
pub async fn migrate(config: &Config) -> Result<(), AdministerError> {
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.migrate(&MIGRATIONS).await?;
    database.close().await;
    Ok(())
}

/// Makes an account as the operator, who has the database: the first administrator can be made by nobody else.
///
/// # Errors
/// Where the login is taken or the database cannot keep it.
pub async fn create_account(config: &Config, account: NewAccount) -> Result<AccountId, AdministerError> {
    let accepted = config.password_rules().accept(&account.password, account.login.as_str());
    let password = accepted.map_err(AdministerError::Weak)?;
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    let hash = Passwords::new(1)?.hash(password).await?;
    let store = Store::new(database);
    let now = Clock::system().now();
    let id = store.create_account(&account.login, &account.name, &hash, account.role, None, now).await?;
    store.close().await;
    Ok(id)
}

/// Gives an account another password as the operator, and ends all of its sessions.
///
/// # Errors
/// Where there is no such account or the database cannot keep the change.
pub async fn set_password(config: &Config, login: &Login, password: NewPassword) -> Result<(), AdministerError> {
    let accepted = config.password_rules().accept(&password, login.as_str());
    let password = accepted.map_err(AdministerError::Weak)?;
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    let hash = Passwords::new(1)?.hash(password).await?;
    let store = Store::new(database);
    let account = store.account_by_login(login).await?.ok_or(AdministerError::NoSuchAccount)?;
    administer(config, &store, account.id, &AccountChange::Password { hash }).await?;
    store.close().await;
    Ok(())
}

/// Takes the second factor from an account as the operator, and ends all of its sessions.
///
/// # Errors
/// Where there is no such account or the database cannot keep the change.
pub async fn reset_second_factor(config: &Config, login: &Login) -> Result<(), AdministerError> {
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    let store = Store::new(database);
    let account = store.account_by_login(login).await?.ok_or(AdministerError::NoSuchAccount)?;
    administer(config, &store, account.id, &AccountChange::ResetSecondFactor).await?;
    store.close().await;
    Ok(())
}

/// Changes an account as the operator, and waits until no call is executed under what was taken away: the running replicas note
/// what their holders acknowledge.
async fn administer(
    config: &Config,
    store: &Store,
    account: AccountId,
    change: &AccountChange,
) -> Result<(), AdministerError> {
    let clock = Clock::system();
    let changed = store.administer(account, change, None, clock.now()).await?;
    let (replica, meter) = ("operator".to_owned(), telemetry::meter("token-service"));
    let leases = Leases::new(
        store.clone(),
        clock,
        replica,
        config.lease_duration,
        config.grant_lifetime,
        &meter,
        Lifecycle::new(),
    );
    leases.confirm(&[changed]).await;
    Ok(())
}

/// Whether the database holds an account.
///
/// # Errors
/// Where the database cannot be read.
pub async fn has_accounts(config: &Config) -> Result<bool, AdministerError> {
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    let store = Store::new(database);
    let found = store.has_accounts().await?;
    store.close().await;
    Ok(found)
}
