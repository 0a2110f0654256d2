//! Introspection (RFC 7662), revocation (RFC 7009) and metadata (RFC 8414).

use std::time::Duration;

use jiff::SignedDuration;
use proto::ErrorKind;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::authority::{CLIENT, Says};
use crate::client::Answer;
use crate::stage::{START, STOP, Stage, stranger};

const INTROSPECT: &str = "/oauth2/introspect";
const REVOKE: &str = "/oauth2/revoke";
const METADATA: &str = "/.well-known/oauth-authorization-server";

fn post(stage: &Stage, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
    stage.client.request(Method::POST, path).form(form)
}

/// As the client, by HTTP Basic.
async fn asked(stage: &Stage, path: &str, form: &[(&str, &str)]) -> Answer {
    let request = post(stage, path, form).basic_auth(CLIENT, Some(stage.authority.client_key()));
    stage.client.send(request).await
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str) {
    let body = answer.json();
    assert_eq!((answer.status, body["error"].as_str()), (status, Some(error)), "{answer:?}");
    assert!(!body["error_description"].as_str().unwrap().is_empty(), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    let challenged = !answer.header("www-authenticate").is_empty();
    assert_eq!(challenged, status == 401, "{answer:?}");
}

#[tokio::test]
async fn what_is_active_is_described_and_what_is_not_is_not() {
    let stage = Stage::start().await;
    let token = stage.authority.token(&["environment.control.StopEnv", "environment.control.GetEnvs"]);
    let answer = asked(&stage, INTROSPECT, &[("token", &token), ("token_type_hint", "access_token")]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let issuer = format!("http://{}", stage.address);
    let expected = json!({
        "active": true, "scope": "environment.control.StopEnv environment.control.GetEnvs",
        "username": "alice@example.org", "sub": "1", "token_type": "Bearer", "exp": 1_900_000_000, "iat": 1_700_000_000,
        "iss": issuer, "jti": "token 7", "portcullis_environments": ["staging-*"],
        "portcullis_source_networks": ["10.0.0.0/8"],
    });
    assert_eq!(answer.json(), expected);

    let session = stage.authority.session();
    let expected = json!({
        "active": true, "username": "alice@example.org", "sub": "1", "token_type": "Bearer", "exp": 1_900_000_000,
        "iat": 1_700_000_000, "iss": issuer, "jti": "session 7",
    });
    assert_eq!(asked(&stage, INTROSPECT, &[("token", &session)]).await.json(), expected);

    let unknown = access::Credential::generate(access::CredentialKind::Token, &mut rand::rng());
    for dead in [unknown.expose(), "nonsense", "pcl_pat_x", stage.authority.client_key(), " ", "\u{0}"] {
        let answer = asked(&stage, INTROSPECT, &[("token", dead)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"active":false}"#), "{dead:?}");
    }
    let reached: Vec<String> = stage.authority.asked().into_iter().map(|(value, _)| value).collect();
    assert!(!reached.iter().any(|value| value.contains("nonsense")), "what is no credential reaches nobody");
}

#[tokio::test]
async fn the_authority_answers_the_client_and_not_the_gateway() {
    let stage = Stage::start().await;
    let (token, key) = (stage.stopper(), stage.authority.client_key().to_owned());
    let with_secret = [("token", token.as_str()), ("client_id", CLIENT), ("client_secret", &key)];
    let basic = || post(&stage, INTROSPECT, &[("token", &token), ("client_id", CLIENT)]);
    for (how, request) in [
        ("client_secret_basic", basic().basic_auth(CLIENT, Some(&key))),
        ("escaped", basic().basic_auth("deploy%2Dbot", Some(&key))),
        ("client_secret_post", post(&stage, INTROSPECT, &with_secret)),
        ("bearer", post(&stage, INTROSPECT, &[("token", &token)]).bearer_auth(&key)),
    ] {
        let answer = stage.client.send(request).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{how}: {answer:?}");
    }
    let services: Vec<String> = stage.authority.asked().into_iter().map(|(_, service)| service).collect();
    assert_eq!(services, [CLIENT; 4]);
}

#[tokio::test]
async fn nobody_asks_without_a_key_of_their_own() {
    let stage = Stage::start().await;
    let (token, key) = (stage.stopper(), stage.authority.client_key().to_owned());
    let (other, gateway) = (stranger(), stage.authority.service_key().expose().to_owned());
    for path in [INTROSPECT, REVOKE] {
        let ask = || post(&stage, path, &[("token", &token)]);
        let secret =
            |id: &str, key: &str| post(&stage, path, &[("token", &token), ("client_id", id), ("client_secret", key)]);
        for (what, request) in [
            ("nothing", ask()),
            ("another scheme", ask().header("authorization", format!("Digest {key}"))),
            ("no scheme", ask().header("authorization", &key)),
            ("no base 64", ask().header("authorization", "Basic %%%")),
            ("an unknown key", ask().basic_auth(CLIENT, Some(other.expose()))),
            ("the key of another name", ask().basic_auth("api-gateway", Some(&key))),
            ("the name of another key", ask().basic_auth(CLIENT, Some(&gateway))),
            ("no name", ask().basic_auth("", Some(&key))),
            ("no secret", ask().basic_auth(CLIENT, None::<&str>)),
            ("a token", ask().basic_auth(CLIENT, Some(&token))),
            ("an unknown key in the form", secret(CLIENT, other.expose())),
            ("no name in the form", secret("", &key)),
        ] {
            let answer = stage.client.send(request).await;
            assert_error(&answer, 401, "invalid_client");
            assert_eq!(answer.header("www-authenticate"), r#"Basic realm="portcullis""#, "{what}");
            assert!(!answer.body.contains("pcl_"), "{what}: {answer:?}");
        }
        for bearer in [token.as_str(), other.expose(), "nonsense"] {
            let answer = stage.client.send(ask().bearer_auth(bearer)).await;
            assert_error(&answer, 401, "invalid_client");
            assert!(answer.header("www-authenticate").starts_with("Bearer "), "{answer:?}");
        }
    }
    assert_eq!(stage.authority.asked(), [], "nothing was said of the token");
    assert!(stage.authority.revoked().is_empty());
}

#[tokio::test]
async fn a_request_that_is_none_is_told_so() {
    let stage = Stage::start().await;
    let (token, key) = (stage.stopper(), stage.authority.client_key().to_owned());
    for path in [INTROSPECT, REVOKE] {
        let send = async |request: RequestBuilder| stage.client.send(request.basic_auth(CLIENT, Some(&key))).await;
        let plain = |path: &str| stage.client.request(Method::POST, path);
        let form = plain(path).header("content-type", "application/x-www-form-urlencoded");
        for (what, request) in [
            ("no token", post(&stage, path, &[])),
            ("an empty one", post(&stage, path, &[("token", "")])),
            ("two", post(&stage, path, &[("token", &token), ("token", &token)])),
            ("one that is endless", post(&stage, path, &[("token", &"x".repeat(64 * 1024 + 1))])),
            ("JSON", plain(path).header("content-type", "application/json").body(format!("{{\"token\":\"{token}\"}}"))),
            ("text", plain(path).header("content-type", "text/plain").body(format!("token={token}"))),
            ("no body", plain(path)),
            ("a token in the query", plain(&format!("{path}?token={token}")).form(&[("x", "y")])),
            ("two clients", post(&stage, path, &[("token", &token), ("client_secret", &key)])),
            ("two names", post(&stage, path, &[("token", &token), ("client_id", "other")])),
        ] {
            let answer = send(request).await;
            assert_error(&answer, 400, "invalid_request");
            assert!(!answer.body.contains(&token), "{what}: {answer:?}");
        }
        assert_error(&send(form.body("x".repeat(4 * 1024 * 1024 + 1))).await, 413, "invalid_request");
        for verb in [Method::GET, Method::PUT] {
            let request = stage.client.request(verb, &format!("{path}?token={token}"));
            let answer = send(request).await;
            assert_error(&answer, 405, "invalid_request");
            assert_eq!(answer.header("allow"), "POST");
        }
    }
    assert!(stage.authority.revoked().is_empty());
}

#[tokio::test]
async fn a_revocation_goes_on_with_the_clients_key_and_where_it_came_in() {
    let stage = Stage::configured(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let token = stage.stopper();
    let request = post(&stage, REVOKE, &[("token", &token), ("token_type_hint", "refresh_token")]);
    let request = request.basic_auth(CLIENT, Some(stage.authority.client_key())).header("user-agent", "cleaner/1");
    let answer = stage.client.send(request.header("x-forwarded-for", "203.0.113.9")).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
    let revoked = stage.authority.revoked().remove(0);
    assert_eq!((revoked.value.as_str(), revoked.service.as_str()), (token.as_str(), CLIENT));
    assert_eq!((revoked.client_id.as_str(), revoked.origin.user_agent.as_str()), (CLIENT, "cleaner/1"));
    assert_eq!(revoked.origin.address, Some("203.0.113.9".parse().unwrap()));
    assert_eq!(revoked.origin.request_id, answer.header("x-request-id"));

    for nothing in [token.as_str(), "nonsense"] {
        let again = asked(&stage, REVOKE, &[("token", nothing)]).await;
        assert_eq!((again.status, again.body.as_str()), (200, answer.body.as_str()), "{nothing}");
    }
}

#[tokio::test]
async fn an_outage_is_no_answer() {
    let mut stage = Stage::configured(|config| {
        config.introspection_timeout = SignedDuration::try_from(Duration::from_millis(300)).unwrap();
    })
    .await;
    for (says, status, error) in [
        (Says::Nothing, 503, "temporarily_unavailable"),
        (Says::Fails(ErrorKind::Unavailable), 503, "temporarily_unavailable"),
        (Says::Fails(ErrorKind::Throttled), 503, "temporarily_unavailable"),
        (Says::Fails(ErrorKind::Internal), 500, "server_error"),
        (Says::Fails(ErrorKind::InvalidParameter), 500, "server_error"),
        (Says::Nonsense, 500, "server_error"),
    ] {
        let credential = stage.authority.credential(says);
        let answer = asked(&stage, INTROSPECT, &[("token", &credential)]).await;
        assert_error(&answer, status, error);
        assert!(!answer.body.contains("active") && !answer.body.contains("what the authority says"), "{answer:?}");
    }
    let token = stage.stopper();
    stage.end_token_service().await;
    for path in [INTROSPECT, REVOKE] {
        for value in [token.as_str(), "nonsense"] {
            assert_error(&asked(&stage, path, &[("token", value)]).await, 503, "temporarily_unavailable");
        }
    }
}

#[tokio::test]
async fn the_metadata_says_where_and_how() {
    let stage = Stage::start().await;
    let request = stage.client.request(Method::GET, METADATA).header("host", "attacker.example");
    let answer = stage.client.send(request).await;
    let issuer = format!("http://{}", stage.address);
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    let scopes: Vec<&str> = proto::catalog().permissions().iter().map(|method| method.name()).collect();
    let expected = json!({
        "issuer": issuer, "introspection_endpoint": format!("{issuer}{INTROSPECT}"),
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": format!("{issuer}{REVOKE}"), "revocation_endpoint_auth_methods_supported": methods,
        "scopes_supported": scopes, "response_types_supported": [], "grant_types_supported": [],
    });
    assert_eq!((answer.status, answer.json()), (200, expected), "a request does not say who we are");
    let head = stage.client.send(stage.client.request(Method::HEAD, METADATA)).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let post = stage.client.post(METADATA, &[]).await;
    assert_error(&post, 405, "invalid_request");
    assert_eq!(post.header("allow"), "GET, HEAD");

    let stage = Stage::configured(|config| config.public_url = Some("https://API.example.org:443/".to_owned())).await;
    let document = stage.client.get(METADATA).await.json();
    assert_eq!(document["issuer"], "https://api.example.org");
    assert_eq!(document["introspection_endpoint"], "https://api.example.org/oauth2/introspect");
    let session = stage.authority.session();
    assert_eq!(asked(&stage, INTROSPECT, &[("token", &session)]).await.json()["iss"], "https://api.example.org");
}

#[tokio::test]
async fn a_refusal_says_which_permissions_would_do() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let permissions = json!(["environment.control.StartEnv"]);
    let form = [("envName", "a"), ("session", token.as_str())];
    let plain = stage.client.post(START, &form).await;
    plain.assert_refused(8202, "environment.control.StartEnv");
    assert_eq!((&plain.json()["permissions"], &plain.json()["permission"]), (&permissions, &permissions[0]));
    let problem = stage.client.problem(post(&stage, START, &form)).await;
    assert_eq!((problem.status, &problem.json()["permissions"]), (403, &permissions));

    // Every problem of the method, and of the plain answers none but that one.
    for (form, status) in [(vec![("envName", "a")], 401), (vec![("session", token.as_str())], 400)] {
        let problem = stage.client.problem(post(&stage, STOP, &form)).await;
        assert_eq!(problem.status, status, "{problem:?}");
        assert_eq!(problem.json()["permissions"], json!(["environment.control.StopEnv"]), "{problem:?}");
        assert_eq!(stage.client.post(STOP, &form).await.json().get("permissions"), None);
    }
    let check = "/1.0/users/authentication/rest/checksign";
    let problem = stage.client.problem(post(&stage, check, &[])).await;
    assert_eq!((problem.status, &problem.json()["permissions"]), (401, &json!([])), "no permission opens it");
}
