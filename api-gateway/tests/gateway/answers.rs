//! What comes back.

use proto::ErrorKind;
use reqwest::Method;

use crate::authority::Says;
use crate::stage::{CREATE, INFO, LIST, STOP, Stage};

#[tokio::test]
async fn every_answer_says_what_it_is() {
    let stage = Stage::start().await;
    let stop = format!("{STOP}?envName=a&session={}", stage.stopper());
    for (verb, path) in [
        (Method::GET, stop.as_str()),
        (Method::GET, STOP),
        (Method::PUT, STOP),
        (Method::GET, "/nowhere"),
        (Method::GET, "/healthz"),
        (Method::GET, "/readyz"),
        (Method::PUT, "/healthz"),
        (Method::POST, "/readyz"),
    ] {
        let answer = stage.client.send(stage.client.request(verb.clone(), path)).await;
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8", "{verb} {path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{verb} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{verb} {path}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{verb} {path}");
        assert!(answer.json().is_object());
    }
}

#[tokio::test]
async fn what_is_empty_is_told_and_what_is_absent_is_not() {
    let stage = Stage::start().await;
    let session = stage.authority.session();
    let answer = stage.client.post(INFO, &[("session", &session), ("envName", "a")]).await;
    let body = answer.json();
    assert!(answer.body.starts_with(r#"{"result":0,"env":{"appid":"","#), "{answer:?}");
    assert_eq!(body["env"]["uid"], 0);
    assert_eq!(body["env"]["ishaenabled"], false);
    assert_eq!(body["nodes"], serde_json::json!([]));
    assert_eq!(body["env"].get("createdOn"), None);
    assert_eq!(body["env"].get("hostGroup"), None);

    let form = [("session", session.as_str()), ("env", r#"{"shortdomain":"a"}"#), ("nodes", "[{}]")];
    let answer = stage.client.post(CREATE, &form).await;
    assert!(answer.body.starts_with(r#"{"result":0,"response":{"result":0,"env":{"#), "{answer:?}");
}

#[tokio::test]
async fn large_answers_and_large_numbers_arrive_whole() {
    let stage = Stage::start().await;
    let session = stage.authority.session();
    let answer = stage.client.post(LIST, &[("session", &session), ("lazy", "True")]).await;
    let body = answer.json();
    assert_eq!(body["infos"].as_array().unwrap().len(), 8);
    assert_eq!(body["infos"][7]["env"]["uid"], i64::MAX);
    assert_eq!(body["infos"][7]["env"]["displayName"].as_str().unwrap().chars().count(), 512 * 1024);
    assert_eq!(stage.upstream.reached()[0].1, "lazy Some(true)");
}

#[tokio::test]
async fn what_a_service_refuses_is_told_and_what_breaks_in_it_is_not() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let stop = async |name: &str| stage.client.post(STOP, &[("session", &token), ("envName", name)]).await;
    stop("nowhere").await.assert_refused(11, "there is no environment `nowhere`");
    let bad = stop("bad").await;
    bad.assert_refused(3, "`envName` must be better");
    assert_eq!((&bad.json()["reason"], &bad.json()["parameter"]), (&"INVALID_PARAMETER".into(), &"envName".into()));
    let broken = stop("broken").await;
    broken.assert_refused(99, "internal error");
    assert!(!broken.body.contains("10.0.0.7"));
    // No such RPC is served there: a status that is not of our making.
    let check = "/1.0/users/authentication/rest/checksign";
    stage.client.post(check, &[("session", &token)]).await.assert_refused(99, "internal error");
}

#[tokio::test]
async fn who_asks_for_problems_gets_the_true_status() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let stop = async |name: &str, token: &str| {
        stage.client.problem(stage.client.request(Method::GET, &format!("{STOP}?envName={name}&session={token}"))).await
    };
    let nowhere = stop("nowhere", &token).await;
    assert_eq!((nowhere.status, nowhere.header("content-type")), (404, "application/problem+json"));
    let expected = serde_json::json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no environment `nowhere`",
        "result": 11, "reason": "ENVIRONMENT_NOT_FOUND", "source": "JEL", "permissions": ["environment.control.StopEnv"],
    });
    assert_eq!(nowhere.json(), expected);
    assert_eq!(stop("bad", &token).await.json()["parameter"], "envName");
    assert_eq!(stop("broken", &token).await.status, 500);
    stop("a", &token).await.assert_done();

    // RFC 6750, section 3.1: who showed nothing is told no more than how to.
    let nobody = stop("a", "").await;
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, r#"Bearer realm="portcullis""#));
    let unknown = stop("a", "nonsense").await;
    assert_eq!(unknown.status, 401);
    assert_eq!(unknown.header("www-authenticate"), r#"Bearer realm="portcullis", error="invalid_token""#);
    let other = stop("a", &stage.authority.token(&["environment.control.GetEnvs"])).await;
    assert_eq!(other.status, 403);
    assert!(
        other.header("www-authenticate").contains(r#"error="insufficient_scope", scope="environment.control.StopEnv""#)
    );
    assert_eq!(other.json()["permission"], "environment.control.StopEnv");
}

#[tokio::test]
async fn what_the_authority_says_to_the_gateway_is_not_for_the_caller() {
    let stage = Stage::start().await;
    for (kind, result) in [
        (ErrorKind::NotAuthenticated, 99),
        (ErrorKind::PermissionDenied, 99),
        (ErrorKind::InvalidParameter, 99),
        (ErrorKind::Internal, 99),
        (ErrorKind::Throttled, 9105),
        (ErrorKind::Unavailable, 9105),
    ] {
        let credential = stage.authority.credential(Says::Fails(kind));
        let answer = stage.client.post(STOP, &[("envName", "a"), ("session", &credential)]).await;
        answer.assert_refused(result, "");
        assert!(!answer.body.contains("what the authority says"), "{answer:?}");
    }
    assert_eq!(stage.upstream.reached(), []);
}
