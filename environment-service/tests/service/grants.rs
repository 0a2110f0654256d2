//! The service trusts nothing but a grant.

use access::{AccountId, Claims, Revision, SigningKey};
use jiff::{SignedDuration, Timestamp};
use proto::environment::v1::{
    CreateEnvironmentRequest, DeleteEnvRequest, EnvironmentSpec, GetEnvInfoRequest, GetEnvsRequest, NodeSpec,
    StartEnvRequest, StopEnvRequest,
};
use proto::{ErrorKind, Failure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use testkit::{TestDatabase, eventually};
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::authority::{ALICE, with_grant};
use crate::stage::{LONG, Stage};

/// The permission for `StopEnv`.
const STOP: u32 = 3;

const REFUSALS: &str = "portcullis.grant.refusals";
const STALE: Option<(&str, &str)> = Some(("reason", "stale"));
const UNLEASED: Option<(&str, &str)> = Some(("reason", "unleased"));

/// Calls every method with these grants, and answers how each call ended.
async fn call_all(stage: &Stage, grants: &[&[u8]]) -> Vec<(&'static str, Option<ErrorKind>)> {
    fn carrying<T>(grants: &[&[u8]], message: T) -> Request<T> {
        let (mut request, name) = (Request::new(message), access::GRANT_HEADER);
        for grant in grants {
            request.metadata_mut().append_bin(name, tonic::metadata::MetadataValue::from_bytes(grant));
        }
        // What a caller says of itself elsewhere means nothing.
        request.metadata_mut().insert("x-account-id", "1".parse().unwrap());
        request.metadata_mut().insert("authorization", "Bearer pcl_ses_x".parse().unwrap());
        request
    }
    let name = || "shop".to_owned();
    let env = EnvironmentSpec { shortdomain: "new".to_owned(), ..EnvironmentSpec::default() };
    let create = CreateEnvironmentRequest {
        env: Some(env),
        nodes: vec![NodeSpec { node_type: "pair".to_owned(), ..NodeSpec::default() }],
        env_groups: Vec::new(),
    };
    let mut client = stage.client();
    let mut ends = Vec::new();
    macro_rules! call {
        ($method:ident, $request:expr) => {
            let end = client.$method(carrying(grants, $request)).await.err().map(|status| Failure::from(status).kind());
            ends.push((stringify!($method), end));
        };
    }
    call!(get_envs, GetEnvsRequest::default());
    call!(get_env_info, GetEnvInfoRequest { env_name: name(), lazy: None });
    call!(start_env, StartEnvRequest { env_name: name() });
    call!(stop_env, StopEnvRequest { env_name: name() });
    call!(delete_env, DeleteEnvRequest { env_name: name(), password: None });
    call!(create_environment, create);
    ends
}

#[track_caller]
fn assert_all(ends: Vec<(&'static str, Option<ErrorKind>)>, kind: ErrorKind, what: &str) {
    assert_eq!(ends.len(), 6);
    for (method, end) in ends {
        assert_eq!(end, Some(kind), "{method} with {what}");
    }
}

#[tokio::test]
async fn without_a_good_grant_nothing_is_done() {
    let stage = Stage::sqlite().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let good = stage.authority.session(ALICE);
    let sign = |claims: &Claims| stage.authority.signing_key.sign(claims);
    let second = SignedDuration::from_secs(1);

    let stranger = SigningKey::generate(&mut StdRng::seed_from_u64(99));
    let mut forged = sign(&stage.authority.session(AccountId(2)));
    let at = forged.len() / 4;
    forged[at] ^= 1;
    // The authority's key is named, and a stranger's signature is below.
    let borrowed = {
        use prost::Message;
        let mut grant = proto::token::v1::SignedGrant::decode(&*stranger.sign(&good)).unwrap();
        grant.key_id = stage.authority.signing_key.verifying_key().key_id().to_owned();
        grant.encode_to_vec()
    };
    let expired = sign(&Claims { expires_at: Timestamp::now() - second, ..good.clone() });
    let dead = sign(&Claims { credential_expires_at: Some(Timestamp::now() - second), ..good.clone() });
    let elsewhere = sign(&Claims { audience: "token-service".to_owned(), ..good.clone() });
    let early = sign(&Claims {
        issued_at: Timestamp::now() + second * 60,
        expires_at: Timestamp::now() + second * 120,
        ..good.clone()
    });
    let fine = sign(&good);
    for (grants, what) in [
        (vec![], "no grant"),
        (vec![&b""[..]], "an empty grant"),
        (vec![&b"\xff\xff\xff"[..]], "nonsense"),
        (vec![&forged[..]], "a changed grant"),
        (vec![&borrowed[..]], "another's signature"),
        (vec![&stranger.sign(&good)[..]], "another's key"),
        (vec![&expired[..]], "an expired grant"),
        (vec![&dead[..]], "an expired credential"),
        (vec![&elsewhere[..]], "another audience's grant"),
        (vec![&early[..]], "a grant of the future"),
        (vec![&fine[..], &fine[..]], "two grants"),
    ] {
        assert_all(call_all(&stage, &grants).await, ErrorKind::NotAuthenticated, what);
    }
    assert_eq!(stage.alice().list().await.len(), 1);
    assert_eq!(stage.alice().status("shop").await, 1, "nothing was done");
    assert_eq!(stage.processes().len(), 2);
}

#[tokio::test]
async fn a_token_calls_what_it_lists_and_nothing_else() {
    let stage = Stage::sqlite().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let none = stage.authority.signing_key.sign(&stage.authority.token(ALICE, &[]));
    assert_all(call_all(&stage, &[&none]).await, ErrorKind::MissingPermission, "a token without permissions");
    assert_eq!(stage.processes().len(), 2);

    let stop = stage.authority.signing_key.sign(&stage.authority.token(ALICE, &[STOP]));
    for (method, end) in call_all(&stage, &[&stop]).await {
        let expected = (method != "stop_env").then_some(ErrorKind::MissingPermission);
        assert_eq!(end, expected, "{method}");
    }
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

async fn health(stage: &Stage) -> ServingStatus {
    let request = HealthCheckRequest { service: String::new() };
    HealthClient::new(stage.channel()).check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn it_is_not_ready_before_it_has_the_authoritys_keys() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.start_service().await;
    assert_eq!(health(&stage).await, ServingStatus::NotServing);
    let grant = stage.authority.signing_key.sign(&stage.authority.session(ALICE));
    assert_all(call_all(&stage, &[&grant]).await, ErrorKind::Unavailable, "no authority: an outage is no refusal");

    stage.authority.start().await;
    let ready = || async { (health(&stage).await == ServingStatus::Serving).then_some(()) };
    eventually("ready", LONG, ready).await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
}

#[tokio::test]
async fn a_new_key_of_the_authority_is_learnt_when_a_grant_names_it() {
    let mut stage = Stage::sqlite().await;
    let (old_key, claims) =
        (stage.authority.signing_key.sign(&stage.authority.session(ALICE)), stage.authority.session(ALICE));
    assert_eq!(stage.alice().list().await, []);
    stage.authority.stop().await;
    stage.authority.replace_signing_key().await;
    stage.authority.start().await;
    let grant = stage.authority.signing_key.sign(&claims);
    stage.client().get_envs(with_grant(&grant, GetEnvsRequest::default())).await.unwrap();
    let old = stage.client().get_envs(with_grant(&old_key, GetEnvsRequest::default())).await.unwrap_err();
    assert_eq!(Failure::from(old).kind(), ErrorKind::NotAuthenticated, "the authority does not know it any more");
}

#[tokio::test]
async fn without_a_lease_nothing_is_executed() {
    let short = SignedDuration::from_millis(500);
    let mut stage = Stage::start_with_lease(TestDatabase::sqlite(), short).await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    stage.authority.stop().await;
    let grant = stage.authority.signing_key.sign(&stage.authority.session(ALICE));
    eventually("the end of the lease", LONG, async || {
        let answer = stage.client().get_envs(with_grant(&grant, GetEnvsRequest::default())).await;
        answer.is_err_and(|status| Failure::from(status).kind() == ErrorKind::Unavailable).then_some(())
    })
    .await;
    assert_eq!(stage.metrics.value("portcullis.lease.remaining", None), Some(0.0));
    let before = stage.metrics.value(REFUSALS, UNLEASED).unwrap();
    assert_all(call_all(&stage, &[&grant]).await, ErrorKind::Unavailable, "no lease: an outage is no refusal");
    assert_eq!(stage.metrics.value(REFUSALS, UNLEASED), Some(before + 6.0));
    stage.authority.start().await;
    eventually("another lease", LONG, async || {
        stage.client().get_envs(with_grant(&grant, GetEnvsRequest::default())).await.ok().map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_grant_that_is_older_than_a_change_is_refused_and_counted() {
    let stage = Stage::sqlite().await;
    let sign = |claims: &Claims| stage.authority.signing_key.sign(claims);
    let old = stage.authority.session(ALICE);
    assert_eq!(stage.alice().list().await, []);
    assert_eq!(stage.metrics.value(REFUSALS, STALE), Some(0.0));
    stage.authority.change_alice().await;
    assert_all(call_all(&stage, &[&sign(&old)]).await, ErrorKind::StaleGrant, "an old grant");
    assert_eq!(stage.metrics.value(REFUSALS, STALE), Some(6.0));

    let applied = stage.metrics.value("portcullis.revision.applied", None).unwrap();
    assert_eq!(applied, 1.0);
    let new = Claims { as_of: Revision(1), ..old };
    stage.client().get_envs(with_grant(&sign(&new), GetEnvsRequest::default())).await.unwrap();
    let other = stage.authority.session(AccountId(2));
    stage.client().get_envs(with_grant(&sign(&other), GetEnvsRequest::default())).await.unwrap();
    assert_eq!(stage.metrics.value(REFUSALS, STALE), Some(6.0), "neither a new grant nor another's is stale");
    assert_eq!(stage.metrics.assert_explained(), 4);
}

#[tokio::test]
async fn a_grant_is_good_while_the_authority_is_away_as_long_as_the_lease_lasts() {
    let mut stage = Stage::start_with_lease(TestDatabase::sqlite(), SignedDuration::from_secs(60)).await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    stage.authority.stop().await;
    stage.alice().stop("shop").await.unwrap();
    let stranger = SigningKey::generate(&mut StdRng::seed_from_u64(99)).sign(&stage.authority.session(ALICE));
    let refused = stage.client().get_envs(with_grant(&stranger, GetEnvsRequest::default())).await.unwrap_err();
    assert_eq!(Failure::from(refused).kind(), ErrorKind::Unavailable, "nobody can say whose key it is");
}
