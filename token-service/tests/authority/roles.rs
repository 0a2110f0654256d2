//! What a service may do with its key, by the role that the operator gave it.

use access::{Credential, CredentialKind, GATEWAY_KEY_HEADER, ORIGIN_HEADER, Origin};
use bytes::Bytes;
use proto::Method;
use proto::catalog::{Access, ServiceRole};
use proto::token::v1::{AuditEntry, GetAuditLogRequest, IntrospectBatchRequest, SigninRequest};
use rand::SeedableRng;
use rand::rngs::StdRng;
use testkit::databases;
use token_service::ServiceKeyConfig;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use crate::stage::{LOGIN, PASSWORD, Stage};

use ServiceRole::{Client, Executor, Gateway};

/// Who may call what: an RPC that is not here has not been thought about.
const TABLE: [(&str, &[ServiceRole]); 7] = [
    ("portcullis.token.v1.Introspection.Introspect", &[Gateway]),
    ("portcullis.token.v1.Introspection.IntrospectBatch", &[Gateway, Client]),
    ("portcullis.token.v1.Introspection.RevokeCredential", &[Gateway, Client]),
    ("portcullis.token.v1.Introspection.GetPublicKeys", &[Gateway, Executor, Client]),
    ("portcullis.token.v1.Departures.GetDeletedAccounts", &[Executor]),
    ("portcullis.token.v1.UseReports.ReportUses", &[Gateway]),
    ("portcullis.token.v1.Leases.Watch", &[Gateway, Executor]),
];

/// An authority that knows a service of each role.
struct Installation {
    stage: Stage,
    keys: Vec<(ServiceRole, String)>,
}

impl Installation {
    async fn start(database: testkit::TestDatabase) -> Self {
        let mut rng = StdRng::seed_from_u64(7);
        let keys = ServiceRole::ALL.map(|role| (role, Credential::generate(CredentialKind::Service, &mut rng)));
        let stage = Stage::start(database, |config| {
            config.service_keys.extend(keys.iter().map(|(role, key)| ServiceKeyConfig {
                name: format!("a {role}"),
                role: *role,
                sha256: key.hash().to_string(),
            }));
        });
        let stage = stage.await;
        Self { stage, keys: keys.iter().map(|(role, key)| (*role, key.expose().to_owned())).collect() }
    }

    fn key(&self, role: ServiceRole) -> &str {
        &self.keys.iter().find(|(known, _)| *known == role).unwrap().1
    }

    /// The code that a call of a method ends with, under a key and with an empty request.
    async fn code(&self, method: &Method, key: &str) -> Code {
        let channel = self.stage.url.parse::<Endpoint>().unwrap().connect().await.unwrap();
        let mut client = Grpc::new(channel);
        client.ready().await.unwrap();
        let mut request = Request::new(Bytes::new());
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        // A stream that is asked once answers no less than a refusal.
        let answer = client.unary(request, method.grpc_path().clone(), Raw).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    }
}

struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put(buffer, message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length)))
    }
}

#[tokio::test]
async fn each_call_between_services_is_open_to_the_roles_that_it_is_for() {
    for database in databases() {
        let installation = Installation::start(database).await;
        let engine = installation.stage.engine;
        let unknown = Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(99));
        let methods: Vec<_> = proto::catalog().with_access(|access| matches!(access, Access::Service { .. })).collect();
        assert_eq!(methods.len(), TABLE.len(), "the table holds what is not in the contract");
        for method in methods {
            let row = TABLE.iter().find(|(name, _)| *name == method.name());
            let (name, roles) = row.unwrap_or_else(|| panic!("{} is not in the table", method.name()));
            for role in ServiceRole::ALL {
                let code = installation.code(method, installation.key(role)).await;
                let refused = matches!(code, Code::PermissionDenied | Code::Unauthenticated);
                assert_eq!(
                    refused,
                    !roles.contains(&role),
                    "{engine}: {name} by a service of the role {role}: {code:?}"
                );
                if refused {
                    assert_eq!(code, Code::PermissionDenied, "{engine}: {name}: the key is known");
                }
            }
            let code = installation.code(method, unknown.expose()).await;
            assert_eq!(code, Code::Unauthenticated, "{engine}: {name} by an unknown service");
        }
    }
}

#[tokio::test]
async fn a_service_key_opens_nothing_that_is_an_accounts() {
    let installation = Installation::start(testkit::TestDatabase::sqlite()).await;
    let open = |method: &&Method| !matches!(method.access(), Some(Access::Service { .. } | Access::Public));
    for method in proto::catalog().methods().iter().filter(|method| method.audience() == "token-service").filter(open) {
        for role in ServiceRole::ALL {
            let code = installation.code(method, installation.key(role)).await;
            assert_eq!(code, Code::Unauthenticated, "{} by a service of the role {role}", method.name());
        }
    }
}

#[tokio::test]
async fn a_client_learns_what_a_token_is_good_for() {
    for database in databases() {
        let installation = Installation::start(database).await;
        let stage = &installation.stage;
        let session = stage.session().await;
        let value = stage.stop_token(&session).await.key.unwrap();
        let request = IntrospectBatchRequest { credentials: vec![value], client_id: "a client".into() };
        let mut request = Request::new(request);
        let key = format!("Bearer {}", installation.key(Client));
        request.metadata_mut().insert("authorization", key.parse().unwrap());
        let answer = stage.introspection.clone().introspect_batch(request).await.unwrap().into_inner();
        assert!(answer.credentials[0].active, "{}", stage.engine);
    }
}

async fn signed_in_from(stage: &Stage, shown: &[(&'static str, String)]) -> AuditEntry {
    let mut request = Request::new(SigninRequest { login: LOGIN.into(), password: PASSWORD.into() });
    for (header, value) in shown {
        request.metadata_mut().insert(*header, value.parse().unwrap());
    }
    let origin = Origin::new(Some("203.0.113.9".parse().unwrap()), "made up", "request 7").to_bytes();
    request.metadata_mut().insert_bin(ORIGIN_HEADER, MetadataValue::from_bytes(&origin));
    let session = stage.authority.clone().signin(request).await.unwrap().into_inner().session;
    let request = stage.granted(&session, GetAuditLogRequest::default()).await;
    stage.account.clone().get_audit_log(request).await.unwrap().into_inner().entries.remove(0)
}

#[tokio::test]
async fn only_a_gateway_is_believed_about_where_a_call_came_in() {
    for database in databases() {
        let installation = Installation::start(database).await;
        for role in ServiceRole::ALL {
            let key = installation.key(role).to_owned();
            let believed = role == Gateway;
            let bearer = ("authorization", format!("Bearer {key}"));
            for shown in [vec![bearer.clone()], vec![(GATEWAY_KEY_HEADER, key.clone()), bearer.clone()]] {
                let entry = signed_in_from(&installation.stage, &shown).await;
                let expected = if believed { ("203.0.113.9", "request 7") } else { ("127.0.0.1", "") };
                let found = (entry.address.as_str(), entry.request_id.as_str());
                assert_eq!(found, expected, "{}: {role}: {entry:?}", installation.stage.engine);
            }
        }
    }
}

#[tokio::test]
async fn no_made_up_address_takes_a_client_past_the_throttle() {
    for database in databases() {
        let mut rng = StdRng::seed_from_u64(7);
        let key = Credential::generate(CredentialKind::Service, &mut rng);
        let stage = Stage::start(database, |config| {
            config.throttle.address_free = 1;
            config.service_keys.push(ServiceKeyConfig {
                name: "deploy-bot".into(),
                role: Client,
                sha256: key.hash().to_string(),
            });
        });
        let stage = stage.await;
        let guess = async |number: u8| {
            let request = SigninRequest { login: format!("nobody-{number}@example.org"), password: "a guess".into() };
            let origin = Origin::new(Some([203, 0, 113, number].into()), "", "");
            let mut request = stage.from(&origin, Request::new(request));
            let key = format!("Bearer {}", key.expose());
            request.metadata_mut().insert("authorization", key.parse().unwrap());
            stage.authority.clone().signin(request).await.unwrap_err().code()
        };
        let mut codes = Vec::new();
        for number in 0..4 {
            codes.push(guess(number).await);
        }
        assert!(codes.contains(&Code::ResourceExhausted), "{}: all come from one address: {codes:?}", stage.engine);
    }
}
