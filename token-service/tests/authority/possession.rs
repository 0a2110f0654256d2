//! What whoever has a credential's value does with it.

use std::time::{Duration, Instant};

use access::{Credential, CredentialKind, GATEWAY_KEY_HEADER, ORIGIN_HEADER, Origin};
use proto::catalog::ServiceRole;
use proto::token::v1::{
    ApiToken, AuditEntry, CheckSignRequest, CreateTokenRequest, CredentialKind as WireKind, GetAuditLogRequest,
    GetTokensRequest, IntrospectBatchRequest, IntrospectBatchResponse, IntrospectedCredential, RegenerateTokenRequest,
    ReportLeakedTokenRequest, RevokeCredentialRequest, RevokeCurrentTokenRequest,
};
use proto::{ErrorKind, Failure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::Row;
use testkit::databases;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use crate::stage::{LOGIN, PASSWORD, STOP, Stage, after, assert_invalid, failure, stages, stop_request, with_grant};

/// A service beside the one that the stage calls itself.
struct Client {
    name: &'static str,
    key: Credential,
}

async fn stage_with_client(database: testkit::TestDatabase) -> (Stage, Client) {
    let client = Client { name: "deploy-bot", key: service_key(7) };
    let sha256 = client.key.hash().to_string();
    let stage = Stage::start(database, |config| {
        config.service_keys.push(token_service::ServiceKeyConfig {
            name: client.name.into(),
            role: ServiceRole::Client,
            sha256,
        });
    })
    .await;
    (stage, client)
}

fn service_key(seed: u64) -> Credential {
    Credential::generate(CredentialKind::Service, &mut StdRng::seed_from_u64(seed))
}

fn unknown_token() -> Credential {
    Credential::generate(CredentialKind::Token, &mut StdRng::seed_from_u64(99))
}

fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

/// As a gateway asks for a client of its own.
fn for_client<T>(gateway: &str, client: &Client, message: T) -> Request<T> {
    let mut request = with_key(client.key.expose(), message);
    request.metadata_mut().insert(GATEWAY_KEY_HEADER, gateway.parse().unwrap());
    let origin = Origin::new(Some("203.0.113.9".parse().unwrap()), "curl", "request 7").to_bytes();
    request.metadata_mut().insert_bin(ORIGIN_HEADER, MetadataValue::from_bytes(&origin));
    request
}

async fn batch(stage: &Stage, credentials: &[&str]) -> Result<IntrospectBatchResponse, Status> {
    let credentials = credentials.iter().map(|value| (*value).to_owned()).collect();
    let request = IntrospectBatchRequest { credentials, client_id: String::new() };
    let answer = stage.introspection.clone().introspect_batch(with_key(&stage.service_key, request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn revoke(stage: &Stage, credential: &str) {
    let request = RevokeCredentialRequest { credential: credential.to_owned(), client_id: "test".into() };
    stage.introspection.clone().revoke_credential(with_key(&stage.service_key, request)).await.unwrap();
}

async fn report(stage: &Stage, value: &str) -> Result<(), Status> {
    let request = ReportLeakedTokenRequest { token_value: value.to_owned() };
    stage.authority.clone().report_leaked_token(request).await.map(drop)
}

async fn list(stage: &Stage, session: &str) -> Vec<ApiToken> {
    let request = stage.granted(session, GetTokensRequest::default()).await;
    stage.authority.clone().get_tokens(request).await.unwrap().into_inner().api_tokens
}

async fn audit(stage: &Stage, session: &str) -> Vec<AuditEntry> {
    let request = stage.granted(session, GetAuditLogRequest::default()).await;
    stage.account.clone().get_audit_log(request).await.unwrap().into_inner().entries
}

/// The numbers of the tokens and sessions of the notices that wait.
async fn notices(stage: &Stage) -> Vec<(i64, String)> {
    let open = storage::Database::open(&stage.config.database_url, &storage::DatabaseOptions::default()).await;
    let database = open.unwrap();
    let statement =
        "select credential_id, kind from notice where delivered_at is null and next_attempt_at = about order by id";
    let rows = sqlx::query(statement).fetch_all(database.reader()).await.unwrap();
    rows.iter().map(|row| (row.get("credential_id"), row.get("kind"))).collect()
}

/// A token that was regenerated, with both of its values alive.
async fn overlapping(stage: &Stage, session: &str) -> (i64, String, String) {
    overlapping_for(stage, session, 3600).await
}

async fn overlapping_for(stage: &Stage, session: &str, seconds: u32) -> (i64, String, String) {
    let token = stage.stop_token(session).await;
    let new = regenerate(stage, session, token.id, seconds).await;
    (token.id, token.key.unwrap(), new.key.unwrap())
}

async fn regenerate(stage: &Stage, session: &str, id: i64, overlap: u32) -> ApiToken {
    let request = RegenerateTokenRequest {
        id,
        password: PASSWORD.into(),
        overlap_seconds: Some(overlap),
        ..RegenerateTokenRequest::default()
    };
    let request = stage.granted(session, request).await;
    stage.authority.clone().regenerate_token(request).await.unwrap().into_inner().token.unwrap()
}

#[tokio::test]
async fn a_batch_says_of_each_credential_what_it_is_in_order() {
    for stage in stages().await {
        let session = stage.session().await;
        let confined = CreateTokenRequest {
            expires_at: after(3600),
            environments: vec!["staging-*".into()],
            source_networks: vec!["10.0.0.0/8".into()],
            ..stop_request()
        };
        let token = stage.create_token(&session, confined).await.unwrap();
        let value = token.key.clone().unwrap();
        let unknown = unknown_token();
        let asked = [value.as_str(), "nonsense", &session, unknown.expose(), &stage.service_key, "", &value];
        let answer = batch(&stage, &asked).await.unwrap();
        let alive: Vec<bool> = answer.credentials.iter().map(|known| known.active).collect();
        assert_eq!(alive, [true, false, true, false, false, false, true], "{}", stage.engine);
        for dead in [1, 3, 4, 5] {
            assert_eq!(answer.credentials[dead], IntrospectedCredential::default(), "nothing else is said");
        }
        let expected = IntrospectedCredential {
            active: true,
            kind: WireKind::Token.into(),
            credential_id: token.id,
            account_id: 1,
            login: LOGIN.into(),
            permissions: vec![STOP.into()],
            environments: vec!["staging-*".into()],
            source_networks: vec!["10.0.0.0/8".into()],
            created_at: token.created_on,
            expires_at: token.expires_at,
        };
        assert_eq!(answer.credentials[0], expected, "{}", stage.engine);
        assert_eq!(answer.credentials[6], expected);
        let known = &answer.credentials[2];
        assert_eq!((known.kind(), known.permissions.len()), (WireKind::Session, 0), "{known:?}");
        assert!(known.expires_at.is_some() && known.created_at.is_some());

        let before = answer.as_of;
        revoke(&stage, &value).await;
        let answer = batch(&stage, &[&value]).await.unwrap();
        assert_eq!((answer.as_of, answer.credentials[0].active), (before + 1, false), "{}", stage.engine);
    }
}

#[tokio::test]
async fn a_batch_has_1_to_100_credentials() {
    let stage = Stage::start(testkit::TestDatabase::sqlite(), |_| {}).await;
    let session = stage.session().await;
    assert_eq!(batch(&stage, &[session.as_str(); 100]).await.unwrap().credentials.len(), 100);
    assert_invalid(batch(&stage, &[session.as_str(); 101]).await, "credentials");
    assert_invalid(batch(&stage, &[]).await, "credentials");
}

#[tokio::test]
async fn only_services_introspect_and_revoke_and_only_under_their_own_names() {
    for database in databases() {
        let (stage, client) = stage_with_client(database).await;
        let session = stage.session().await;
        let revocation =
            |client_id: &str| RevokeCredentialRequest { credential: session.clone(), client_id: client_id.into() };
        let question = |id: &str| IntrospectBatchRequest { credentials: vec![session.clone()], client_id: id.into() };
        let refused = |status: Status| assert_eq!(Failure::from(status).kind(), ErrorKind::NotAuthenticated);
        let mut asked = stage.introspection.clone();
        refused(asked.revoke_credential(revocation("")).await.unwrap_err());
        refused(asked.introspect_batch(question("")).await.unwrap_err());
        for key in [&session, service_key(8).expose()] {
            refused(asked.revoke_credential(with_key(key, revocation(""))).await.unwrap_err());
            refused(asked.introspect_batch(with_key(key, question(""))).await.unwrap_err());
        }
        // The gateway's own key makes nobody a client.
        let stranger = Client { name: client.name, key: service_key(8) };
        refused(asked.revoke_credential(for_client(&stage.service_key, &stranger, revocation(""))).await.unwrap_err());
        for other in ["test", "deploy-bot "] {
            let request = for_client(&stage.service_key, &client, revocation(other));
            refused(asked.revoke_credential(request).await.unwrap_err());
            let request = for_client(&stage.service_key, &client, question(other));
            refused(asked.introspect_batch(request).await.unwrap_err());
        }
        assert!(stage.introspect(&session).await.active, "{}: nothing was ended", stage.engine);
        let answer = asked.introspect_batch(for_client(&stage.service_key, &client, question(client.name))).await;
        assert!(answer.unwrap().into_inner().credentials[0].active);
    }
}

#[tokio::test]
async fn a_revocation_by_value_ends_what_it_names_and_tells_nothing_of_what_is_not_there() {
    for database in databases() {
        let (stage, client) = stage_with_client(database).await;
        let (session, other) = (stage.session().await, stage.session().await);
        let token = stage.stop_token(&session).await;
        let value = token.key.clone().unwrap();
        let grant = stage.introspect(&value).await.grant;

        let request = RevokeCredentialRequest { credential: value.clone(), client_id: client.name.into() };
        let mut asked = stage.introspection.clone();
        asked.revoke_credential(for_client(&stage.service_key, &client, request)).await.unwrap();
        assert!(!stage.introspect(&value).await.active, "{}", stage.engine);
        assert!(list(&stage, &session).await.is_empty());
        let again = with_grant(&grant, RevokeCurrentTokenRequest {});
        let again = failure(stage.authority.clone().revoke_current_token(again).await);
        assert_eq!(again.kind(), ErrorKind::NotAuthenticated);
        let entry = &audit(&stage, &session).await[0];
        assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("service deploy-bot", "token.delete"));
        assert_eq!(
            (entry.object.as_str(), entry.outcome.as_str()),
            (format!("token {}", token.id).as_str(), "SUCCESS")
        );
        assert_eq!((entry.address.as_str(), entry.request_id.as_str()), ("203.0.113.9", "request 7"), "{entry:?}");

        revoke(&stage, &other).await;
        assert!(!stage.introspect(&other).await.active);
        let log = audit(&stage, &session).await;
        assert_eq!((log[0].actor.as_str(), log[0].action.as_str()), ("service test", "session.end"));
        let revision = stage.introspect(&session).await.claims.unwrap().as_of;
        for nothing in [value.as_str(), unknown_token().expose(), "nonsense", "", &stage.service_key] {
            revoke(&stage, nothing).await;
        }
        assert_eq!(audit(&stage, &session).await, log, "{}: nothing was changed", stage.engine);
        assert_eq!(stage.introspect(&session).await.claims.unwrap().as_of, revision);
    }
}

#[tokio::test]
async fn an_origin_beside_the_key_of_no_gateway_is_not_believed() {
    let (stage, client) = stage_with_client(testkit::TestDatabase::sqlite()).await;
    let (session, other) = (stage.session().await, stage.session().await);
    let request = RevokeCredentialRequest { credential: other, client_id: String::new() };
    let request = for_client(service_key(8).expose(), &client, request);
    stage.introspection.clone().revoke_credential(request).await.unwrap();
    let entry = &audit(&stage, &session).await[0];
    assert_eq!((entry.action.as_str(), entry.address.as_str()), ("session.end", "127.0.0.1"), "{entry:?}");
}

#[tokio::test]
async fn a_superseded_value_ends_alone() {
    for stage in stages().await {
        let session = stage.session().await;
        let (id, old, new) = overlapping(&stage, &session).await;
        revoke(&stage, &old).await;
        assert!(!stage.introspect(&old).await.active, "{}", stage.engine);
        assert!(stage.introspect(&new).await.active, "{}", stage.engine);
        assert_eq!(list(&stage, &session).await[0].overlap_ends_at, None);
        assert_eq!(audit(&stage, &session).await[0].action, "token.end_overlap");

        let (other, old, new) = overlapping(&stage, &session).await;
        report(&stage, &old).await.unwrap();
        assert!(!stage.introspect(&old).await.active, "{}", stage.engine);
        assert!(stage.introspect(&new).await.active, "{}: it was not the value that leaked", stage.engine);
        assert_eq!(audit(&stage, &session).await[0].action, "token.leak_previous");
        assert_eq!(notices(&stage).await, [(other, "token.previous_leaked".to_owned())]);
        let listed = list(&stage, &session).await.remove(0);
        let leaks = (listed.id, listed.leaked_at, listed.previous_leaked_at.is_some(), listed.overlap_ends_at);
        assert_eq!(leaks, (other, None, true, None), "{}: its owner sees which value leaked", stage.engine);
        let new = regenerate(&stage, &session, other, 0).await;
        assert_eq!(new.previous_leaked_at, None, "{}: that is over", stage.engine);
        let new = new.key.unwrap();
        // The present value takes the one of before with it.
        revoke(&stage, &new).await;
        assert_eq!(list(&stage, &session).await.iter().map(|token| token.id).collect::<Vec<_>>(), [id]);
    }
}

#[tokio::test]
async fn a_superseded_value_whose_time_is_over_is_not_known() {
    for stage in stages().await {
        let session = stage.session().await;
        let (_, old, new) = overlapping_for(&stage, &session, 1).await;
        testkit::eventually("the end of the overlap", Duration::from_secs(20), async || {
            (!stage.introspect(&old).await.active).then_some(())
        })
        .await;
        let log = audit(&stage, &session).await;
        revoke(&stage, &old).await;
        report(&stage, &old).await.unwrap();
        assert_eq!(audit(&stage, &session).await, log, "{}", stage.engine);
        assert!(stage.introspect(&new).await.active);
    }
}

#[tokio::test]
async fn a_token_ends_itself_and_a_session_does_not() {
    for stage in stages().await {
        let session = stage.session().await;
        let (kept, token) = (stage.stop_token(&session).await, stage.stop_token(&session).await);
        let value = token.key.clone().unwrap();
        let grant = stage.introspect(&value).await.grant;
        let end = async |grant: &[u8]| {
            stage.authority.clone().revoke_current_token(with_grant(grant, RevokeCurrentTokenRequest {})).await
        };
        end(&grant).await.unwrap();
        assert!(!stage.introspect(&value).await.active, "{}", stage.engine);
        let left: Vec<i64> = list(&stage, &session).await.iter().map(|token| token.id).collect();
        assert_eq!(left, [kept.id]);
        let log = audit(&stage, &session).await;
        let name = format!("token {}", token.id);
        assert_eq!((&log[0].actor, log[0].action.as_str(), &log[0].object), (&name, "token.delete", &name));
        assert_eq!(failure(end(&grant).await).kind(), ErrorKind::NotAuthenticated);

        let refused = failure(end(&stage.introspect(&session).await.grant).await);
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert!(refused.message().contains("users.authentication.Signout"), "{refused:?}");
        assert!(stage.introspect(&session).await.active);
    }
}

#[tokio::test]
async fn a_superseded_value_that_ends_itself_leaves_the_token() {
    for stage in stages().await {
        let session = stage.session().await;
        let (id, old, new) = overlapping(&stage, &session).await;
        let end = async || {
            let request = with_grant(&stage.introspect(&old).await.grant, RevokeCurrentTokenRequest {});
            stage.authority.clone().revoke_current_token(request).await
        };
        end().await.unwrap();
        assert!(!stage.introspect(&old).await.active, "{}", stage.engine);
        assert!(stage.introspect(&new).await.active, "{}", stage.engine);
        let log = audit(&stage, &session).await;
        assert_eq!((log[0].action.as_str(), &log[0].object), ("token.end_overlap", &format!("token {id}")));
    }
}

#[tokio::test]
async fn a_value_that_was_replaced_ends_no_token_even_under_a_grant_of_before() {
    for stage in stages().await {
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let grant = stage.introspect(&token.key.unwrap()).await.grant;
        let request =
            RegenerateTokenRequest { id: token.id, password: PASSWORD.into(), ..RegenerateTokenRequest::default() };
        let request = stage.granted(&session, request).await;
        stage.authority.clone().regenerate_token(request).await.unwrap();
        let request = with_grant(&grant, RevokeCurrentTokenRequest {});
        let refused = failure(stage.authority.clone().revoke_current_token(request).await);
        // A gateway comes again with a grant of now, and gets none for this value.
        assert_eq!(refused.kind(), ErrorKind::StaleGrant, "{}", stage.engine);
        assert_eq!(list(&stage, &session).await.len(), 1);
    }
}

#[tokio::test]
async fn a_reported_token_is_dead_until_it_is_regenerated_and_its_owner_is_told() {
    for stage in stages().await {
        let session = stage.session().await;
        let (id, old, value) = overlapping(&stage, &session).await;
        let grant = stage.introspect(&value).await.grant;
        let before = stage.introspect(&session).await.claims.unwrap().as_of;
        report(&stage, &value).await.unwrap();
        assert!(!stage.introspect(&value).await.active, "{}", stage.engine);
        assert!(!stage.introspect(&old).await.active, "{}: the overlap has ended", stage.engine);
        assert!(stage.introspect_anew(&session).await.claims.unwrap().as_of > before);
        let listed = &list(&stage, &session).await[0];
        assert_eq!((listed.id, listed.leaked_at.is_some(), listed.overlap_ends_at), (id, true, None));
        assert_eq!(notices(&stage).await, [(id, "token.leaked".to_owned())]);
        let log = audit(&stage, &session).await;
        assert_eq!((log[0].actor.as_str(), log[0].action.as_str()), ("anonymous", "token.leak"));
        assert_eq!((&log[0].object, log[0].address.as_str()), (&format!("token {id}"), "127.0.0.1"));
        let request = with_grant(&grant, RevokeCurrentTokenRequest {});
        let late = failure(stage.authority.clone().revoke_current_token(request).await);
        assert_eq!(late.kind(), ErrorKind::NotAuthenticated, "{}: a grant of before ends nothing", stage.engine);

        let checked = stage.authority.clone().check_sign(with_grant(&grant, CheckSignRequest {})).await;
        assert_eq!(failure(checked).kind(), ErrorKind::NotAuthenticated, "{}", stage.engine);

        report(&stage, &value).await.unwrap();
        assert_eq!(audit(&stage, &session).await, log, "{}: once is enough", stage.engine);
        let request = RegenerateTokenRequest { id, password: PASSWORD.into(), ..RegenerateTokenRequest::default() };
        let request = stage.granted(&session, request).await;
        let new = stage.authority.clone().regenerate_token(request).await.unwrap().into_inner().token.unwrap();
        assert_eq!(new.leaked_at, None);
        assert!(stage.introspect(&new.key.unwrap()).await.active, "{}", stage.engine);
        assert!(!stage.introspect(&value).await.active);
    }
}

#[tokio::test]
async fn a_report_is_answered_alike_whether_there_is_such_a_value() {
    for stage in stages().await {
        let session = stage.session().await;
        let reported = stage.session().await;
        let log = audit(&stage, &session).await;
        let began = Instant::now();
        report(&stage, unknown_token().expose()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
        assert_eq!(audit(&stage, &session).await, log);
        let began = Instant::now();
        report(&stage, &reported).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
        assert!(!stage.introspect(&reported).await.active, "{}: a session has ended", stage.engine);
        let entry = audit(&stage, &session).await.remove(0);
        assert_eq!(entry.action, "session.leak");
        let ended = entry.object.strip_prefix("session ").unwrap().parse().unwrap();
        assert_eq!(notices(&stage).await, [(ended, "session.leaked".to_owned())], "{}", stage.engine);

        for wrong in ["", "nonsense", &stage.service_key, &unknown_token().expose()[1..]] {
            assert_invalid(report(&stage, wrong).await, "tokenValue");
        }
    }
}
