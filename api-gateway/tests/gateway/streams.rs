//! Methods that answer with a stream, as server-sent events.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use testkit::eventually;
use tokio::time::timeout;

use crate::authority::Says;
use crate::raw::Raw;
use crate::stage::{INFO, LONG, STOP, Stage, WATCH};

/// A stream of events, read as a browser does.
pub(crate) struct Events {
    response: Response,
    unread: String,
    pub(crate) comments: usize,
}

impl Events {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-store".to_owned(), "no".to_owned()));
        assert_eq!(header("x-request-id").len(), 36);
        let mut events = Self { response, unread: String::new(), comments: 0 };
        assert_eq!(events.block().await.as_deref(), Some("retry: 1000"));
        events
    }

    /// The text up to the next empty line.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                return Some(block);
            }
            let chunk = timeout(LONG, self.response.chunk()).await.expect("an event or the end").unwrap();
            self.unread.push_str(std::str::from_utf8(&chunk?).unwrap());
        }
    }

    /// The name and the data of the next event.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block().await?;
            if block == ":" {
                self.comments += 1;
                continue;
            }
            let (name, data) = block.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).unwrap();
            return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
        }
    }

    #[track_caller]
    fn told((name, data): (String, Value)) -> (String, String) {
        let info = if name == "snapshot" { &data["infos"][0] } else { &data };
        (name, info["right"].as_str().unwrap().to_owned())
    }

    async fn event(&mut self) -> (String, String) {
        Self::told(self.next().await.expect("an event"))
    }

    /// The last event, after which nothing comes.
    async fn end(&mut self) -> Value {
        let (name, data) = self.next().await.expect("the last event");
        assert_eq!(name, "end", "{data}");
        assert_eq!(self.next().await, None);
        data
    }
}

fn event(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn watcher(stage: &Stage) -> String {
    stage.authority.token(&["environment.control.WatchEnvs"])
}

async fn watch(stage: &Stage, token: &str) -> Events {
    Events::open(stage.client.request(Method::GET, &format!("{WATCH}?session={token}"))).await
}

#[tokio::test]
async fn each_answer_is_an_event_however_the_method_is_called() {
    let stage = Stage::start().await;
    let (token, post) = (watcher(&stage), || stage.client.request(Method::POST, WATCH));
    for (how, request) in [
        ("GET", stage.client.request(Method::GET, &format!("{WATCH}?session={token}"))),
        ("GET with a bearer", stage.client.request(Method::GET, WATCH).bearer_auth(&token)),
        ("POST", post().form(&[("session", token.as_str())])),
        ("POST with a bearer", post().bearer_auth(&token)),
        (
            "another path",
            stage.client.request(Method::GET, &format!("/JElastic/env/control/REST/WatchEnvs?token={token}")),
        ),
    ] {
        stage.upstream.show("first");
        let mut events = Events::open(request).await;
        assert_eq!(events.event().await, event("snapshot", "first"), "{how}");
        stage.upstream.show("second");
        assert_eq!(events.event().await, event("changed", "second"), "{how}");
        stage.upstream.show("all");
        assert_eq!(events.end().await, serde_json::json!({ "result": 0 }), "{how}");
    }
}

#[tokio::test]
async fn what_fails_before_the_first_event_is_answered_as_any_call_is() {
    let stage = Stage::start().await;
    let token = watcher(&stage);
    stage.client.post(WATCH, &[]).await.assert_refused(702, "");
    stage.client.post(WATCH, &[("session", "pcl_pat_nonsense")]).await.assert_refused(702, "");
    let other = stage.stopper();
    stage.client.post(WATCH, &[("session", &other)]).await.assert_refused(8202, "environment.control.WatchEnvs");
    stage.client.post(WATCH, &[("session", &token), ("session", &token)]).await.assert_refused(3, "session");
    let put = stage.client.send(stage.client.request(Method::PUT, WATCH).bearer_auth(&token)).await;
    put.assert_refused(9106, "GET or POST");
    let problem = stage.client.problem(stage.client.request(Method::GET, WATCH)).await;
    assert_eq!((problem.status, problem.header("content-type")), (401, "application/problem+json"));
    stage.upstream.show("full");
    stage.client.post(WATCH, &[("session", &token)]).await.assert_refused(9104, "too many");
    assert_eq!(stage.upstream.watchers(), 0);
}

#[tokio::test]
async fn after_a_confirmed_revocation_no_event_is_passed_on() {
    let stage = Stage::leased().await;
    let token = watcher(&stage);
    let mut events = watch(&stage, &token).await;
    events.event().await;
    stage.authority.revoke(&token).await;
    // The service has not heard of it: the gateway alone keeps it back.
    stage.upstream.show("secret");
    let end = events.end().await;
    assert_eq!((&end["result"], &end["reason"]), (&702.into(), &"NOT_AUTHENTICATED".into()), "{end}");
    eventually("the end of the call", LONG, async || (stage.upstream.watchers() == 0).then_some(())).await;
    stage.client.post(WATCH, &[("session", &token)]).await.assert_refused(702, "");
}

#[tokio::test]
async fn an_edited_token_goes_on_or_ends_by_what_it_may_now() {
    let stage = Stage::leased().await;
    let token = watcher(&stage);
    let id = |name| proto::catalog().by_name(name).unwrap().permission().unwrap().0;
    let (watches, stops) = (id("environment.control.WatchEnvs"), id("environment.control.StopEnv"));
    let mut events = watch(&stage, &token).await;
    assert_eq!(events.event().await, event("snapshot", "first"));
    stage.authority.says(&token, Says::Token(vec![watches, stops]));
    stage.authority.changed().await;
    stage.upstream.show("second");
    assert_eq!(events.event().await, event("snapshot", "second"), "it is begun anew");
    stage.authority.says(&token, Says::Token(vec![stops]));
    stage.authority.changed().await;
    stage.upstream.show("third");
    let end = events.end().await;
    assert_eq!((&end["result"], &end["permission"]), (&8202.into(), &"environment.control.WatchEnvs".into()), "{end}");
}

#[tokio::test]
async fn without_a_lease_each_event_is_asked_about() {
    let stage = Stage::start().await;
    let token = watcher(&stage);
    let mut events = watch(&stage, &token).await;
    events.event().await;
    stage.upstream.show("second");
    assert_eq!(events.event().await, event("changed", "second"));
    assert_eq!(stage.authority.asked().len(), 3, "the call and two events");
    stage.authority.forget(&token);
    stage.upstream.show("secret");
    assert_eq!(events.end().await["result"], 702);
}

#[tokio::test]
async fn a_stream_outlives_its_grants() {
    let stage = Stage::leased().await;
    *stage.authority.0.grants_last.lock().unwrap() = SignedDuration::from_secs(1);
    let token = watcher(&stage);
    let mut events = watch(&stage, &token).await;
    for _ in 0..3 {
        assert_eq!(events.event().await, event("snapshot", "first"));
    }
    stage.upstream.show("second");
    assert_eq!(events.event().await.1, "second");
    assert_eq!(stage.upstream.watchers(), 1, "those before have ended");
    stage.authority.forget(&token);
    let end = loop {
        let (name, data) = events.next().await.unwrap();
        if name == "end" {
            break data;
        }
    };
    assert_eq!(end["result"], 702);
}

#[tokio::test]
async fn who_shows_no_credential_takes_no_place() {
    let stage = Stage::configured(|config| config.max_streams = 1).await;
    let mut half = Raw::connect(stage.address).await;
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 10";
    half.send(format!("POST {WATCH} HTTP/1.1\r\nhost: a\r\n{form}\r\nexpect: 100-continue\r\n\r\n")).await;
    // Said as soon as the body is waited for.
    half.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    let mut events = watch(&stage, &watcher(&stage)).await;
    assert_eq!(events.event().await.0, "snapshot");
}

#[tokio::test]
async fn who_leaves_ends_the_call_and_makes_room() {
    let stage = Stage::configured(|config| {
        config.max_streams = 1;
        config.stream_keep_alive = SignedDuration::from_millis(20);
    })
    .await;
    let token = watcher(&stage);
    let mut events = watch(&stage, &token).await;
    events.event().await;
    stage.client.post(WATCH, &[("session", &token)]).await.assert_refused(9105, "too many streams");
    let stopper = stage.stopper();
    stage.client.post(STOP, &[("envName", "a"), ("session", &stopper)]).await.assert_done();
    while events.comments < 3 {
        let block = events.block().await.unwrap();
        assert_eq!(block, ":");
        events.comments += 1;
    }
    assert_eq!(stage.upstream.watchers(), 1);
    drop(events);
    eventually("the end of the call", LONG, async || (stage.upstream.watchers() == 0).then_some(())).await;
    eventually("room", LONG, async || {
        let request = stage.client.request(Method::GET, WATCH).bearer_auth(&token);
        let response = request.send().await.unwrap();
        (response.headers()["content-type"] == "text/event-stream").then_some(())
    })
    .await;
}

/// Whoever does not read is kept apart from those who call.
#[tokio::test]
async fn streams_that_nobody_reads_hold_up_no_call() {
    let stage = Stage::start().await;
    let token = watcher(&stage);
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(watch(&stage, &token).await);
    }
    let large = "x".repeat(1 << 20);
    for number in 0..8 {
        stage.upstream.show(&format!("{number}{large}"));
        let informer = stage.authority.token(&["environment.control.GetEnvInfo"]);
        let form = [("envName", "a"), ("session", informer.as_str())];
        let answer = stage.client.post(INFO, &form);
        let answer = timeout(Duration::from_secs(10), answer).await.expect("calls go on");
        assert_eq!(answer.json()["result"], 0);
    }
}

#[tokio::test]
async fn an_outage_ends_a_stream_and_says_so() {
    let mut stage = Stage::start().await;
    let token = watcher(&stage);
    let mut events = watch(&stage, &token).await;
    events.event().await;
    stage.end_environment_service().await;
    let end = events.end().await;
    assert_eq!((&end["result"], &end["reason"]), (&9105.into(), &"UNAVAILABLE".into()), "{end}");
}

#[tokio::test]
async fn the_drain_ends_streams() {
    let stage = Stage::start().await;
    let token = watcher(&stage);
    let mut events = watch(&stage, &token).await;
    events.event().await;
    stage.gateway.begin_drain();
    assert_eq!(events.end().await["result"], 9105);
    stage.gateway.drained(LONG).await.unwrap();
}
