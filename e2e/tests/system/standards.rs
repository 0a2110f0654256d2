//! Other services as clients, with an OAuth library that knows nothing of this platform.

use e2e::{CLIENT_NAME as NAME, Client, PASSWORD, Stack, stacks};
use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AccessToken, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IntrospectionUrl,
    RequestTokenError, RevocationUrl, StandardRevocableToken, TokenIntrospectionResponse,
};
use reqwest::Method;
use serde_json::{Value, json};

type OauthClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointNotSet>;

const STOP: &str = "/1.0/environment/control/rest/stopenv";

/// What the metadata leads a client to.
async fn discovered(stack: &Stack, name: &str, key: &str) -> OauthClient {
    let metadata = stack.client.get("/.well-known/oauth-authorization-server").await.json();
    // The library sends revocations over TLS only: it is told of the proxy that would end TLS in front of the gateway.
    let endpoint = |name: &str| metadata[name].as_str().unwrap().replace("http://", "https://");
    BasicClient::new(ClientId::new(name.to_owned()))
        .set_client_secret(ClientSecret::new(key.to_owned()))
        .set_introspection_url(IntrospectionUrl::new(endpoint("introspection_endpoint")).unwrap())
        .set_revocation_url(RevocationUrl::new(endpoint("revocation_endpoint")).unwrap())
}

/// Sends what the library has written, without TLS and otherwise as it is.
async fn send(client: Client, request: HttpRequest) -> Result<HttpResponse, std::io::Error> {
    let (parts, body) = request.into_parts();
    let sent = client.request(parts.method, parts.uri.path()).headers(parts.headers).body(body);
    let answer = client.send(sent).await;
    let mut response = HttpResponse::new(answer.body.into_bytes());
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap();
    *response.headers_mut() = answer.headers;
    Ok(response)
}

#[tokio::test]
async fn a_client_of_another_make_introspects_and_revokes() {
    for stack in stacks().await {
        let session = stack.session().await;
        let (id, token) = stack.token(&session, "environment.control.StopEnv,env.control.getenvs").await;
        let client = discovered(&stack, NAME, &stack.service_key(NAME)).await;
        let http = |request| send(stack.client.clone(), request);

        let value = AccessToken::new(token.clone());
        let known = client.introspect(&value).request_async(&http).await.unwrap();
        assert!(known.active(), "{}", stack.engine);
        let scopes: Vec<&str> = known.scopes().unwrap().iter().map(|scope| scope.as_str()).collect();
        assert_eq!(scopes, ["environment.control.GetEnvs", "environment.control.StopEnv"]);
        assert_eq!((known.username(), known.sub()), (Some(e2e::LOGIN), Some("1")));
        assert_eq!((known.jti(), known.iss()), (Some(format!("token {id}").as_str()), Some(stack.url.as_str())));
        assert_eq!(known.exp(), None);
        let now = jiff::Timestamp::now().as_second();
        assert!((now - 600..=now).contains(&known.iat().unwrap().timestamp()));
        let opened = AccessToken::new(session.clone());
        let opened = client.introspect(&opened).request_async(&http).await.unwrap();
        assert!(opened.active() && opened.scopes().is_none() && opened.exp().is_some(), "{opened:?}");

        let revocable = StandardRevocableToken::AccessToken(value.clone());
        client.revoke_token(revocable.clone()).unwrap().request_async(&http).await.unwrap();
        let dead = client.introspect(&value).request_async(&http).await.unwrap();
        assert!(!dead.active() && dead.username().is_none(), "{}: {dead:?}", stack.engine);
        let call = stack.client.post(STOP, &[("envName", "x"), ("session", &token)]).await;
        assert_eq!(call.result(), 702, "{}: the revocation counts at once", stack.engine);
        client.revoke_token(revocable).unwrap().request_async(&http).await.unwrap();

        let audit = stack.client.post("/1.0/users/account/rest/getauditlog", &[("session", &session)]).await.success();
        let entry = &audit["entries"][0];
        assert_eq!((&entry["actor"], &entry["action"]), (&json!("service deploy-bot"), &json!("token.delete")));
        assert_eq!(entry["address"], "127.0.0.1", "where the client called from, not where the gateway did");
        assert_eq!(entry["requestId"].as_str().map(str::len), Some(36), "{entry}");
    }
}

#[tokio::test]
async fn a_stranger_and_an_outage_are_told_apart_from_an_inactive_token() {
    for mut stack in stacks().await {
        let session = stack.session().await;
        let (_, token) = stack.token(&session, "environment.control.StopEnv").await;
        let value = AccessToken::new(token.clone());
        let key = stack.service_key(NAME);
        let client = discovered(&stack, NAME, &key).await;
        let gateway = stack.client.clone();
        let http = |request| send(gateway.clone(), request);
        let executor = "environment-service";
        for (name, key) in [
            ("api-gateway", key.as_str()),
            (NAME, &token),
            (NAME, &stack.service_key("api-gateway")),
            // Known, under its own name, and no client.
            (executor, &stack.service_key(executor)),
        ] {
            let stranger = discovered(&stack, name, key).await;
            let refused = stranger.introspect(&value).request_async(&http).await.unwrap_err();
            let RequestTokenError::ServerResponse(refused) = refused else { panic!("{refused:?}") };
            assert_eq!(refused.error(), &BasicErrorResponseType::InvalidClient, "{}", stack.engine);
        }

        stack.token.take().unwrap().kill().await;
        let outage = client.introspect(&value).request_async(&http).await.unwrap_err();
        let RequestTokenError::ServerResponse(outage) = outage else { panic!("{outage:?}") };
        assert_eq!(outage.error().as_ref(), "temporarily_unavailable", "{}", stack.engine);
        let request = stack.client.request(Method::POST, "/oauth2/introspect").form(&[("token", &token)]);
        let answer = stack.client.send(request.basic_auth(NAME, Some(&key))).await;
        assert_eq!((answer.status, answer.json().get("active")), (503, None), "{answer:?}");

        stack.start_token_service().await;
        stack.ready().await;
        assert!(client.introspect(&value).request_async(&http).await.unwrap().active(), "{}", stack.engine);
    }
}

#[tokio::test]
async fn whoever_has_a_token_ends_it_and_whoever_finds_one_reports_it() {
    for stack in stacks().await {
        let session = stack.session().await;
        let call = async |method: &str, form: &[(&str, &str)]| {
            stack.client.post(&format!("/1.0/users/authentication/rest/{method}"), form).await
        };
        let (_, own) = stack.token(&session, "environment.control.StopEnv").await;
        let (found, leaked) = stack.token(&session, "environment.control.StopEnv").await;

        let kept = call("revokecurrenttoken", &[("session", &session)]).await;
        assert_eq!(kept.result(), 8, "{kept:?}");
        assert!(kept.error().contains("users.authentication.Signout"), "{kept:?}");
        let ended = call("revokecurrenttoken", &[("session", &own)]).await.success();
        assert_eq!(ended["confirmed"], true, "{}: {ended}", stack.engine);
        assert!(ended["confirmationMicros"].as_u64().unwrap() > 0, "{}: {ended}", stack.engine);
        assert_eq!(call("checksign", &[("session", &own)]).await.result(), 702);

        let get = format!("/1.0/users/authentication/rest/reportleakedtoken?tokenValue={leaked}");
        assert_eq!(stack.client.get(&get).await.result(), 9106, "a URL leaks");
        let unknown = access::Credential::generate(access::CredentialKind::Token, &mut rand::rng());
        for value in [unknown.expose(), &leaked, &leaked] {
            let answer = call("reportleakedtoken", &[("tokenValue", value)]).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"result":0}"#), "{}", stack.engine);
        }
        let dead = stack.client.post(STOP, &[("envName", "x"), ("session", &leaked)]).await;
        assert_eq!(dead.result(), 702, "{}", stack.engine);
        let listed = call("gettokens", &[("session", &session)]).await.success();
        let told: Vec<(&Value, bool)> = listed["apiTokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| (&token["id"], token["leakedAt"].is_string()))
            .collect();
        assert_eq!(told, [(&json!(found), true)], "{}", stack.engine);

        let form = [("session", session.as_str()), ("password", PASSWORD), ("id", &found.to_string())];
        let fresh = call("regeneratetoken", &form).await.success();
        let fresh = fresh["token"]["key"].as_str().unwrap();
        assert_eq!(call("checksign", &[("session", fresh)]).await.result(), 0, "{}", stack.engine);
    }
}
