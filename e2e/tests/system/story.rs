use e2e::{PASSWORD, Stack, gone, stacks};
use testkit::{process_alive, processes_in_group};

const STOP: &str = "/1.0/environment/control/rest/stopenv";
const START: &str = "/1.0/environment/control/rest/startenv";

/// The product in one test: what a person does in a browser, and what a script does with the token.
#[tokio::test]
async fn a_token_stops_a_real_environment_and_nothing_else() {
    for stack in stacks().await {
        let session = stack.session().await;
        let created = stack.create_environment(&session, "my-project", "worker", 2).await;
        let pids = Stack::node_processes(&created["response"]);
        assert_eq!(pids.len(), 2, "{}", stack.engine);
        for pid in &pids {
            assert!(process_alive(*pid));
            assert!(processes_in_group(*pid).len() >= 2, "a shell and its child");
        }

        let (id, token) = stack.token(&session, "environment.control.StopEnv").await;
        let answer = stack.client.get(&format!("{STOP}?envName=my-project&session={token}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"result":0}"#), "{}", stack.engine);
        for pid in &pids {
            assert!(!process_alive(*pid) && processes_in_group(*pid).is_empty(), "gone when the answer is there");
        }
        assert_eq!(stack.info(&session, "my-project").await["env"]["status"], 2);

        let refused = stack.client.get(&format!("{START}?envName=my-project&session={token}")).await;
        assert_eq!(refused.result(), 8202, "{}", stack.engine);
        assert!(refused.error().contains("environment.control.StartEnv"), "{refused:?}");
        assert_eq!(stack.info(&session, "my-project").await["env"]["status"], 2);

        let again = stack.client.get(&format!("{STOP}?envName=my-project&session={token}")).await;
        assert_eq!(again.body, r#"{"result":0}"#, "stopping what is stopped succeeds");

        let id = id.to_string();
        let form = [("session", session.as_str()), ("password", PASSWORD), ("id", &id)];
        let regenerated = stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await.success();
        let new = regenerated["token"]["key"].as_str().unwrap().to_owned();
        let old = stack.client.get(&format!("{STOP}?envName=my-project&session={token}")).await;
        assert_eq!(old.result(), 702, "{}", stack.engine);
        let fresh = stack.client.get(&format!("{STOP}?envName=my-project&session={new}")).await;
        assert_eq!(fresh.body, r#"{"result":0}"#, "{}", stack.engine);

        let form = [("session", session.as_str()), ("password", PASSWORD), ("ids", &id)];
        stack.client.post("/1.0/users/authentication/rest/deletetokens", &form).await.success();
        let dead = stack.client.get(&format!("{STOP}?envName=my-project&session={new}")).await;
        assert_eq!(dead.result(), 702, "{}", stack.engine);
    }
}

#[tokio::test]
async fn an_environment_starts_stops_and_goes_as_it_is_told() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "my-project", "worker", 1).await;
        let form = [("session", session.as_str()), ("envName", "my-project")];
        let first = Stack::node_processes(&stack.info(&session, "my-project").await);

        stack.client.post(START, &form).await.success();
        assert_eq!(Stack::node_processes(&stack.info(&session, "my-project").await), first, "it ran already");
        stack.client.post(STOP, &form).await.success();
        stack.client.post(START, &form).await.success();
        let info = stack.info(&session, "my-project").await;
        let second = Stack::node_processes(&info);
        assert!(info["env"]["status"] == 1 && second != first && process_alive(second[0]), "{}", stack.engine);

        stack.client.post("/1.0/environment/control/rest/deleteenv", &form).await.success();
        gone(&second).await;
        let missing = stack.client.post("/1.0/environment/control/rest/getenvinfo", &form).await;
        assert_eq!(missing.result(), 11, "{}", stack.engine);
        let list = stack.client.post("/1.0/environment/control/rest/getenvs", &form).await.success();
        assert_eq!(list["infos"].as_array().map(Vec::len), Some(0));
    }
}

#[tokio::test]
async fn answers_have_the_members_that_clients_read() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let info = stack.info(&session, "my-project").await;
    let members =
        |value: &serde_json::Value| value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(format!(
        "answer: {}\nenv: {}\nhostGroup: {}\nnode: {}\nnodeGroup: {}",
        members(&info),
        members(&info["env"]),
        members(&info["env"]["hostGroup"]),
        members(&info["nodes"][0]),
        members(&info["nodeGroups"][0])
    ));
    assert_eq!(info["right"], "OWNER");
    assert_eq!(info["env"]["createdOn"].as_str().unwrap().len(), "2021-08-19 14:51:37".len());
}

#[tokio::test]
async fn a_token_is_refused_from_its_expiry_on() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "my-project", "worker", 1).await;
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
        let end = end.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let form = [
            ("session", session.as_str()),
            ("password", PASSWORD),
            ("description", "brief"),
            ("apiList", "environment.control.StopEnv"),
            ("expiresAt", &end),
        ];
        let created = stack.client.post("/1.0/users/authentication/rest/createtoken", &form).await.success();
        let token = created["token"]["key"].as_str().unwrap().to_owned();
        let stop = format!("{STOP}?envName=my-project&session={token}");
        assert_eq!(stack.client.get(&stop).await.body, r#"{"result":0}"#, "{}", stack.engine);
        testkit::eventually("the expiry of the token", std::time::Duration::from_secs(20), async || {
            (stack.client.get(&stop).await.result() == 702).then_some(())
        })
        .await;
    }
}
