//! An authority that says what a test tells it to, signs real grants, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use access::{
    AccessLayer, AccountId, Claims, Credential, CredentialId, CredentialKind, GrantedKind, Guarded, Handle, KeyRing,
    Origin, PermissionSet, Revision, ServiceKey, ServiceKeys, ServicePermit, SigningKey,
};
use jiff::{SignedDuration, Timestamp};
use lifecycle::Clock;
use proto::catalog::{PermissionId, ServiceRole};
use proto::token::v1::introspection_server::IntrospectionServer;
use proto::token::v1::leases_server::LeasesServer;
use proto::token::v1::rpc::{GetPublicKeys, Introspect, IntrospectBatch, RevokeCredential};
use proto::token::v1::{
    CredentialKind as WireKind, GetPublicKeysRequest, GetPublicKeysResponse, IntrospectBatchRequest,
    IntrospectBatchResponse, IntrospectRequest, IntrospectResponse, IntrospectedCredential, RevokeCredentialRequest,
    RevokeCredentialResponse,
};
use proto::{ErrorKind, Failure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tonic::service::LayerExt;
use tonic::transport::server::Router;

pub(crate) const ALICE: AccountId = AccountId(1);

/// What the authority does when it is asked about a credential.
#[derive(Clone)]
pub(crate) enum Says {
    Session,
    Token(Vec<u32>),
    /// It is alive, but of what kind it is and whose is not said.
    Nonsense,
    /// It never answers.
    Nothing,
    Fails(ErrorKind),
}

/// A revocation that reached it.
#[derive(Clone, Debug)]
pub(crate) struct Revoked {
    pub(crate) value: String,
    /// Whose key it came under.
    pub(crate) service: String,
    pub(crate) client_id: String,
    pub(crate) origin: Origin,
}

/// The service that asks through the gateway.
pub(crate) const CLIENT: &str = "deploy-bot";

#[derive(Clone)]
pub(crate) struct Authority(pub(crate) Arc<Inside>);

pub(crate) struct Inside {
    signing_key: SigningKey,
    service_key: Credential,
    client_key: Credential,
    known: Mutex<HashMap<String, Says>>,
    /// Whether it gives leases.
    pub(crate) leasing: bool,
    /// The newest change, and what the holder has acknowledged.
    pub(crate) newest: watch::Sender<Revision>,
    pub(crate) acknowledged: watch::Sender<Revision>,
    asked: Mutex<Vec<(String, String)>>,
    /// How often it was asked for its keys.
    pub(crate) asked_for_keys: AtomicUsize,
    /// How long its grants are good.
    pub(crate) grants_last: Mutex<SignedDuration>,
    /// How old an answer may have been at most.
    oldest: Mutex<Vec<i64>>,
    revoked: Mutex<Vec<Revoked>>,
}

impl Authority {
    /// One that gives no leases: whoever asks has to ask about each call.
    pub(crate) fn new() -> Self {
        Self::make(false)
    }

    /// One that gives leases.
    pub(crate) fn leasing() -> Self {
        Self::make(true)
    }

    fn make(leasing: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        Self(Arc::new(Inside {
            signing_key: SigningKey::generate(&mut rng),
            service_key: Credential::generate(CredentialKind::Service, &mut rng),
            client_key: Credential::generate(CredentialKind::Service, &mut rng),
            known: Mutex::default(),
            leasing,
            newest: watch::Sender::new(Revision(0)),
            acknowledged: watch::Sender::new(Revision(0)),
            asked: Mutex::default(),
            asked_for_keys: AtomicUsize::new(0),
            grants_last: Mutex::new(SignedDuration::from_secs(60)),
            oldest: Mutex::default(),
            revoked: Mutex::default(),
        }))
    }

    pub(crate) fn service_key(&self) -> &Credential {
        &self.0.service_key
    }

    /// The key of [`CLIENT`].
    pub(crate) fn client_key(&self) -> &str {
        self.0.client_key.expose()
    }

    /// The revocations that reached it.
    pub(crate) fn revoked(&self) -> Vec<Revoked> {
        self.0.revoked.lock().unwrap().clone()
    }

    /// The key ring of a service that trusts it.
    pub(crate) fn key_ring(&self) -> KeyRing {
        let ring = KeyRing::default();
        ring.replace(vec![self.0.signing_key.verifying_key()]);
        ring
    }

    /// A new credential, about which it will say this.
    pub(crate) fn credential(&self, says: Says) -> String {
        let kind = if matches!(says, Says::Session) { CredentialKind::Session } else { CredentialKind::Token };
        let credential = Credential::generate(kind, &mut rand::rng()).expose().to_owned();
        self.0.known.lock().unwrap().insert(credential.clone(), says);
        credential
    }

    pub(crate) fn session(&self) -> String {
        self.credential(Says::Session)
    }

    /// A token for the methods of these names.
    pub(crate) fn token(&self, methods: &[&str]) -> String {
        let permission = |name: &&str| proto::catalog().by_name(name).unwrap().permission().unwrap().0;
        self.credential(Says::Token(methods.iter().map(permission).collect()))
    }

    /// Another thing is said of a credential from now on.
    pub(crate) fn says(&self, credential: &str, says: Says) {
        self.0.known.lock().unwrap().insert(credential.to_owned(), says);
    }

    /// A credential is none any more.
    pub(crate) fn forget(&self, credential: &str) {
        self.0.known.lock().unwrap().remove(credential);
    }

    /// Of which revision the answers had to be at least.
    pub(crate) fn oldest(&self) -> Vec<i64> {
        self.0.oldest.lock().unwrap().clone()
    }

    /// The credentials that it was asked about, with the audiences.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.0.asked.lock().unwrap().clone()
    }

    /// Its gRPC server.
    pub(crate) fn server(&self) -> Router {
        let key =
            ServiceKey { name: "api-gateway".to_owned(), role: ServiceRole::Gateway, hash: self.0.service_key.hash() };
        let client = ServiceKey { name: CLIENT.to_owned(), role: ServiceRole::Client, hash: self.0.client_key.hash() };
        let layer = AccessLayer::new("token-service", self.key_ring(), Clock::system())
            .with_service_keys(ServiceKeys::new(vec![key, client]));
        let service = IntrospectionServer::new(Guarded::new(self.clone()));
        let leases = self.0.leasing.then(|| layer.named_layer(LeasesServer::new(Guarded::new(self.clone()))));
        tonic::transport::Server::builder().add_service(layer.named_layer(service)).add_optional_service(leases)
    }

    fn claims(&self, kind: GrantedKind, permissions: PermissionSet, audience: &str) -> IntrospectResponse {
        let (now, left) = (Timestamp::now(), *self.0.grants_last.lock().unwrap());
        let claims = Claims {
            credential: CredentialId { kind, number: 1 },
            account: ALICE,
            administrator: false,
            permissions,
            confinement: access::Confinement::NONE,
            audience: audience.to_owned(),
            issued_at: now,
            expires_at: now + left,
            as_of: *self.0.newest.borrow(),
            credential_expires_at: None,
            superseded: false,
        };
        let grant = self.0.signing_key.sign(&claims).into();
        IntrospectResponse {
            active: true,
            claims: Some((&claims).into()),
            grant,
            grant_left_micros: left.as_micros().try_into().unwrap(),
        }
    }
}

impl Handle<Introspect> for Authority {
    async fn handle(&self, _: &ServicePermit, request: IntrospectRequest) -> Result<IntrospectResponse, Failure> {
        let says = self.0.known.lock().unwrap().get(&request.credential).cloned();
        self.0.asked.lock().unwrap().push((request.credential, request.audience.clone()));
        self.0.oldest.lock().unwrap().push(request.not_before);
        match says {
            None => Ok(IntrospectResponse::default()),
            Some(Says::Session) => Ok(self.claims(GrantedKind::Session, PermissionSet::default(), &request.audience)),
            Some(Says::Token(permissions)) => {
                let permissions = permissions.into_iter().map(PermissionId).collect();
                Ok(self.claims(GrantedKind::Token, permissions, &request.audience))
            }
            Some(Says::Nonsense) => Ok(IntrospectResponse { active: true, ..IntrospectResponse::default() }),
            Some(Says::Nothing) => std::future::pending().await,
            Some(Says::Fails(kind)) => Err(Failure::new(kind, "what the authority says to services")),
        }
    }
}

impl Handle<GetPublicKeys> for Authority {
    async fn handle(&self, _: &ServicePermit, _: GetPublicKeysRequest) -> Result<GetPublicKeysResponse, Failure> {
        self.0.asked_for_keys.fetch_add(1, Relaxed);
        Ok(GetPublicKeysResponse::default())
    }
}

impl Handle<IntrospectBatch> for Authority {
    async fn handle(
        &self,
        permit: &ServicePermit,
        request: IntrospectBatchRequest,
    ) -> Result<IntrospectBatchResponse, Failure> {
        named(permit, &request.client_id)?;
        let mut credentials = Vec::new();
        for value in request.credentials {
            let says = self.0.known.lock().unwrap().get(&value).cloned();
            self.0.asked.lock().unwrap().push((value, permit.name().to_owned()));
            credentials.push(match says {
                None => IntrospectedCredential::default(),
                Some(Says::Session) => known(WireKind::Session, Vec::new()),
                Some(Says::Token(ids)) => known(WireKind::Token, ids),
                Some(Says::Nonsense) => IntrospectedCredential { active: true, ..IntrospectedCredential::default() },
                Some(Says::Nothing) => std::future::pending().await,
                Some(Says::Fails(kind)) => return Err(Failure::new(kind, "what the authority says to services")),
            });
        }
        Ok(IntrospectBatchResponse { as_of: 0, credentials })
    }
}

impl Handle<RevokeCredential> for Authority {
    async fn handle(
        &self,
        permit: &ServicePermit,
        request: RevokeCredentialRequest,
    ) -> Result<RevokeCredentialResponse, Failure> {
        named(permit, &request.client_id)?;
        self.forget(&request.credential);
        self.0.revoked.lock().unwrap().push(Revoked {
            value: request.credential,
            service: permit.name().to_owned(),
            client_id: request.client_id,
            origin: permit.origin().clone(),
        });
        Ok(RevokeCredentialResponse { confirmed: true, confirmation_micros: 1 })
    }
}

fn named(permit: &ServicePermit, client_id: &str) -> Result<(), Failure> {
    let fits = client_id.is_empty() || client_id == permit.name();
    if fits { Ok(()) } else { Err(Failure::new(ErrorKind::NotAuthenticated, "another service's key")) }
}

/// Token or session 7 of account 1, which ends in 2030. A token is confined.
fn known(kind: WireKind, ids: Vec<u32>) -> IntrospectedCredential {
    let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 999_999_999 });
    let method = |id| proto::catalog().by_permission(PermissionId(id)).unwrap().name().to_owned();
    let confined = |text: &str| if kind == WireKind::Token { vec![text.to_owned()] } else { Vec::new() };
    IntrospectedCredential {
        active: true,
        kind: kind.into(),
        credential_id: 7,
        account_id: ALICE.0,
        login: "alice@example.org".to_owned(),
        permissions: ids.into_iter().map(method).collect(),
        environments: confined("staging-*"),
        source_networks: confined("10.0.0.0/8"),
        created_at: moment(1_700_000_000),
        expires_at: moment(1_900_000_000),
    }
}
