use std::path::Path;

use access::{Credential, CredentialKind, GRANT_HEADER, SigningKey};
use bytes::Bytes;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::token_authority_client::TokenAuthorityClient;
use proto::token::v1::{IntrospectRequest, IntrospectResponse, RevokeCredentialRequest, SigninRequest, SigninResponse};
use tempfile::TempDir;
use testkit::{ServiceProcess, binary, free_port};
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::PASSWORD;
use crate::stack::run;

/// The name by which grants mean the authority.
const AUDIENCE: &str = "token-service";

/// The token-service alone, as a process that can be killed and started again.
pub struct Authority {
    process: Option<ServiceProcess>,
    endpoint: Endpoint,
    service_key: Credential,
    executor_key: Credential,
    folder: TempDir,
}

impl Authority {
    /// Writes its configuration, the defaults on a database, and migrates the database.
    pub async fn prepare(database_url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = || Credential::generate(CredentialKind::Service, &mut rand::rng());
        let (service_key, executor_key) = (key(), key());
        let port = free_port();
        write_configuration(folder.path(), database_url, port, [&service_key, &executor_key]);
        let endpoint = endpoint(&format!("http://127.0.0.1:{port}"));
        let authority = Self { process: None, endpoint, service_key, executor_key, folder };
        run("token-service", &["--config", &authority.config(), "migrate"], "").await;
        authority
    }

    /// Makes an account as an operator does. Its password is [`PASSWORD`].
    pub async fn create_account(&self, login: &str) {
        run("token-service", &["--config", &self.config(), "create-account", "--login", login], PASSWORD).await;
    }

    /// Starts the process, and waits until it listens.
    pub async fn start(&mut self) {
        let process = ServiceProcess::start(&binary("token-service"), &["--config", &self.config()], &[]).await;
        process.ready(async || self.endpoint.connect().await.is_ok()).await;
        self.process = Some(process);
    }

    /// Starts the process on one core of the machine alone, and waits until it listens.
    pub async fn start_on(&mut self, core: usize) {
        let arguments = ["--config", &self.config()];
        let process = ServiceProcess::start_on(core, &binary("token-service"), &arguments, &[]).await;
        process.ready(async || self.endpoint.connect().await.is_ok()).await;
        self.process = Some(process);
    }

    /// Where it listens for gRPC.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.uri().to_string()
    }

    /// The key by which it knows a service.
    #[must_use]
    pub fn service_key(&self) -> &str {
        self.service_key.expose()
    }

    /// The key by which it knows a service that executes calls.
    #[must_use]
    pub fn executor_key(&self) -> &str {
        self.executor_key.expose()
    }

    /// Ends the process without asking (SIGKILL).
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// The process's number, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServiceProcess::pid)
    }

    /// Freezes the process (SIGSTOP), where it runs.
    pub fn pause(&self) {
        self.process.iter().for_each(ServiceProcess::pause);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.process.iter().for_each(ServiceProcess::resume);
    }

    /// What the process has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(ServiceProcess::log).unwrap_or_default()
    }

    /// A client on a connection of its own, which is made when it is first needed, and again when it breaks.
    #[must_use]
    pub fn client(&self) -> AuthorityClient {
        AuthorityClient::new(&self.endpoint, self.service_key.expose())
    }

    fn config(&self) -> String {
        self.folder.path().join("token-service.toml").display().to_string()
    }
}

/// Calls the authority as the gateway does: with a service's key, and under the grants that it gets.
#[derive(Clone)]
pub struct AuthorityClient {
    /// What sessions may call.
    pub tokens: TokenAuthorityClient<Channel>,
    introspection: IntrospectionClient<Channel>,
    service_key: AsciiMetadataValue,
}

impl AuthorityClient {
    /// A client of whatever serves at an address, by a service's key.
    ///
    /// # Panics
    /// Where the address is none, or outside of a runtime.
    #[must_use]
    pub fn at(url: &str, service_key: &str) -> Self {
        Self::new(&endpoint(url), service_key)
    }

    fn new(endpoint: &Endpoint, service_key: &str) -> Self {
        let channel = endpoint.connect_lazy();
        Self {
            tokens: TokenAuthorityClient::new(channel.clone()),
            introspection: IntrospectionClient::new(channel),
            service_key: format!("Bearer {service_key}").parse().expect("a key is printable"),
        }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// As the authority answers.
    pub async fn signin(&mut self, login: &str) -> Result<SigninResponse, Status> {
        let request = SigninRequest { login: login.into(), password: PASSWORD.into() };
        Ok(self.tokens.signin(request).await?.into_inner())
    }

    /// What a credential may do right now.
    ///
    /// # Errors
    /// Where the authority does not answer.
    pub async fn introspect(&mut self, credential: &str) -> Result<IntrospectResponse, Status> {
        let (credential, audience) = (credential.into(), AUDIENCE.into());
        let request = IntrospectRequest { credential, audience, ..Default::default() };
        Ok(self.introspection.introspect(self.request(request)).await?.into_inner())
    }

    /// What the authority's database says of a credential, whatever the authority remembers of it.
    ///
    /// # Errors
    /// Where the authority does not answer.
    pub async fn introspect_anew(&mut self, credential: &str) -> Result<IntrospectResponse, Status> {
        let (credential, audience) = (credential.into(), AUDIENCE.into());
        let request = IntrospectRequest { credential, audience, fresh: true, ..Default::default() };
        Ok(self.introspection.introspect(self.request(request)).await?.into_inner())
    }

    /// Ends a credential; everyone who has to know of it knows when this returns.
    ///
    /// # Errors
    /// Where the authority does not answer.
    pub async fn revoke(&mut self, credential: &str) -> Result<(), Status> {
        let request = RevokeCredentialRequest { credential: credential.into(), client_id: String::new() };
        self.introspection.revoke_credential(self.request(request)).await?;
        Ok(())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.service_key.clone());
        request
    }

    /// The grant of a session, for [`with_grant`] in a call of the authority.
    ///
    /// # Errors
    /// Where the authority does not answer, or the session is not alive.
    pub async fn grant(&mut self, session: &str) -> Result<Bytes, Status> {
        self.grant_for(session, AUDIENCE).await
    }

    /// The same, for a call of another service.
    ///
    /// # Errors
    /// As [`AuthorityClient::grant`].
    pub async fn grant_for(&mut self, session: &str, audience: &str) -> Result<Bytes, Status> {
        let (credential, audience) = (session.into(), audience.into());
        let request = IntrospectRequest { credential, audience, ..Default::default() };
        let introspected = self.introspection.introspect(self.request(request)).await?.into_inner();
        if !introspected.active {
            return Err(Status::unauthenticated("the session is not alive"));
        }
        Ok(introspected.grant)
    }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::from_shared(url.to_owned()).expect("an address").tcp_nodelay(true)
}

/// A request that carries a grant.
pub fn with_grant<T>(grant: &[u8], message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(GRANT_HEADER, MetadataValue::from_bytes(grant));
    request
}

fn write_configuration(folder: &Path, database_url: &str, port: u16, keys: [&Credential; 2]) {
    let signing_key = folder.join("signing-key.pem");
    let pem = SigningKey::generate(&mut rand::rng()).to_pem();
    std::fs::write(&signing_key, pem.as_bytes()).expect("the temporary folder can be written");
    let config = format!(
        "listen = \"127.0.0.1:{port}\"\ndatabase_url = \"{database_url}\"\nsigning_key_file = {signing_key:?}\n\
         [[service_keys]]\nname = \"test\"\nrole = \"gateway\"\nsha256 = \"{}\"\n\
         [[service_keys]]\nname = \"executor\"\nrole = \"executor\"\nsha256 = \"{}\"\n",
        keys[0].hash(),
        keys[1].hash(),
    );
    std::fs::write(folder.join("token-service.toml"), config).expect("the temporary folder can be written");
}
