//! A real token-service, and its signing key, by which a test makes what the authority would, and what it would not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use access::{
    AccountId, Claims, Confinement, Credential, CredentialId, CredentialKind, GRANT_HEADER, GrantedKind, PermissionSet,
    Revision, SigningKey,
};
use jiff::{SignedDuration, Timestamp};
use lifecycle::Lifecycle;
use proto::catalog::{PermissionId, ServiceRole};
use proto::token::v1::account_administration_client::AccountAdministrationClient;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::token_authority_client::TokenAuthorityClient;
use proto::token::v1::{DeleteAccountRequest, IntrospectRequest, SigninRequest};
use rand::SeedableRng;
use rand::rngs::StdRng;
use storage::DatabaseUrl;
use token_service::{Config, NewAccount, Role, Service, ServiceKeyConfig};
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::metadata::MetadataValue;

const PASSWORD: &str = "correct horse battery";

pub(crate) const ALICE: AccountId = AccountId(1);
pub(crate) const BOB: AccountId = AccountId(2);

/// The authority, which may not run yet.
pub(crate) struct Authority {
    config: Config,
    pub(crate) signing_key: SigningKey,
    pub(crate) service_key_file: PathBuf,
    running: Option<(Lifecycle, JoinHandle<()>)>,
}

impl Authority {
    /// One that will listen there.
    pub(crate) async fn prepare(folder: &Path, listen: SocketAddr) -> Self {
        let service_key = Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(1));
        let service_key_file = folder.join("service.key");
        std::fs::write(&service_key_file, service_key.expose()).unwrap();
        let database = DatabaseUrl::sqlite(&folder.join("token.db"));
        let mut config = Config::new(database, folder.join("signing-key.pem"));
        config.listen = listen;
        let key = |name: &str, role, key: &Credential| ServiceKeyConfig {
            name: name.into(),
            role,
            sha256: key.hash().to_string(),
        };
        config.service_keys = vec![
            key("environment-service", ServiceRole::Executor, &service_key),
            key("api-gateway", ServiceRole::Gateway, &gateway_key()),
        ];
        token_service::migrate(&config).await.unwrap();
        let signing_key = write_signing_key(&config.signing_key_file, 1);
        Self { config, signing_key, service_key_file, running: None }
    }

    pub(crate) async fn start(&mut self) -> SocketAddr {
        let lifecycle = Lifecycle::new();
        let service = Service::bind(self.config.clone(), lifecycle.clone()).await.unwrap();
        let address = service.local_addr();
        let served = tokio::spawn(async move { service.serve().await.unwrap() });
        self.running = Some((lifecycle, served));
        address
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// How long leases last, from its next start on.
    pub(crate) fn lease_for(&mut self, duration: SignedDuration) {
        self.config.lease_duration = duration;
    }

    pub(crate) async fn stop(&mut self) {
        let (lifecycle, served) = self.running.take().unwrap();
        lifecycle.begin_drain();
        served.await.unwrap();
    }

    /// Changes what every credential of [`ALICE`] is worth; answers when that is confirmed. It can be called once.
    pub(crate) async fn change_alice(&self) {
        let login = "alice@example.org";
        let account = NewAccount {
            login: login.parse().unwrap(),
            name: "Alice".to_owned(),
            password: "correct horse battery".to_owned().into(),
            role: Role::Member,
        };
        assert_eq!(token_service::create_account(&self.config, account).await.unwrap(), ALICE);
        let password = "another horse battery".to_owned().into();
        token_service::set_password(&self.config, &login.parse().unwrap(), password).await.unwrap();
    }

    /// Makes the accounts of [`ALICE`], an administrator, and of [`BOB`].
    pub(crate) async fn make_accounts(&self) {
        for (account, login, role) in [(ALICE, "alice", Role::Administrator), (BOB, "bob", Role::Member)] {
            let password = PASSWORD.to_owned().into();
            let new = NewAccount { login: login.parse().unwrap(), name: login.to_owned(), password, role };
            assert_eq!(token_service::create_account(&self.config, new).await.unwrap(), account);
        }
    }

    /// [`ALICE`] deletes an account, by a session of hers, as a gateway passes it on.
    pub(crate) async fn delete_account(&self, account: AccountId) {
        let url = format!("http://{}", self.config.listen);
        let request = SigninRequest { login: "alice".into(), password: PASSWORD.into() };
        let session = TokenAuthorityClient::connect(url.clone()).await.unwrap().signin(request).await.unwrap();
        let (credential, audience) = (session.into_inner().session, "token-service".to_owned());
        let mut request = Request::new(IntrospectRequest { credential, audience, fresh: false, not_before: 0 });
        request.metadata_mut().insert("authorization", gateway_key().bearer());
        let mut introspection = IntrospectionClient::connect(url.clone()).await.unwrap();
        let grant = introspection.introspect(request).await.unwrap().into_inner().grant;
        let request = DeleteAccountRequest { uid: account.0, password: PASSWORD.into() };
        let mut administration = AccountAdministrationClient::connect(url).await.unwrap();
        assert!(administration.delete_account(with_grant(&grant, request)).await.unwrap().into_inner().confirmed);
    }

    /// Takes another database into use, an empty one, from its next start on.
    pub(crate) async fn replace_database(&mut self, folder: &Path) {
        self.config.database_url = DatabaseUrl::sqlite(&folder.join("another-token.db"));
        token_service::migrate(&self.config).await.unwrap();
    }

    /// Gives it another key to sign with from its next start on.
    pub(crate) async fn replace_signing_key(&mut self) {
        self.signing_key = write_signing_key(&self.config.signing_key_file, 2);
        token_service::reset_signing_keys(&self.config).await.unwrap();
    }

    /// What the authority says of an account's session.
    pub(crate) fn session(&self, account: AccountId) -> Claims {
        let now = Timestamp::now();
        Claims {
            credential: CredentialId { kind: GrantedKind::Session, number: 1 },
            account,
            administrator: false,
            permissions: PermissionSet::default(),
            confinement: Confinement::NONE,
            audience: "environment-service".to_owned(),
            issued_at: now,
            expires_at: now + SignedDuration::from_secs(60),
            as_of: Revision(0),
            credential_expires_at: None,
            superseded: false,
        }
    }

    /// What the authority says of an account's token for some methods.
    pub(crate) fn token(&self, account: AccountId, permissions: &[u32]) -> Claims {
        Claims {
            credential: CredentialId { kind: GrantedKind::Token, number: 1 },
            permissions: permissions.iter().copied().map(PermissionId).collect(),
            ..self.session(account)
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if let Some((lifecycle, _)) = &self.running {
            lifecycle.abort();
        }
    }
}

fn gateway_key() -> Credential {
    Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(3))
}

fn write_signing_key(file: &Path, seed: u64) -> SigningKey {
    let key = SigningKey::generate(&mut StdRng::seed_from_u64(seed));
    std::fs::write(file, key.to_pem().as_bytes()).unwrap();
    key
}

pub(crate) fn with_grant<T>(grant: &[u8], message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().append_bin(GRANT_HEADER, MetadataValue::from_bytes(grant));
    request
}
