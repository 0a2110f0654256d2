//! What is logged: one line for each call, and at no level a word of what was sent.

use std::io;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::authority::{CLIENT, Says};
use crate::raw::Raw;
use crate::stage::{CREATE, LONG, STOP, Stage};

/// What this thread logs while the guard lives. A test of one thread logs on no other, but for its services' own.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        let guard = tracing::subscriber::set_default(subscriber.with_writer(log.clone()).finish());
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines that say how calls ended.
    fn calls(&self) -> Vec<String> {
        self.text()
            .lines()
            .filter(|line| line.contains("answered") && line.contains("rpc.method="))
            .map(str::to_owned)
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_call_is_one_line_that_says_how_it_ended() {
    let (log, _guard) = Log::begin();
    let stage = Stage::start().await;
    let token = stage.stopper();
    let answer = stage.client.get(&format!("{STOP}?envName=a&session={token}")).await;
    let lines = log.calls();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in
        ["environment.control.StopEnv", "result=0", "http.status=200", "duration.ms=", answer.header("x-request-id")]
    {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    stage.client.problem(stage.client.request(Method::GET, "/nowhere")).await;
    let lines = log.calls();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for part in ["rpc.method=\"unknown\"", "result=9103", "http.status=404"] {
        assert!(lines[1].contains(part), "{part}: {lines:?}");
    }
}

#[tokio::test]
async fn a_refused_head_leaves_a_line_too() {
    let (log, _guard) = Log::begin();
    let stage = Stage::start().await;
    let mut raw = Raw::connect(stage.address).await;
    raw.send("GET /<x> HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = raw.answer().await;
    let lines = log.calls();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["rpc.method=\"unknown\"", "result=3", "http.status=200", answer.header("x-request-id")] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_line_too() {
    let (log, _guard) = Log::begin();
    let stage = Stage::start().await;
    let (client, token) = (stage.client.clone(), stage.stopper());
    let call = tokio::spawn(async move { client.post(STOP, &[("envName", "slow"), ("session", &token)]).await });
    stage.reached(1).await;
    call.abort();
    let line = testkit::eventually("a line", LONG, || async { log.calls().pop() }).await;
    assert!(line.contains("StopEnv") && line.contains("not answered"), "{line}");
}

#[tokio::test]
async fn nothing_that_was_sent_is_logged_at_any_level() {
    let (log, _guard) = Log::begin();
    let stage = Stage::start().await;
    let (token, session) = (stage.stopper(), stage.authority.session());
    let failing = stage.authority.credential(Says::Nonsense);
    let secret = "Sesame-open-47";
    let client_key = stage.authority.client_key().to_owned();
    let post = |path: &str| stage.client.request(Method::POST, path);
    for request in [
        stage.client.request(Method::GET, &format!("{STOP}?envName={secret}&session={token}")),
        stage.client.request(Method::GET, &format!("/{secret}/{token}?x={token}")),
        post(STOP).bearer_auth(&token).form(&[("envName", secret), ("unknown", secret)]),
        post(STOP).bearer_auth(&failing).form(&[("envName", secret)]),
        post(STOP).bearer_auth(secret).form(&[("envName", secret)]),
        post(STOP).multipart(reqwest::multipart::Form::new().text("envName", secret).text("session", token.clone())),
        post(STOP).header("content-type", "multipart/form-data; boundary=x").body(format!("--x\r\n{secret}")),
        post(CREATE).form(&[("session", session.as_str()), ("env", &format!("{{'{secret}")), ("nodes", secret)]),
        post(&format!("{STOP}?session={token}&envName=broken&x={secret}")),
        post("/oauth2/introspect").basic_auth(CLIENT, Some(&client_key)).form(&[("token", &session)]),
        post("/oauth2/introspect").basic_auth(secret, Some(secret)).form(&[("token", &session)]),
        post("/oauth2/revoke")
            .basic_auth(CLIENT, Some(&client_key))
            .form(&[("token", &failing), ("x", &secret.into())]),
    ] {
        stage.client.send(request).await;
    }
    let large = "x".repeat(1 << 20);
    for head in [
        format!("GET {STOP}?envName={secret}&session={token}&x={large} HTTP/1.1\r\n\r\n"),
        format!("GET {STOP}?session={token}{large} HTTP/1.1\r\n\r\n"),
        format!("GET {STOP}?{token}={large} HTTP/1.1\r\n\r\n"),
        format!("GET {STOP}?x={secret}<&session={token} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\r\n"),
        format!("GET {STOP}?session=<{token}&{token} HTTP/1.1\r\n\r\n"),
        format!("GET /{token}/{secret}< HTTP/1.1\r\n\r\n"),
        format!("{secret} {token} {secret}\r\nauthorization {token}\r\naccept: {token}\r\n\r\n"),
    ] {
        let mut raw = Raw::connect(stage.address).await;
        raw.send(head).await;
        let heard = String::from_utf8(raw.rest().await).unwrap();
        assert!(heard.contains("\"result\":") && !heard.contains(secret) && !heard.contains(&token), "{heard}");
    }
    assert!(stage.upstream.reached().iter().any(|(_, name)| name == secret), "it did arrive");
    let text = log.text();
    assert!(text.contains("TRACE") && text.contains("api_gateway"), "the finest level is there");
    // The test's own client and the authority's log what they like.
    let mut hidden = vec![("a parameter", secret), ("a token", &token), ("a session", &session), ("a claim", &failing)];
    hidden.extend([("a client's key", client_key.as_str()), ("the gateway's", stage.authority.service_key().expose())]);
    for (what, value) in hidden {
        let line = text.lines().find(|line| line.contains(value) && !line.contains("reqwest"));
        assert_eq!(line, None, "{what}");
    }
}
