//! An account is deleted, and what was its ends.

use std::time::Duration;

use e2e::{PASSWORD, Stack, gone, stacks};
use serde_json::Value;
use testkit::{eventually, process_alive};

async fn delete_account(stack: &Stack, administrator: &str, account: &Value) {
    let uid = account["uid"].as_i64().expect("a number").to_string();
    let form = [("session", administrator), ("uid", uid.as_str()), ("password", PASSWORD)];
    let answer = stack.client.post("/1.0/users/account/rest/deleteaccount", &form).await.success();
    assert_eq!(answer["confirmed"], true, "{}", stack.engine);
}

#[tokio::test]
async fn environments_end_with_their_account() {
    for stack in stacks().await {
        let administrator = stack.session().await;
        let account = stack.create_account(&administrator, "bob").await;
        let bob = stack.signin("bob").await;
        let kept = stack.create_environment(&administrator, "shop", "worker", 1).await;
        let ended = stack.create_environment(&bob, "blog", "worker", 2).await;
        delete_account(&stack, &administrator, &account).await;
        gone(&Stack::node_processes(&ended["response"])).await;
        let kept = Stack::node_processes(&kept["response"]);
        assert!(kept.iter().all(|pid| process_alive(*pid)), "{}", stack.engine);
        // Its name is free as soon as it is deleted.
        let form = [("session", administrator.as_str()), ("srcEnvName", "shop"), ("dstEnvName", "blog")];
        eventually("the name to be free", Duration::from_secs(10), async || {
            let answer = stack.client.post("/1.0/environment/control/rest/cloneenv", &form).await;
            (answer.result() == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_service_that_is_killed_before_and_in_the_middle_ends_them_all_the_same() {
    for mut stack in stacks().await {
        let administrator = stack.session().await;
        let account = stack.create_account(&administrator, "bob").await;
        let bob = stack.signin("bob").await;
        let ended = stack.create_environment(&bob, "blog", "stubborn", 2).await;
        let ended = Stack::node_processes(&ended["response"]);
        stack.environment.take().unwrap().kill().await;
        delete_account(&stack, &administrator, &account).await;
        assert!(ended.iter().all(|pid| process_alive(*pid)), "{}", stack.engine);

        // It is killed as soon as it has begun; the nodes need their grace of a second.
        stack.start_environment_service().await;
        eventually("the deletion to begin", Duration::from_secs(10), async || {
            stack.environment.as_ref().unwrap().log().contains("it is stopped and deleted").then_some(())
        })
        .await;
        stack.environment.take().unwrap().kill().await;
        stack.start_environment_service().await;
        stack.ready().await;
        gone(&ended).await;
        let form = [("session", administrator.as_str()), ("env", r#"{"shortdomain":"blog"}"#)];
        let form = [form[0], form[1], ("nodes", r#"[{"nodeType":"worker"}]"#)];
        eventually("the name to be free", Duration::from_secs(10), async || {
            let answer = stack.client.post("/1.0/environment/control/rest/createenvironment", &form).await;
            (answer.result() == 0).then_some(())
        })
        .await;
    }
}
