//! What happens when a part is gone.

use e2e::{Stack, stacks};
use testkit::process_alive;

const STOP: &str = "/1.0/environment/control/rest/stopenv";

#[tokio::test]
async fn an_authority_that_is_gone_is_an_outage_and_no_refusal() {
    for mut stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "my-project", "worker", 1).await;
        let (_, token) = stack.token(&session, "environment.control.StopEnv").await;
        stack.token.take().unwrap().kill().await;

        let form = [("envName", "my-project"), ("session", token.as_str())];
        let answer = stack.client.post(STOP, &form).await;
        assert_eq!(answer.result(), 9105, "{}: {answer:?}", stack.engine);
        assert_eq!(stack.client.get("/readyz").await.status, 503);
        assert_eq!(stack.client.get("/healthz").await.status, 200);
        let malformed = stack.client.post(STOP, &[("session", "pcl_pat_nonsense"), ("envName", "my-project")]).await;
        assert_eq!(malformed.result(), 702, "what is no token is refused without the authority");

        stack.start_token_service().await;
        stack.ready().await;
        assert_eq!(stack.client.post(STOP, &form).await.body, r#"{"result":0}"#, "{}", stack.engine);
    }
}

#[tokio::test]
async fn nodes_outlive_their_service_and_are_found_again() {
    for mut stack in stacks().await {
        let session = stack.session().await;
        let created = stack.create_environment(&session, "my-project", "worker", 2).await;
        let pids = Stack::node_processes(&created["response"]);
        stack.environment.take().unwrap().kill().await;
        assert!(pids.iter().all(|pid| process_alive(*pid)), "{}", stack.engine);
        let form = [("envName", "my-project"), ("session", session.as_str())];
        assert_eq!(stack.client.post(STOP, &form).await.result(), 9105, "{}", stack.engine);

        stack.start_environment_service().await;
        stack.ready().await;
        let info = stack.info(&session, "my-project").await;
        assert_eq!(info["env"]["status"], 1, "{}", stack.engine);
        assert_eq!(Stack::node_processes(&info), pids, "the same processes, none twice");
        assert_eq!(stack.client.post(STOP, &form).await.body, r#"{"result":0}"#);
        assert!(!pids.iter().any(|pid| process_alive(*pid)), "{}", stack.engine);
    }
}

#[tokio::test]
async fn a_node_that_dies_is_seen_and_one_that_cannot_start_is_named() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let created = stack.create_environment(&session, "my-project", "worker", 1).await;
    let pid = Stack::node_processes(&created["response"])[0];
    rustix::process::kill_process_group(
        rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    testkit::eventually("the status of a dead node", std::time::Duration::from_secs(5), async || {
        (stack.info(&session, "my-project").await["env"]["status"] == 11).then_some(())
    })
    .await;

    let form =
        [("session", session.as_str()), ("env", r#"{"shortdomain":"brief"}"#), ("nodes", r#"[{"nodeType":"short"}]"#)];
    let answer = stack.client.post("/1.0/environment/control/rest/createenvironment", &form).await;
    assert_eq!(answer.result(), 9109, "{answer:?}");
    assert!(answer.error().contains("short"), "{answer:?}");
    let list = stack.client.post("/1.0/environment/control/rest/getenvs", &form[..1]).await.success();
    assert_eq!(list["infos"].as_array().map(Vec::len), Some(1), "nothing of it is left");
}

#[tokio::test]
async fn a_node_that_does_not_listen_is_killed_after_its_grace() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let created = stack.create_environment(&session, "my-project", "stubborn", 1).await;
    let pids = Stack::node_processes(&created["response"]);
    let form = [("envName", "my-project"), ("session", session.as_str())];
    stack.client.post(STOP, &form).await.success();
    assert!(!pids.iter().any(|pid| process_alive(*pid)));
}

#[tokio::test]
async fn every_process_drains_when_it_is_told_to() {
    let mut stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "stubborn", 1).await;
    // A stop that takes its grace of a second is under way when the gateway is told to end.
    let (client, caller) = (stack.client.clone(), session.clone());
    let call =
        tokio::spawn(async move { client.post(STOP, &[("envName", "my-project"), ("session", &caller)]).await.body });
    testkit::eventually("the stop under way", std::time::Duration::from_secs(10), async || {
        (stack.info(&session, "my-project").await["env"]["status"] == 13).then_some(())
    })
    .await;
    let gateway = stack.gateway.take().unwrap();
    let (code, log) = gateway.terminate().await;
    assert_eq!(code, 0, "{log}");
    assert_eq!(call.await.unwrap(), r#"{"result":0}"#, "the accepted call was finished");
    for service in [stack.environment.take(), stack.token.take()] {
        let (code, log) = service.unwrap().terminate().await;
        assert_eq!(code, 0, "{log}");
    }
}
