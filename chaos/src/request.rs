//! One request for a revocation, made again until somebody knows how it ended.

use std::time::Duration;

use proto::token::v1::RevokeCredentialRequest;
use proto::token::v1::introspection_client::IntrospectionClient;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::time::Instant;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request as GrpcRequest};

use crate::api::{Api, Clock, Reply};
use crate::history::{Micros, Verdict};
use crate::stack::{AUTHORITIES, GATEWAYS, Service, Stack};

/// How long somebody insists. Nothing is broken for as long.
const INSISTENCE: Duration = Duration::from_secs(120);

/// How long somebody waits who was not answered.
const PAUSE: Duration = Duration::from_millis(50);

/// What an API answers of which a part is out of reach, or that is broken inside: it is done or not.
const DONE_OR_NOT: [i64; 4] = [99, 9104, 9105, 9109];

/// What it answers where there is nothing more to revoke: no such object, no such credential, no longer that password.
const GONE: [i64; 3] = [5, 702, 801];

/// A request for a revocation.
pub(crate) enum Request {
    /// By the REST API, through any gateway.
    Rest { path: &'static str, credential: String, form: Vec<(&'static str, String)> },
    /// By gRPC, from any replica of the authority, under the test's own service key.
    ByKey { credential: String },
}

/// How it ended.
pub(crate) struct Ending {
    pub(crate) verdict: Verdict,
    pub(crate) began: Micros,
    pub(crate) began_wall: i64,
    pub(crate) last_attempt: Micros,
    pub(crate) attempts: u32,
    pub(crate) gateway: Option<usize>,
    /// The answer of success.
    pub(crate) answer: Value,
}

/// Makes requests.
#[derive(Clone)]
pub(crate) struct Requester {
    api: Api,
    replicas: [IntrospectionClient<Channel>; AUTHORITIES],
    service_key: AsciiMetadataValue,
    clock: Clock,
}

impl Requester {
    /// Waits so long for each answer.
    pub(crate) fn new(stack: &Stack, patience: Duration, clock: Clock) -> anyhow::Result<Self> {
        let replica = |number| {
            let endpoint = Endpoint::from_shared(stack.url(Service::Authority(number)))?;
            let channel = endpoint.timeout(patience).connect_timeout(patience).tcp_nodelay(true).connect_lazy();
            Ok::<_, tonic::transport::Error>(IntrospectionClient::new(channel))
        };
        let service_key = format!("Bearer {}", stack.service_key.expose()).parse()?;
        Ok(Self { api: Api::new(stack, patience), replicas: [replica(0)?, replica(1)?], service_key, clock })
    }

    /// Asks until it is answered. A repetition that is answered with success confirms as the first would: who asks again
    /// believes it.
    ///
    /// # Errors
    /// Where it is refused although nothing is wrong with it.
    pub(crate) async fn insist(&self, request: &Request, rng: &mut StdRng) -> anyhow::Result<Ending> {
        let (began, began_wall) = (self.clock.now(), self.clock.wall());
        let deadline = Instant::now() + INSISTENCE;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let last_attempt = self.clock.now();
            let (reply, gateway) = self.ask(request, rng).await;
            let (at, wall) = (self.clock.now(), self.clock.wall());
            let ending =
                |verdict, answer| Ending { verdict, began, began_wall, last_attempt, attempts, gateway, answer };
            match reply {
                Reply::Done(answer) => return Ok(ending(Verdict::Confirmed { at, wall }, answer)),
                Reply::Refused(result, _) if GONE.contains(&result) && attempts > 1 => {
                    return Ok(ending(Verdict::Gone, Value::Null));
                }
                Reply::Refused(result, _) if DONE_OR_NOT.contains(&result) => {}
                Reply::Refused(_, answer) => anyhow::bail!("a revocation was refused: {}", answer["error"]),
                Reply::Unknown => {}
            }
            if Instant::now() > deadline {
                return Ok(ending(Verdict::Unanswered, Value::Null));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, request: &Request, rng: &mut StdRng) -> (Reply, Option<usize>) {
        match request {
            Request::Rest { path, credential, form } => {
                let gateway = rng.random_range(0..GATEWAYS);
                (self.api.post(gateway, path, credential, form).await, Some(gateway))
            }
            Request::ByKey { credential } => {
                let replica = rng.random_range(0..AUTHORITIES);
                (self.by_key(replica, credential).await, None)
            }
        }
    }

    async fn by_key(&self, replica: usize, credential: &str) -> Reply {
        let message = RevokeCredentialRequest { credential: credential.to_owned(), client_id: String::new() };
        let mut request = GrpcRequest::new(message);
        request.metadata_mut().insert("authorization", self.service_key.clone());
        match self.replicas[replica].clone().revoke_credential(request).await {
            Ok(_) => Reply::Done(Value::Null),
            Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated) => {
                Reply::Refused(8, Value::from(status.message()))
            }
            Err(_) => Reply::Unknown,
        }
    }
}
