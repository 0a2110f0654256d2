use e2e::{Stack, gone};
use serde_json::json;
use testkit::process_alive;

use crate::client::JELAPI;
use crate::place::place;

#[tokio::test]
async fn jelapi_lives_with_an_environment_from_its_creation_to_its_end() {
    let (stack, token) = place().await;
    let session = stack.session().await;
    let told = JELAPI.tells("jelapi_life.py", &stack.url, &token).await;
    assert_eq!(told["listed"], json!(["shop"]));
    assert_eq!(
        told["got"],
        json!({
            "name": "shop", "displayName": "Shop", "status": "RUNNING", "envGroups": ["webs"], "nodeGroups": ["cp"],
            "nodes": [["DOCKER", "RUNNING", "127.0.0.1"], ["DOCKER", "RUNNING", "127.0.0.1"]],
        })
    );
    assert_eq!(told["after stop"], "STOPPED");
    assert_eq!(told["after start"], "RUNNING");
    assert_eq!(told["after sleep"], "SLEEPING");
    assert_eq!(told["after waking"], "RUNNING");
    assert_eq!(told["display name"], "The shop");
    assert_eq!(told["groups of the environment"], json!(["live", "webs"]));
    assert_eq!(told["no groups"], json!([]));
    assert_eq!(told["copy"], json!(["shop-copy", "RUNNING", 2]));
    assert_eq!(told["listed with the copy"], json!(["shop", "shop-copy"]));
    assert_eq!(told["listed at the end"], json!(["shop-copy"]));
    let list = [("session", session.as_str())];
    let list = stack.client.post("/1.0/environment/control/rest/getenvs", &list).await.success();
    assert_eq!(list["infos"].as_array().unwrap().len(), 1, "what it has seen is so");
    let copy = Stack::node_processes(&stack.info(&session, "shop-copy").await);
    assert!(copy.len() == 2 && copy.iter().all(|pid| process_alive(*pid)));
    let form = [("session", session.as_str()), ("envName", "shop-copy")];
    stack.client.post("/1.0/environment/control/rest/deleteenv", &form).await.success();
    gone(&copy).await;
}

#[tokio::test]
async fn jelapi_changes_nodes_and_reads_what_is_in_them() {
    let (stack, token) = place().await;
    let session = stack.session().await;
    let before = stack.create_environment(&session, "shop", "container", 2).await;
    let before = Stack::node_processes(&before["response"]);
    let told = JELAPI.tells("jelapi_nodes.py", &stack.url, &token).await;
    assert_eq!(told["variables before"], json!({}));
    assert_eq!(told["variables"], json!({"COLOUR": "blue", "SIZE": "a b"}));
    assert_eq!(told["cloudlets"], json!([2, 4]));
    assert_eq!(told["versions"], json!(["v2", "v2"]));
    let broken = told["broken version"].as_str().unwrap();
    assert!(broken.contains("'result': 9109,") && broken.contains("the former one runs again"), "{broken}");
    assert_eq!(told["versions after that"], json!(["v2", "v2"]));
    // The log that both ways of reading tell holds every launch.
    let log = "version latest, colour\nversion v2, colour blue\nversion v2, colour blue\n\
               version broken, colour blue\nversion v2, colour blue\n";
    assert_eq!(told["log"], log);
    assert_eq!(told["log by group"], log);
    assert_eq!(
        told["commands"],
        json!([
            {"result": 0, "out": "hello 'world'\n", "errOut": ""},
            {"result": 1, "out": "", "errOut": ""},
        ]),
        "after one that fails the rest is not run"
    );
    let info = stack.info(&session, "shop").await;
    let after = Stack::node_processes(&info);
    assert!(after.iter().all(|pid| !before.contains(pid) && process_alive(*pid)), "they were launched again");
    assert_eq!((&info["nodes"][0]["fixedCloudlets"], &info["nodes"][1]["fixedCloudlets"]), (&json!(2), &json!(0)));
    gone(&before).await;
}

#[tokio::test]
async fn jelapi_keeps_groups() {
    let (stack, token) = place().await;
    let told = JELAPI.tells("jelapi_groups.py", &stack.url, &token).await;
    assert_eq!(told["made"], json!(["live", "live/shop"]));
    assert_eq!(told["children"], json!(["live/shop"]));
    assert_eq!(told["left"], json!(["live"]));
}

#[tokio::test]
async fn jelapi_raises_its_own_error_with_our_result() {
    let (stack, token) = place().await;
    let session = stack.session().await;
    stack.create_environment(&session, "shop", "container", 1).await;
    let (_, narrow) = stack.token(&session, "environment.control.GetEnvInfo,environment.control.ExecCmdById").await;
    let told = JELAPI.tells("jelapi_errors.py", &stack.url, &narrow).await;
    for (what, result, named) in [
        ("unknown environment", 11, "`nobodys`"),
        ("missing permission", 8202, "environment.control.StopEnv"),
        ("wrong token", 702, ""),
        ("unknown method", 9103, "environment/control/rest/changetopology"),
        ("command not listed", 8, "/bin/ls"),
    ] {
        let [class, text] = [0, 1].map(|index| told[what][index].as_str().unwrap().to_owned());
        assert_eq!(class, "JelasticAPIException", "{what}: {told}");
        assert!(text.contains(&format!("'result': {result},")) && text.contains(named), "{what}: {text}");
    }
    assert!(!told.to_string().contains(&token), "no error tells a credential");
    assert_eq!(stack.info(&session, "shop").await["env"]["status"], 1, "nothing of it was done");
}

/// What it knows is two types of nodes and six groups. A template can answer one of the types; the groups are the owner's choice.
#[tokio::test]
async fn jelapi_reads_no_environment_of_other_types_or_groups() {
    let (stack, token) = place().await;
    let session = stack.session().await;
    stack.create_environment(&session, "types", "worker", 1).await;
    let nodes = json!([{"nodeType": "container", "nodeGroup": "front"}]).to_string();
    let form = [("session", session.as_str()), ("env", r#"{"shortdomain":"groups"}"#), ("nodes", nodes.as_str())];
    stack.client.post("/1.0/environment/control/rest/createenvironment", &form).await.success();
    let told = JELAPI.tells("jelapi_limits.py", &stack.url, &token).await;
    assert_eq!(told["types"], json!(["JelasticObjectException", "nodeType unknown: worker"]));
    assert_eq!(told["groups"][0], "StopIteration");
    assert_eq!(told["list"], "StopIteration", "`groups` comes before `types`");
}
