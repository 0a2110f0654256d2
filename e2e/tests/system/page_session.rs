//! The session that the dashboard's browser keeps in a cookie.

use e2e::{Answer, Events, LOGIN, PASSWORD, Stack, stacks};
use reqwest::header::SET_COOKIE;
use reqwest::{Method, RequestBuilder};

use crate::two_factor::second_factor;

const SIGNIN: &str = "/1.0/users/authentication/rest/signin";
const VERIFY: &str = "/1.0/users/authentication/rest/verify2facode";
const SIGNOUT: &str = "/1.0/users/authentication/rest/signout";
const STOP: &str = "/1.0/environment/control/rest/stopenv?envName=shop";
const LIST: &str = "/1.0/environment/control/rest/getenvs";
const WATCH: &str = "/1.0/environment/control/rest/watchenvs";

/// A request as a browser makes it from the page that the gateway serves.
fn from_page(stack: &Stack, path: &str) -> RequestBuilder {
    let request = stack.client.request(Method::POST, path);
    request.header("origin", &stack.url).header("sec-fetch-site", "same-origin")
}

/// Signs in as the page does, and answers with what the browser keeps.
async fn sign_in(stack: &Stack) -> (Answer, String) {
    let form = [("login", LOGIN), ("password", PASSWORD)];
    let answer = stack.client.send(from_page(stack, SIGNIN).header("portcullis-session", "cookie").form(&form)).await;
    assert_eq!(answer.result(), 0, "{answer:?}");
    let set = answer.headers[SET_COOKIE].to_str().unwrap().to_owned();
    let (cookie, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Secure; Path=/");
    assert!(cookie.starts_with("__Host-portcullis=pcl_ses_") && !answer.body.contains("pcl_ses_"), "{}", answer.body);
    (answer, cookie.to_owned())
}

#[tokio::test]
async fn the_page_signs_in_and_out_and_never_sees_its_session() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "shop", "worker", 1).await;
        let (_, cookie) = sign_in(&stack).await;
        let call = async |path: &str| stack.client.send(from_page(&stack, path).header("cookie", &cookie)).await;
        call(LIST).await.success();
        let mut events = Events::open(from_page(&stack, WATCH).header("cookie", &cookie)).await;
        assert_eq!(events.next().await.unwrap().0, "snapshot");
        call(STOP).await.success();

        let out = call(SIGNOUT).await;
        assert_eq!(out.headers[SET_COOKIE], "__Host-portcullis=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0");
        assert_eq!(out.success()["confirmed"], true, "{}", stack.engine);
        assert_eq!(call(LIST).await.result(), 702, "{}", stack.engine);
        assert_eq!(events.end().await["result"], 702, "{}", stack.engine);
    }
}

#[tokio::test]
async fn a_second_factor_opens_what_is_in_the_cookie() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let (_, codes) = second_factor(&stack, &session).await;
    let (answer, cookie) = sign_in(&stack).await;
    assert_eq!(answer.json()["isTwoFactorRequired"], true);
    let call = async |path: &str, form: &[(&str, &str)]| {
        stack.client.send(from_page(&stack, path).header("cookie", &cookie).form(form)).await
    };
    assert_eq!(call(LIST, &[]).await.result(), 702);
    let verified = call(VERIFY, &[("code", &codes[1])]).await;
    assert!(!verified.body.contains("pcl_ses_"), "what came by the cookie goes back by it: {verified:?}");
    assert!(verified.headers[SET_COOKIE].to_str().unwrap().starts_with(&cookie));
    verified.success();
    call(LIST, &[]).await.success();
}

#[tokio::test]
async fn another_site_does_nothing_with_the_cookie() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "shop", "worker", 1).await;
    let (_, cookie) = sign_in(&stack).await;
    let ask = |verb: Method| stack.client.request(verb, STOP).header("cookie", &cookie);
    let own = stack.url.as_str();
    for (what, request) in [
        ("a link", ask(Method::GET)),
        ("a link on the page itself", ask(Method::GET).header("origin", own).header("sec-fetch-site", "same-origin")),
        ("a program", ask(Method::POST)),
        ("a form of another site", ask(Method::POST).header("origin", "https://evil.example.org").form(&[("a", "b")])),
        ("the same from an old browser", ask(Method::POST).header("origin", "null")),
        ("another port of the host", ask(Method::POST).header("origin", "http://127.0.0.1:1")),
        ("another host of the site", ask(Method::POST).header("origin", own).header("sec-fetch-site", "same-site")),
    ] {
        let answer = stack.client.send(request).await;
        assert_eq!(answer.result(), 702, "{what}: {answer:?}");
    }
    assert_eq!(stack.info(&session, "shop").await["env"]["status"], 1, "nothing of it was done");

    // And none has the browser sign in: a session in the answer is for who asked, and no cookie is set.
    let form = [("login", LOGIN), ("password", PASSWORD)];
    for (header, value) in [("origin", "https://evil.example.org"), ("accept", "*/*")] {
        let request =
            stack.client.request(Method::POST, SIGNIN).header("portcullis-session", "cookie").header(header, value);
        let answer = stack.client.send(request.form(&form)).await;
        assert!(!answer.headers.contains_key(SET_COOKIE) && answer.body.contains("pcl_ses_"), "{answer:?}");
    }
    let answer = stack.client.send(from_page(&stack, SIGNIN).form(&form)).await;
    assert!(!answer.headers.contains_key(SET_COOKIE) && answer.body.contains("pcl_ses_"), "nobody asked for a cookie");
}

#[tokio::test]
async fn a_credential_that_is_shown_counts_for_more_than_the_cookie() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let (_, narrow) = stack.token(&session, "environment.control.StopEnv").await;
    let (_, cookie) = sign_in(&stack).await;
    let ask = || from_page(&stack, LIST).header("cookie", &cookie);
    assert_eq!(stack.client.send(ask().bearer_auth(&narrow)).await.result(), 8202);
    assert_eq!(stack.client.send(ask().form(&[("session", "pcl_pat_nonsense")])).await.result(), 702);
    assert_eq!(stack.client.send(ask().form(&[("session", "")])).await.result(), 0, "an empty one is not given");
}
