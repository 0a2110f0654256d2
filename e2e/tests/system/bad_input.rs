//! Bad input: each gets its documented result and a text that names what is wrong, and changes nothing.

use std::time::Duration;

use e2e::{Answer, Client, PASSWORD, Stack};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CREATE_TOKEN: &str = "/1.0/users/authentication/rest/createtoken";
const CREATE_ENVIRONMENT: &str = "/1.0/environment/control/rest/createenvironment";
const STOP: &str = "/1.0/environment/control/rest/stopenv";

#[track_caller]
fn assert_refused(answer: &Answer, result: i64, named: &str) {
    assert_eq!((answer.status, answer.result()), (200, result), "{answer:?}");
    assert!(answer.error().contains(named), "{named} is named: {answer:?}");
    assert_eq!(answer.json()["source"], "JEL");
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let stack = Stack::sqlite().await;
    for path in ["/1.0/environment/control/rest/nosuchmethod", "/1.0/no/such/rest/service", "/nowhere", "/1.0/"] {
        assert_refused(&stack.client.get(path).await, 9103, path);
    }
    let introspect = stack.client.get("/portcullis.token.v1.Introspection/Introspect").await;
    assert_eq!(introspect.result(), 9103, "what is for services is not there");
    let signin = stack.client.get("/1.0/users/authentication/rest/signin?login=a&password=b").await;
    assert_refused(&signin, 9106, "Signin");
    let request = stack.client.request(Method::GET, "/1.0/environment/control/rest/nosuchmethod");
    let problem = stack.client.send(request.header("accept", "application/problem+json")).await;
    assert_eq!(problem.status, 404);
    assert_eq!(problem.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn bad_parameters_of_a_token() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let good: [(&str, &str); 4] = [
        ("session", &session),
        ("password", PASSWORD),
        ("description", "d"),
        ("apiList", "environment.control.StopEnv"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut form: Vec<(&str, &str)> = good.iter().copied().filter(|(known, _)| *known != name).collect();
        form.push((name, value));
        form
    };
    let large: &'static str = Box::leak("x".repeat(1024 * 1024).into_boxed_str());
    for (form, named) in [
        (with("description", ""), "`description`"),
        (with("description", "   "), "`description`"),
        (with("description", large), "`description`"),
        (with("apiList", "environment.control.NoSuch"), "environment.control.NoSuch"),
        (with("apiList", "users.authentication.CreateToken"), "users.authentication.CreateToken"),
        (with("apiList", ""), "`apiList`"),
        (with("tokenTemplate", "Nonsense"), "`tokenTemplate`"),
        (with("tokenTemplate", "Marketplace"), "`apiList`"),
        (with("expiresAt", "2001-01-01 00:00:00"), "`expiresAt`"),
        (with("expiresAt", "tomorrow"), "`expiresAt`"),
        (with("expiresAt", "2999-02-30 00:00:00"), "`expiresAt`"),
        (with("expiresAt", "9999-12-31 23:59:59"), "must be before 9999-12-30 22:00:01"),
        (with("password", ""), "`password`"),
    ] {
        assert_refused(&stack.client.post(CREATE_TOKEN, &form).await, 3, named);
    }
    // Each of them fits, and all together do not.
    let many: Vec<(&str, &str)> = good.iter().copied().chain((0..10).map(|_| ("apiList", &large[..60_000]))).collect();
    assert_refused(&stack.client.post(CREATE_TOKEN, &many).await, 9107, "larger");
    let mut twice = good.to_vec();
    twice.push(("Description", "other"));
    assert_refused(&stack.client.post(CREATE_TOKEN, &twice).await, 3, "`description`");
    let mut two_sessions = good.to_vec();
    two_sessions.push(("session", "other"));
    assert_refused(&stack.client.post(CREATE_TOKEN, &two_sessions).await, 3, "`session`");
    let both = stack.client.request(Method::POST, CREATE_TOKEN).bearer_auth(&session).form(&good);
    assert_refused(&stack.client.send(both).await, 3, "`session`");
    let body = format!("session={session}&password=x&description=%ff%fe&apiList=environment.control.StopEnv");
    let request = stack.client.request(Method::POST, CREATE_TOKEN);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_refused(&stack.client.send(request).await, 3, "`description`");

    let form = [("session", session.as_str()), ("id", "seven"), ("password", PASSWORD)];
    let answer = stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await;
    assert_refused(&answer, 3, "`id`");
    let form = [("session", session.as_str()), ("id", "99999999999999999999"), ("password", PASSWORD)];
    let answer = stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await;
    assert_refused(&answer, 3, "`id`");
    let form = [("session", session.as_str()), ("id", "999"), ("password", PASSWORD)];
    let answer = stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await;
    assert_refused(&answer, 5, "999");

    let list = stack.client.post("/1.0/users/authentication/rest/gettokens", &[("session", &session)]).await.success();
    assert_eq!(list["apiTokens"].as_array().map(Vec::len), Some(0), "nothing was made");
}

#[tokio::test]
async fn bad_parameters_of_an_environment() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let env = r#"{"shortdomain":"my-project"}"#;
    let nodes = r#"[{"nodeType":"worker"}]"#;
    for (env, nodes, named) in [
        ("", nodes, "`env`"),
        (env, "", "`nodes`"),
        ("{", nodes, "`env`"),
        ("[]", nodes, "`env`"),
        (env, "{}", "`nodes`"),
        (env, "[]", "`nodes`"),
        (env, r#"[{"nodeType":7}]"#, "`nodes`"),
        (env, r#"[{"nodeType":"worker","count":"many"}]"#, "`nodes`"),
        (env, r#"[{"nodeType":"worker","count":0}]"#, "count"),
        (env, r#"[{"nodeType":"worker","count":100000}]"#, "count"),
        (env, r#"[{"nodeType":"no-such-template"}]"#, "nodeType"),
        (env, r#"[{"nodeType":"worker","nodeGroup":"../.."}]"#, "nodeGroup"),
        (r#"{"shortdomain":""}"#, nodes, "shortdomain"),
        (r#"{"shortdomain":"../../etc"}"#, nodes, "shortdomain"),
        (r#"{"shortdomain":"My Project"}"#, nodes, "shortdomain"),
    ] {
        let form = [("session", session.as_str()), ("env", env), ("nodes", nodes)];
        assert_refused(&stack.client.post(CREATE_ENVIRONMENT, &form).await, 3, named);
    }
    let form = [("session", session.as_str())];
    assert_refused(&stack.client.post(STOP, &form).await, 3, "`envName`");
    let list = stack.client.post("/1.0/environment/control/rest/getenvs", &form).await.success();
    assert_eq!(list["infos"].as_array().map(Vec::len), Some(0), "nothing was made");
}

#[tokio::test]
async fn credentials_that_are_none() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let (_, token) = stack.token(&session, "environment.control.StopEnv").await;
    let mut mistyped = token.clone();
    mistyped.replace_range(20..21, if &token[20..21] == "x" { "y" } else { "x" });
    let unknown = access::Credential::generate(access::CredentialKind::Token, &mut rand::rng());
    for credential in ["", "nonsense", "pcl_pat_", &mistyped, unknown.expose()] {
        let answer = stack.client.post(STOP, &[("session", credential), ("envName", "my-project")]).await;
        assert_refused(&answer, 702, "");
        assert!(credential.is_empty() || !answer.body.contains(credential), "{answer:?}");
    }
    let form = [("session", token.as_str()), ("description", "wider")];
    assert_refused(&stack.client.post(CREATE_TOKEN, &form).await, 8, "session");

    let (_, other) = stack.token(&session, "environment.control.GetEnvs").await;
    let answer = stack.client.post(STOP, &[("session", other.as_str()), ("envName", "my-project")]).await;
    assert_refused(&answer, 8202, "environment.control.StopEnv");
}

#[tokio::test]
async fn another_accounts_environment_does_not_exist() {
    let stack = Stack::sqlite().await;
    let alice = stack.session().await;
    stack.create_environment(&alice, "alices", "worker", 1).await;
    stack.create_account(&alice, "bob").await;
    let bob = stack.signin("bob").await;
    for method in ["stopenv", "startenv", "deleteenv", "getenvinfo"] {
        let path = format!("/1.0/environment/control/rest/{method}");
        let foreign = stack.client.post(&path, &[("session", &bob), ("envName", "alices")]).await;
        let missing = stack.client.post(&path, &[("session", &bob), ("envName", "nobodys")]).await;
        assert_refused(&foreign, 11, "alices");
        assert_eq!(foreign.body.replace("alices", "nobodys"), missing.body, "the same answer");
    }
    assert_eq!(stack.info(&alice, "alices").await["env"]["status"], 1);
}

/// Sends bytes as they are, all of them before anything is read, and answers the one answer that comes back.
async fn raw(stack: &Stack, bytes: &[u8]) -> Answer {
    let address = stack.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut heard)).await.expect("an end").unwrap();
    let heard = String::from_utf8(heard).unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {heard:?}"));
    let (status, fields) = head.split_once("\r\n").unwrap();
    let headers = fields.lines().map(|field| {
        let (name, value) = field.split_once(": ").unwrap();
        (name.parse().unwrap(), value.parse().unwrap())
    });
    Answer { status: status[9..12].parse().unwrap(), headers: headers.collect(), body: body.to_owned() }
}

#[tokio::test]
async fn requests_that_are_none_do_not_hold_the_gateway_up() {
    let stack = Stack::sqlite().await;
    let form = "content-type: application/x-www-form-urlencoded";
    let head = format!("POST {STOP} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{form}\r\n");
    let slow = raw(&stack, format!("{head}content-length: 100\r\n\r\nsession=").as_bytes()).await;
    assert_refused(&slow, 3, "not sent within 1 s");
    let mebibyte = "x".repeat(1024 * 1024);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
    for (bytes, result, named) in [
        (get(&format!("{STOP}?session=x&envName={mebibyte}")), 3, "`envName` is too long"),
        (get(&format!("{STOP}?envName={mebibyte}&session=x")), 3, "`envName` is too long"),
        (get(&format!("{STOP}?session={mebibyte}")), 3, "`session` is too long"),
        (get(&format!("{STOP}?{mebibyte}")), 9107, "more than 65536 bytes"),
        (format!("{head}x: {mebibyte}\r\n\r\n").into_bytes(), 9107, "more than 65536 bytes"),
        (get("/1.0/<script>"), 3, "path"),
        (get(&format!("{STOP}?session=x&envName=a<b")), 3, "`envName` must be percent-encoded"),
        (b"\x00\xff\x13\x37 nonsense\r\n\r\n".to_vec(), 3, "malformed"),
    ] {
        let answer = raw(&stack, &bytes).await;
        assert_refused(&answer, result, named);
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(answer.headers["connection"], "close");
        assert_eq!(answer.headers["x-request-id"].len(), 36);
    }
    let body = "x".repeat(5 * 1024 * 1024);
    let large = stack.client.send(stack.client.request(Method::POST, STOP).body(body)).await;
    assert_refused(&large, 9107, "4194304 bytes");
    // By another connection: the last one is closed with what was not read of the body.
    assert_eq!(Client::new(&stack.url).get("/readyz").await.status, 200, "it serves on");
}
