//! The keys that grants are signed with are replaced while the system runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use access::{
    AccountId, Claims, Confinement, Credential, CredentialId, GRANT_HEADER, GrantedKind, Revision, SigningKey,
};
use e2e::{Setting, Stack, run};
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use proto::environment::v1::GetEnvInfoRequest;
use proto::environment::v1::control_client::ControlClient;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::token::v1::{GetPublicKeysRequest, IntrospectRequest, SignedGrant};
use proto::{ErrorKind, Failure, catalog};
use testkit::eventually;
use tonic::Request;
use tonic::metadata::MetadataValue;

const LONG: Duration = Duration::from_secs(90);
const INFO: &str = "/1.0/environment/control/rest/getenvinfo";

fn with_key<T>(stack: &Stack, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = Credential::parse(&stack.service_key("api-gateway")).unwrap();
    request.metadata_mut().insert("authorization", key.bearer());
    request
}

/// The keys that a replica tells.
async fn told(stack: &Stack, url: &str) -> HashSet<String> {
    let mut client = IntrospectionClient::connect(url.to_owned()).await.unwrap();
    let answer = client.get_public_keys(with_key(stack, GetPublicKeysRequest {})).await.unwrap().into_inner();
    answer.keys.into_iter().map(|key| key.key_id).collect()
}

/// The key that a replica signs a new grant with.
async fn signing(stack: &Stack, url: &str, token: &str) -> String {
    let mut client = IntrospectionClient::connect(url.to_owned()).await.unwrap();
    let request = IntrospectRequest {
        credential: token.into(),
        audience: "environment-service".into(),
        fresh: true,
        ..Default::default()
    };
    let answer = client.introspect(with_key(stack, request)).await.unwrap().into_inner();
    SignedGrant::decode(answer.grant).unwrap().key_id
}

/// A grant of the operator's key that is good for longer than any that the authority makes.
fn long_grant(key: &SigningKey) -> Vec<u8> {
    let info = catalog().by_name("environment.control.GetEnvInfo").unwrap().permission().unwrap();
    let now = Timestamp::now();
    key.sign(&Claims {
        credential: CredentialId { kind: GrantedKind::Token, number: 1 },
        account: AccountId(1),
        administrator: false,
        permissions: [info].into_iter().collect(),
        confinement: Confinement::NONE,
        audience: "environment-service".to_owned(),
        issued_at: now,
        expires_at: now + SignedDuration::from_mins(30),
        // As new as can be: no change of the credential is newer.
        as_of: Revision(i64::MAX),
        credential_expires_at: None,
        superseded: false,
    })
}

async fn direct(stack: &Stack, grant: &[u8]) -> Result<(), Failure> {
    let mut client = ControlClient::connect(stack.environment_url.clone()).await.unwrap();
    let mut request = Request::new(GetEnvInfoRequest { env_name: "my-project".into(), ..Default::default() });
    request.metadata_mut().insert_bin(GRANT_HEADER, MetadataValue::from_bytes(grant));
    client.get_env_info(request).await.map(drop).map_err(Failure::from)
}

/// Calls until it is told to stop, each time with a token that is new to the gateway's memory or soon will be: grants live for 2 s.
async fn call_on(client: e2e::Client, path: String, stop: Arc<AtomicBool>, calls: Arc<AtomicUsize>) {
    while !stop.load(Relaxed) {
        let answer = client.get(&path).await;
        assert_eq!(answer.result(), 0, "{answer:?}");
        calls.fetch_add(1, Relaxed);
    }
}

#[tokio::test]
async fn a_signing_key_is_replaced_while_calls_go_on_and_the_old_one_is_good_to_its_end() {
    let setting = Setting { token: "grant_lifetime = \"2s\"", replicated: true, ..Setting::default() };
    let stack = Stack::postgres_with(setting).await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let (_, token) = stack.token(&session, "environment.control.GetEnvInfo").await;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let path = format!("{INFO}?envName=my-project&session={token}");
    let callers = [(); 2]
        .map(|()| tokio::spawn(call_on(stack.client.clone(), path.clone(), Arc::clone(&stop), Arc::clone(&calls))));

    let old = stack.signing_key();
    let old_id = old.verifying_key().key_id().to_owned();
    let grant = long_grant(&old);
    direct(&stack, &grant).await.unwrap();
    let config = stack.config("token-service");
    run("portcullis", &["keys", "rotate", "--config", &config], "").await;

    // Every replica tells the new one before it signs.
    let mut new = None;
    for url in &stack.token_urls {
        let keys = told(&stack, url).await;
        assert!(keys.contains(&old_id) && keys.len() == 2, "{keys:?}");
        assert_eq!(signing(&stack, url, &token).await, old_id, "the new one does not sign yet");
        new = keys.into_iter().find(|key| *key != old_id);
    }
    let new = new.unwrap();
    for url in &stack.token_urls {
        eventually("a grant of the new key", LONG, async || (signing(&stack, url, &token).await == new).then_some(()))
            .await;
    }
    direct(&stack, &grant).await.expect("a grant of the old key is good until it can be over");

    for url in &stack.token_urls {
        eventually("the end of the old key", LONG, async || {
            (told(&stack, url).await == HashSet::from([new.clone()])).then_some(())
        })
        .await;
    }
    let refused = eventually("a refusal", LONG, async || direct(&stack, &grant).await.err()).await;
    assert_eq!(refused.kind(), ErrorKind::NotAuthenticated, "{refused:?}");

    let before = calls.load(Relaxed);
    eventually("more calls", LONG, async || (calls.load(Relaxed) > before + 20).then_some(())).await;
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let log = stack.logs();
    for id in [&old_id, &new] {
        assert!(log.contains(id.as_str()), "what becomes of keys is told");
    }
}
