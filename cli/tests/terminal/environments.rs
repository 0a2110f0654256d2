//! What is done to environments and their nodes.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{ServiceProcess, eventually};

use crate::home::{Home, PASSWORD};

/// What nodes run here, and may be made to run.
const TEMPLATES: &str = r#"
exec_commands = ["/bin/echo", "/bin/sh"]

[[template]]
name = "page"
variables = ["COLOUR", "EMPTY", "ONLY", "SECRET"]
command = ["/bin/sh", "-c", "echo version $PORTCULLIS_TAG, colour $COLOUR; sleep 600 & wait"]
"#;

/// A system with an environment `shop` of two nodes, and their numbers.
async fn shop() -> (Home, ServiceProcess, [String; 2]) {
    let home = Home::offering(TEMPLATES);
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let created = home.json(&["env", "create", "shop", "--node", "cp=page:2", "--display-name", "The shop"]).await;
    assert_eq!(created["response"]["env"]["displayName"], "The shop");
    let nodes = [0, 1].map(|index| created["response"]["nodes"][index]["id"].to_string());
    (home, system, nodes)
}

async fn run(home: &Home, arguments: &[&str]) -> Output {
    home.run(arguments, "", None).await
}

/// The standard output of a command that has to succeed.
async fn tells(home: &Home, arguments: &[&str]) -> String {
    Home::succeeded(run(home, arguments).await)
}

/// The exit code and what is said of a command that has to fail.
async fn fails(home: &Home, arguments: &[&str]) -> (i32, String) {
    let output = run(home, arguments).await;
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

async fn info(home: &Home, name: &str) -> Value {
    home.json(&["env", "info", name]).await
}

fn processes(info: &Value) -> [i64; 2] {
    [0, 1].map(|index| info["nodes"][index]["ctid"].as_i64().unwrap())
}

#[tokio::test]
async fn environments_sleep_are_renamed_and_cloned() {
    let (home, system, _) = shop().await;
    assert_eq!(tells(&home, &["env", "sleep", "shop"]).await, "");
    assert!(tells(&home, &["env", "info", "shop"]).await.starts_with("shop is asleep\n"));
    assert!(tells(&home, &["env", "list"]).await.contains("asleep"));
    assert_eq!(tells(&home, &["env", "start", "shop"]).await, "");
    assert!(tells(&home, &["env", "info", "shop"]).await.starts_with("shop is running\n"));

    tells(&home, &["env", "rename", "shop", "Another shop"]).await;
    assert_eq!(info(&home, "shop").await["env"]["displayName"], "Another shop");
    tells(&home, &["env", "rename", "shop"]).await;
    assert_eq!(info(&home, "shop").await["env"]["displayName"], "shop");
    assert_eq!(fails(&home, &["env", "rename", "shop", "a\nb"]).await.0, 7);

    let copy = home.run(&["env", "clone", "shop", "shop-2"], "", None).await;
    let said = String::from_utf8(copy.stderr.clone()).unwrap();
    assert!(said.starts_with("cloning shop …\n") && said.ends_with("shop-2 is running\n"), "{said}");
    assert!(Home::succeeded(copy).starts_with("shop-2 is running\n"));
    assert_eq!(fails(&home, &["env", "clone", "shop", "shop-2"]).await.0, 7, "the name is taken");
    assert_eq!(fails(&home, &["env", "clone", "nobodys", "shop-3"]).await.0, 5);
    let (code, text) = fails(&home, &["env", "create", "shop-3", "--image", "bl=nginx:1.27"]).await;
    assert!(code == 7 && text.contains("nodes[0].docker.image"), "{text}");
    system.terminate().await;
}

#[tokio::test]
async fn nodes_are_restarted_redeployed_and_resized() {
    let (home, system, [one, other]) = shop().await;
    let first = processes(&info(&home, "shop").await);
    tells(&home, &["env", "restart", "shop", "--node", &one]).await;
    let second = processes(&info(&home, "shop").await);
    assert!(second[0] != first[0] && second[1] == first[1], "{first:?} {second:?}");
    tells(&home, &["env", "restart", "shop"]).await;
    let third = processes(&info(&home, "shop").await);
    assert!(third[0] != second[0] && third[1] != second[1], "{second:?} {third:?}");

    let told = tells(&home, &["env", "redeploy", "shop", "--tag", "v2", "--group", "cp"]).await;
    assert!(told.contains(&one) && told.contains(&other) && told.contains("version v2"), "{told}");
    tells(&home, &["env", "redeploy", "shop", "--tag", "v3", "--node", &one]).await;
    let nodes = info(&home, "shop").await["nodes"].take();
    assert_eq!((&nodes[0]["version"], &nodes[1]["version"]), (&json!("v3"), &json!("v2")));
    assert!(tells(&home, &["env", "info", "shop"]).await.contains("v3"));

    tells(&home, &["env", "resize", "shop", &other, "--fixed", "1", "--flexible", "4"]).await;
    let node = info(&home, "shop").await["nodes"][1].take();
    assert_eq!((&node["fixedCloudlets"], &node["flexibleCloudlets"]), (&json!(1), &json!(4)));

    assert_eq!(fails(&home, &["env", "redeploy", "shop", "--tag", "v2"]).await.0, 2, "no nodes are chosen");
    assert_eq!(fails(&home, &["env", "restart", "shop", "--node", "1", "--group", "cp"]).await.0, 2);
    assert_eq!(fails(&home, &["env", "restart", "shop", "--group", "none"]).await.0, 5);
    assert_eq!(fails(&home, &["env", "redeploy", "shop", "--tag", "-", "--group", "cp"]).await.0, 7);
    assert_eq!(fails(&home, &["env", "resize", "shop", &one, "--fixed", "4", "--flexible", "1"]).await.0, 7);
    tells(&home, &["env", "stop", "shop"]).await;
    assert_eq!(fails(&home, &["env", "restart", "shop"]).await.0, 8, "it does not run");
    system.terminate().await;
}

#[tokio::test]
async fn variables_come_from_arguments_and_from_standard_input() {
    let (home, system, [one, _]) = shop().await;
    tells(&home, &["env", "vars", "add", "shop", "--group", "cp", "COLOUR=blue", "EMPTY="]).await;
    let hidden = ["env", "vars", "add", "shop", "--node", &one, "--stdin"];
    Home::succeeded(home.run(&hidden, "SECRET=a=b c", None).await);
    let of = async |chosen: &[&str]| tells(&home, &[&["env", "vars", "get", "shop"], chosen].concat()).await;
    assert_eq!(of(&["--node", &one]).await, "COLOUR=blue\nEMPTY=\nSECRET=a=b c");
    assert_eq!(of(&["--group", "cp"]).await, of(&["--node", &one]).await, "those of the first node");
    tells(&home, &["env", "vars", "remove", "shop", "--node", &one, "SECRET", "EMPTY"]).await;
    assert_eq!(of(&["--node", &one]).await, "COLOUR=blue");
    tells(&home, &["env", "vars", "set", "shop", "--node", &one, "ONLY=this"]).await;
    assert_eq!(of(&["--node", &one]).await, "ONLY=this");
    tells(&home, &["env", "vars", "set", "shop", "--group", "cp", "COLOUR=green"]).await;
    assert_eq!(home.json(&["env", "vars", "get", "shop", "--node", &one]).await["object"], json!({"COLOUR": "green"}));
    for wrong in ["COLOUR", "1A=x"] {
        let (code, text) = fails(&home, &["env", "vars", "add", "shop", "--group", "cp", wrong]).await;
        assert_eq!(code, if wrong == "COLOUR" { 2 } else { 7 }, "{text}");
    }
    assert_eq!(fails(&home, &["env", "vars", "add", "shop", "--group", "cp"]).await.0, 2, "nothing to add");
    system.terminate().await;
}

#[tokio::test]
async fn commands_are_run_in_nodes_where_the_operator_lists_them() {
    let (home, system, [one, _]) = shop().await;
    let exec = ["env", "exec", "shop", "--node", &one, "--"];
    assert_eq!(tells(&home, &[&exec[..], &["/bin/echo", "a  b", "$HOME"]].concat()).await, "a  b $HOME");
    let group = tells(&home, &["env", "exec", "shop", "--group", "cp", "--", "/bin/echo", "hello"]).await;
    assert_eq!(group, "hello\nhello");
    let failing = ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"];
    let output = run(&home, &[&exec[..], &failing].concat()).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"out\n"[..]));
    assert!(said.starts_with("err\n") && said.contains(&format!("ended with 7 in node {one}")), "{said}");
    let (code, text) = fails(&home, &[&exec[..], &["/bin/ls"]].concat()).await;
    assert!(code == 4 && text.contains("/bin/ls") && !text.contains("hint: "), "a session helps no more: {text}");
    assert_eq!(fails(&home, &exec).await.0, 2, "no command");
    system.terminate().await;
}

#[tokio::test]
async fn logs_and_files_are_read_and_followed() {
    let (home, system, [one, _]) = shop().await;
    let list = tells(&home, &["env", "logs", "list", "shop", &one]).await;
    assert!(list.contains("stdout.log"), "{list}");
    let read = ["env", "logs", "read", "shop", &one, "stdout.log"];
    assert_eq!(tells(&home, &read).await, "version latest, colour");
    assert_eq!(tells(&home, &[&read[..], &["--from", "8", "--count", "6"]].concat()).await, "latest");
    assert_eq!(tells(&home, &["env", "file", "shop", &one, "/stdout.log"]).await, "version latest, colour");
    assert_eq!(fails(&home, &["env", "file", "shop", &one, "../../../lock"]).await.0, 5);
    assert_eq!(fails(&home, &["env", "logs", "read", "shop", &one, "none.log", "--follow"]).await.0, 1);

    let credentials = home.folder.path().join("credentials.toml").display().to_string();
    let environment = [("PORTCULLIS_URL", home.url.as_str()), ("PORTCULLIS_CREDENTIALS", &credentials)];
    let arguments = [&read[..], &["--follow"]].concat();
    let follower = ServiceProcess::start(Path::new(crate::home::PORTCULLIS), &arguments, &environment).await;
    let has = async |text: &str| {
        eventually("the log", Duration::from_secs(20), async || (follower.log() == text).then_some(())).await;
    };
    has("version latest, colour\n").await;
    tells(&home, &["env", "redeploy", "shop", "--tag", "v2", "--node", &one]).await;
    has("version latest, colour\nversion v2, colour\n").await;
    follower.terminate().await;
    system.terminate().await;
}

#[tokio::test]
async fn environments_are_put_together_in_groups() {
    let (home, system, _) = shop().await;
    let groups = async || tells(&home, &["group", "list"]).await;
    tells(&home, &["group", "create", "live"]).await;
    tells(&home, &["env", "groups", "attach", "shop", "webs", "live"]).await;
    assert_eq!(groups().await, "live\nwebs");
    assert!(tells(&home, &["env", "info", "shop"]).await.contains("groups: live, webs"));
    tells(&home, &["env", "groups", "detach", "shop", "live"]).await;
    assert_eq!(tells(&home, &["group", "list", "--environment", "shop"]).await, "webs");
    tells(&home, &["group", "rename", "webs", "sites"]).await;
    assert_eq!(tells(&home, &["group", "list", "--environment", "shop"]).await, "sites");
    tells(&home, &["env", "groups", "set", "shop"]).await;
    assert_eq!(tells(&home, &["group", "list", "--environment", "shop"]).await, "");
    tells(&home, &["group", "remove", "sites"]).await;
    assert_eq!(groups().await, "live");
    assert_eq!(fails(&home, &["group", "create", "live"]).await.0, 7);
    assert_eq!(fails(&home, &["group", "remove", "sites"]).await.0, 5);
    assert_eq!(fails(&home, &["env", "groups", "attach", "shop", "a\nb"]).await.0, 7);
    system.terminate().await;
}

#[tokio::test]
async fn environments_are_watched_as_long_as_one_may() {
    let (home, system, _) = shop().await;
    let credentials = home.folder.path().join("credentials.toml").display().to_string();
    let environment = [("PORTCULLIS_URL", home.url.as_str()), ("PORTCULLIS_CREDENTIALS", &credentials)];
    let begin = async |arguments: &[&str]| {
        ServiceProcess::start(Path::new(crate::home::PORTCULLIS), arguments, &environment).await
    };
    let (people, machine) = (begin(&["env", "watch"]).await, begin(&["--output", "json", "env", "watch"]).await);
    let has = async |watcher: &ServiceProcess, text: &str| {
        eventually(text, Duration::from_secs(20), async || watcher.log().contains(text).then_some(())).await;
    };
    has(&people, "shop is running\n").await;
    has(&machine, "{\"data\":{\"infos\":").await;
    tells(&home, &["env", "stop", "shop"]).await;
    has(&people, "shop is stopped\n").await;
    tells(&home, &["env", "delete", "shop"]).await;
    has(&people, "shop is gone\n").await;
    let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    has(&machine, "\"event\":\"removed\"").await;
    assert!(machine.log().lines().all(is_json), "{}", machine.log());
    tells(&home, &["signout"]).await;
    for watcher in [people, machine] {
        has(&watcher, "(result 702)").await;
    }
    system.terminate().await;
}
