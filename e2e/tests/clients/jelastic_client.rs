use e2e::Stack;
use serde_json::json;
use testkit::process_alive;

use crate::client::JELASTIC_CLIENT;
use crate::place::place;

#[tokio::test]
async fn jelastic_client_lives_with_an_environment_from_its_creation_to_its_end() {
    let (stack, token) = place().await;
    let session = stack.session().await;
    let told = JELASTIC_CLIENT.tells("jelastic_client_life.py", &stack.url, &token).await;
    assert_eq!(told["before"], json!([false, "NotExists"]));
    assert_eq!(told["created"], json!(["shop", "shop", "Running", "The shop"]));
    assert_eq!(told["node"], json!(["cp", "docker", "127.0.0.1", "http://127.0.0.1", "Front"]));
    assert_eq!(told["after stop"], "Down");
    assert_eq!(told["after start"], "Running");
    assert_eq!(told["after sleep"], "Sleep");
    assert_eq!(told["after waking"], "Running");
    assert_eq!(told["copy"], json!(["shop-copy", "Running", 1]));
    assert_eq!(told["listed"], json!(["shop", "shop-copy"]));
    assert_eq!(told["after the end"], json!([false, "NotExists"]));
    let copy = Stack::node_processes(&stack.info(&session, "shop-copy").await);
    assert!(copy.len() == 1 && process_alive(copy[0]));
}

#[tokio::test]
async fn jelastic_client_changes_nodes_and_reads_what_is_in_them() {
    let (stack, token) = place().await;
    let session = stack.session().await;
    stack.create_environment(&session, "shop", "container", 2).await;
    let told = JELASTIC_CLIENT.tells("jelastic_client_nodes.py", &stack.url, &token).await;
    assert_eq!(told["added to the group"], json!([{"COLOUR": "blue"}, {"COLOUR": "blue"}]));
    assert_eq!(told["added to a node"], json!([{"COLOUR": "red", "SIZE": "a b"}, {"COLOUR": "blue"}]));
    assert_eq!(told["removed"], json!([{"SIZE": "a b"}, {"COLOUR": "blue"}]));
    assert_eq!(told["set"], json!([{"ONLY": "this"}, {"COLOUR": "blue"}]));
    assert_eq!(told["set for the group"], json!([{"COLOUR": "green"}, {"COLOUR": "green"}]));
    assert_eq!(told["redeployed"], json!([[0, 0], ["v2", "v2"]]));
    assert_eq!(told["command"], json!([0, "hello\n", ""]));
    let log = "version latest, colour\nversion v2, colour green\n";
    assert_eq!(told["log"], log);
    assert_eq!(told["log by group"], log);
}

#[tokio::test]
async fn jelastic_client_is_told_who_it_is_by_a_session() {
    let (stack, _) = place().await;
    let session = stack.session().await;
    let told = JELASTIC_CLIENT.tells("jelastic_client_account.py", &stack.url, &session).await;
    assert_eq!(told, json!({"email": e2e::LOGIN}));
}

#[tokio::test]
async fn jelastic_client_raises_its_own_error_with_our_text() {
    let (stack, _) = place().await;
    let session = stack.session().await;
    stack.create_environment(&session, "shop", "container", 1).await;
    let (_, narrow) = stack.token(&session, "environment.control.StartEnv,environment.control.CreateEnvironment").await;
    let told = JELASTIC_CLIENT.tells("jelastic_client_errors.py", &stack.url, &narrow).await;
    for (what, result, named) in [
        ("unknown environment", 11, "`nobodys`"),
        ("missing permission", 8202, "environment.control.StopEnv"),
        ("image", 3, "`nodes[0].docker.image`"),
        ("name taken", 9108, "`shop`"),
        ("wrong token", 702, ""),
        ("unknown method", 9103, "marketplace/jps/rest/getengineversion"),
    ] {
        let [class, text] = [0, 1].map(|index| told[what][index].as_str().unwrap().to_owned());
        assert_eq!((class.as_str(), &told[what][2]), ("JelasticClientException", &json!(result)), "{what}: {told}");
        assert!(text.contains("returned non-zero result: ") && text.contains(named), "{what}: {text}");
    }
    assert_eq!(told["without GetEnvInfo"], "NotExists", "it takes every failure for that");
    assert_eq!(stack.info(&session, "shop").await["env"]["status"], 1, "nothing of it was done");
}
