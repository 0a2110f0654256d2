//! Watching environments as a browser does.

use std::time::{Duration, Instant};

use e2e::{Events, PASSWORD, Stack, stacks};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const STOP: &str = "/1.0/environment/control/rest/stopenv";
const WATCH: &str = "/1.0/environment/control/rest/watchenvs";

/// How soon a change has to show.
const SOON: Duration = Duration::from_secs(1);

async fn watch(stack: &Stack, credential: &str) -> Events {
    Events::open(stack.client.request(Method::GET, &format!("{WATCH}?session={credential}"))).await
}

fn is(name: &str, status: i64) -> impl Fn(&Value) -> bool {
    move |data| data["env"]["envName"] == name && data["env"]["status"] == status
}

#[tokio::test]
async fn what_a_script_does_with_a_token_shows_at_once() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "shop", "worker", 1).await;
        let (_, stopper) = stack.token(&session, "environment.control.StopEnv").await;
        let mut events = watch(&stack, &session).await;
        let snapshot = events.until("snapshot", |_| true).await;
        let form = [("session", session.as_str())];
        let list = stack.client.post("/1.0/environment/control/rest/getenvs", &form).await.success();
        for key in ["env", "nodes", "nodeGroups", "envGroups", "right"] {
            assert_eq!(snapshot["infos"][0][key], list["infos"][0][key], "{key}");
        }
        assert_eq!(snapshot["infos"][0]["lastOperation"]["name"], "create");

        stack.client.post(STOP, &[("session", &stopper), ("envName", "shop")]).await.success();
        let stopped = Instant::now();
        events.until("changed", is("shop", 2)).await;
        assert!(stopped.elapsed() < SOON, "{}: {:?}", stack.engine, stopped.elapsed());

        stack.create_environment(&session, "stall", "worker", 1).await;
        let told = events.until("changed", is("stall", 1)).await;
        let node = i32::try_from(told["nodes"][0]["ctid"].as_i64().unwrap()).unwrap();
        kill_process(Pid::from_raw(node).unwrap(), Signal::KILL).unwrap();
        let killed = Instant::now();
        events.until("changed", is("stall", 11)).await;
        assert!(killed.elapsed() < SOON, "{}: {:?}", stack.engine, killed.elapsed());
        let form = [("session", session.as_str()), ("envName", "stall")];
        stack.client.post("/1.0/environment/control/rest/deleteenv", &form).await.success();
        events.until("removed", |gone| gone["envName"] == "stall").await;
    }
}

#[tokio::test]
async fn a_token_that_is_deleted_is_told_nothing_more() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "shop", "worker", 1).await;
    let (id, token) = stack.token(&session, "environment.control.WatchEnvs").await;
    let mut events = watch(&stack, &token).await;
    events.until("snapshot", |_| true).await;
    let id = id.to_string();
    let form = [("session", session.as_str()), ("password", PASSWORD), ("ids", id.as_str())];
    let deleted = stack.client.post("/1.0/users/authentication/rest/deletetokens", &form).await.success();
    assert_eq!(deleted["confirmed"], true);
    stack.client.post(STOP, &[("session", &session), ("envName", "shop")]).await.success();
    let (name, end) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &end["result"], &end["reason"]), ("end", &702.into(), &"NOT_AUTHENTICATED".into()));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn the_end_of_the_executing_service_is_told() {
    let mut stack = Stack::sqlite().await;
    let session = stack.session().await;
    let mut events = watch(&stack, &session).await;
    events.until("snapshot", |_| true).await;
    drop(stack.environment.take());
    assert_eq!(events.end().await["result"], 9105);
}
