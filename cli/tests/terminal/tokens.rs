use serde_json::Value;

use crate::home::{Home, PASSWORD};

/// Tokens by their descriptions.
async fn token(home: &Home, description: &str) -> Value {
    let tokens = home.json(&["token", "list"]).await;
    let found = tokens["apiTokens"].as_array().unwrap().iter().find(|token| token["description"] == description);
    found.unwrap_or_else(|| panic!("{description}: {tokens}")).clone()
}

fn methods(token: &Value) -> Vec<&str> {
    token["apiListItems"].as_array().unwrap().iter().map(|item| item["method"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn tokens_are_edited_and_copied_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let run = async |arguments: &[&str]| home.run(&[arguments, &["--password-stdin"]].concat(), PASSWORD, None).await;
    let create = ["token", "create", "--description", "ci", "--method", "env.control.stopenv"];
    let confined = ["--environment", "my-*", "--network", "127.0.0.0/8", "--expires-at", "31-12-2099"];
    let value = Home::succeeded(run(&[&create[..], &confined].concat()).await);
    let ci = token(&home, "ci").await;
    let id = ci["id"].to_string();

    let copied = Home::succeeded(run(&["token", "copy", &id, "--description", "ci-2", "--network", "*"]).await);
    assert!(copied.starts_with("pcl_pat_") && copied != value, "a value of its own, alone");
    let copy = token(&home, "ci-2").await;
    for same in ["apiListItems", "environments", "expiresAt"] {
        assert_eq!(copy[same], ci[same], "{same}");
    }
    assert_eq!(
        (methods(&copy), copy["sourceNetworks"].as_array().map(Vec::len)),
        (vec!["environment.control.StopEnv"], Some(0))
    );
    let stop = ["env", "stop", "my-project"];
    for value in [&value, &copied] {
        assert_eq!(Home::succeeded(home.run(&stop, "", Some(value)).await), "");
    }
    assert_eq!(run(&["token", "copy", "999"]).await.status.code(), Some(5));

    let edit = ["token", "edit", &id, "--description", "ci-3", "--method", "env.control.getenvs", "--never-expires"];
    assert_eq!(
        home.run(&[&edit[..], &["--password-stdin"]].concat(), "wrong password", None).await.status.code(),
        Some(3)
    );
    assert_eq!(Home::succeeded(run(&edit).await), "");
    let edited = token(&home, "ci-3").await;
    assert_eq!((edited["id"].to_string(), methods(&edited)), (id.clone(), vec!["environment.control.GetEnvs"]));
    assert!(edited["expiresAt"].is_null(), "{edited}");
    assert_eq!(edited["environments"], ci["environments"], "what is not given stays");
    assert_eq!(home.run(&stop, "", Some(&value)).await.status.code(), Some(4), "it may stop nothing any more");
    assert!(home.run(&stop, "", Some(&copied)).await.status.success(), "the copy may");

    let old = value;
    let new = Home::succeeded(run(&["token", "regenerate", &id, "--overlap", "3600"]).await);
    let works = async |value: &str| home.run(&["env", "list"], "", Some(value)).await.status.success();
    assert!(works(&old).await && works(&new).await);
    assert_eq!(Home::succeeded(run(&["token", "edit", &id, "--end-overlap"]).await), "");
    assert!(!works(&old).await && works(&new).await);

    assert_eq!(run(&["token", "edit", "999", "--description", "x"]).await.status.code(), Some(5));
    assert_eq!(run(&["token", "edit", &id, "--network", "nowhere"]).await.status.code(), Some(7));
    let both = run(&["token", "edit", &id, "--never-expires", "--expires-at", "31-12-2099"]).await;
    assert_eq!(both.status.code(), Some(2));
    system.terminate().await;
}
