//! The ways in which real clients call, each against the running system.

use e2e::{Answer, Client, Stack};
use reqwest::Method;
use reqwest::multipart::Form;

const STOP: &str = "/1.0/environment/control/rest/stopenv";

/// A stack with a stopped environment, and a token that may stop it once more and look at it.
async fn stage() -> (Stack, Client, String) {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let (_, token) = stack.token(&session, "environment.control.StopEnv,env.control.getenvs").await;
    let client = stack.client.clone();
    (stack, client, token)
}

#[track_caller]
fn assert_done(answer: &Answer, how: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"result":0}"#), "{how}");
}

#[tokio::test]
async fn by_every_path_and_case() {
    let (_stack, client, token) = stage().await;
    for path in [
        STOP,
        "/1.0/environment/control/REST/StopEnv",
        "/1.0/env/control/rest/stopenv",
        "/JElastic/environment/control/rest/stopenv",
        "/jelastic/ENV/control/rest/STOPENV",
    ] {
        assert_done(&client.get(&format!("{path}?envName=my-project&session={token}")).await, path);
        assert_done(&client.post(path, &[("envName", "my-project"), ("session", &token)]).await, path);
    }
}

#[tokio::test]
async fn with_parameters_in_the_query_the_form_or_both() {
    let (_stack, client, token) = stage().await;
    let post = |path: String| client.request(Method::POST, &path);
    let query = format!("{STOP}?envName=my-project&session={token}");
    let session = format!("{STOP}?session={token}");

    assert_done(&client.send(post(query.clone())).await, "POST without a body");
    assert_done(&client.send(post(query.clone()).body("")).await, "POST with an empty body");
    let form = [("envname", "my-project"), ("appid", "1"), ("ruk", ""), ("hx_lang", "en"), ("actionkey", "x")];
    assert_done(
        &client.send(post(session.clone()).form(&form)).await,
        "the session in the query, the rest in the body",
    );
    let webhook = post(query).header("content-type", "application/json").body(r#"{"envName":"other","session":"x"}"#);
    assert_done(&client.send(webhook).await, "a webhook's own body is ignored");

    let multipart = Form::new().text("EnvName", "my-project").text("session", token.clone());
    assert_done(&client.send(post(STOP.to_owned()).multipart(multipart)).await, "multipart");
    let file = reqwest::multipart::Part::bytes(b"x".as_slice()).file_name("x.war");
    let multipart = Form::new().text("session", token.clone()).part("envName", file);
    let refused = client.send(post(STOP.to_owned()).multipart(multipart)).await;
    assert_eq!(refused.result(), 3, "{refused:?}");
    assert!(refused.error().contains("`envName`"), "{refused:?}");
}

#[tokio::test]
async fn with_the_credential_in_every_place() {
    let (_stack, client, token) = stage().await;
    for name in ["session", "token", "Session", "TOKEN"] {
        assert_done(&client.post(STOP, &[("envName", "my-project"), (name, &token)]).await, name);
    }
    let form = [("envName", "my-project")];
    let bearer = client.request(Method::POST, STOP).bearer_auth(&token).form(&form);
    assert_done(&client.send(bearer).await, "Bearer");
    let lower = client.request(Method::POST, STOP).header("authorization", format!("bearer {token}")).form(&form);
    assert_done(&client.send(lower).await, "the scheme in lower case");
    let empty = client.request(Method::POST, &format!("{STOP}?session=")).bearer_auth(&token).form(&form);
    assert_done(&client.send(empty).await, "an empty parameter is none");
}

#[tokio::test]
async fn answers_say_what_they_are() {
    let (_stack, client, token) = stage().await;
    let answer = client.get(&format!("{STOP}?envName=nowhere&session={token}")).await;
    assert_eq!((answer.status, answer.result()), (200, 11));
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["x-request-id"].len(), 36);

    let problem = async |path: &str, form: &[(&str, &str)]| {
        let request = client.request(Method::POST, path).header("accept", "application/problem+json").form(form);
        client.send(request).await
    };
    let missing = problem(STOP, &[("envName", "nowhere"), ("session", &token)]).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.headers["content-type"], "application/problem+json");
    let body = missing.json();
    assert_eq!((&body["status"], &body["result"]), (&404.into(), &11.into()), "{missing:?}");
    assert_eq!(body["detail"].as_str().unwrap(), answer.error());
    let denied = problem("/1.0/environment/control/rest/startenv", &[("envName", "x"), ("session", &token)]).await;
    assert_eq!(denied.status, 403);
    assert_eq!(denied.json()["permission"], "environment.control.StartEnv");
    assert!(denied.headers["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
    let nobody = problem(STOP, &[("envName", "x")]).await;
    assert_eq!(nobody.status, 401);
    assert!(nobody.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    let request = client.request(Method::GET, "/1.0/users/authentication/rest/signin?login=a&password=b");
    let get = client.send(request.header("accept", "application/problem+json")).await;
    assert_eq!((get.status, get.headers["allow"].to_str().unwrap()), (405, "POST"));
    let put = client.request(Method::PUT, STOP).header("accept", "application/problem+json");
    let put = client.send(put).await;
    assert_eq!((put.status, put.headers["allow"].to_str().unwrap()), (405, "GET, POST"));
    assert_done(&problem(STOP, &[("envName", "my-project"), ("session", &token)]).await, "success is no problem");
}

#[tokio::test]
async fn a_token_signs_out_and_lives() {
    let (_stack, client, token) = stage().await;
    // The Maven plug-in does so after each run, by this path, and reads nothing but these members.
    let answer = client.get(&format!("/users/authentication/rest/signout?charset=UTF-8&session={token}")).await;
    assert_done(&answer, "the legacy path");
    let check = client.post("/1.0/users/authentication/rest/checksign", &[("session", &token)]).await.success();
    assert_eq!(check["uid"], 1);
    assert_done(&client.post(STOP, &[("envName", "my-project"), ("session", &token)]).await, "it lives");
}

#[tokio::test]
async fn single_quotes_and_wrapped_answers_as_the_platforms_clients_have_them() {
    let (stack, client, _) = stage().await;
    let session = stack.session().await;
    let form = [
        ("session", session.as_str()),
        ("env", "{'shortdomain':'quoted','ishaenabled':true,'region':null,'unknown':1}"),
        ("nodes", "[{'nodeType':'worker','count':1,'fixedCloudlets':'1','docker':null}]"),
        ("actionkey", "createenv;x"),
    ];
    let answer = client.post("/1.0/environment/control/rest/createenvironment", &form).await.success();
    assert_eq!(answer["response"]["result"], 0);
    assert_eq!(answer["response"]["env"]["shortdomain"], "quoted");
    assert_eq!(answer["response"]["env"]["ishaenabled"], true);
    assert_eq!(answer["response"]["nodes"][0]["nodeType"], "worker");
    let mut image = form;
    image[2].1 = "[{'docker':{'image':'x'}}]";
    let image = client.post("/1.0/environment/control/rest/createenvironment", &image).await;
    assert!(image.result() == 3 && image.error().contains("`nodes[0].docker.image`"), "none is run here: {image:?}");
    let lazy = client.post("/1.0/environment/control/rest/getenvs", &[("session", &session), ("lazy", "True")]).await;
    assert_eq!(lazy.success()["infos"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn tokens_are_chosen_from_sets_dates_and_lists_in_every_form() {
    let (stack, client, _) = stage().await;
    let session = stack.session().await;
    let create = async |more: &[(&str, &str)]| {
        let mut form = vec![("session", session.as_str()), ("password", e2e::PASSWORD), ("description", "x")];
        form.extend(more);
        client.post("/1.0/users/authentication/rest/createtoken", &form).await.success()["token"].take()
    };
    let token = create(&[("tokenTemplate", "ide plugins"), ("expiresAt", "01-02-2999")]).await;
    assert_eq!(token["tokenTemplate"]["name"], "IDE Plugins");
    assert_eq!(token["expiresAt"], "2999-02-01 23:59:59");
    assert_eq!(token["isSystem"], false);
    assert_eq!(token["lastUsed"], serde_json::Value::Null);
    let token = create(&[("apiList", "['env.control.getenvs', 'environment.control.StopEnv']")]).await;
    let items = token["apiListItems"].as_array().unwrap();
    assert_eq!(
        items[0],
        serde_json::json!({
            "id": 5, "method": "environment.control.GetEnvs", "isSafe": true, "isCollaborationAccessible": false
        })
    );
    assert_eq!(items.len(), 2);
}
