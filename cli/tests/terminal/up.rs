use std::time::Duration;

use testkit::{eventually, process_alive};
use tokio::process::Command;

use crate::home::{Home, PASSWORD};

#[tokio::test]
async fn the_first_start_makes_an_account_an_example_and_a_line_to_try_and_the_second_finds_them() {
    let home = Home::new();
    let system = home.up(&[]).await;
    let log = system.log();
    let password = log.lines().find_map(|line| line.strip_prefix("password  ")).unwrap();
    let password = password.split_whitespace().next().unwrap().to_owned();
    assert_eq!(password.len(), 20);

    let signin = home.run(&["signin", "--login", "admin", "--password-stdin"], &password, None).await;
    assert_eq!(Home::succeeded(signin), "signed in as admin");
    let pids = home.nodes().await;
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| process_alive(*pid)), "two real processes");

    let (code, _) = system.terminate().await;
    assert_eq!(code, 0);
    assert!(pids.iter().all(|pid| process_alive(*pid)), "they go on without the system");
    assert!(reqwest::get(&home.url).await.is_err(), "nobody listens any more");

    let system = home.up(&["--login", "other", "--password", PASSWORD]).await;
    assert!(!system.log().contains("\npassword "), "no second account");
    assert_eq!(home.nodes().await, pids, "the same processes, with the session of before");

    // The line that the first start printed, as it is pasted.
    let line = log.lines().find_map(|line| line.strip_prefix("try       ")).unwrap();
    let tried = Command::new("/bin/sh").args(["-c", &format!("{line} --silent")]).output().await.unwrap();
    assert_eq!(String::from_utf8(tried.stdout).unwrap(), r#"{"result":0}"#);
    assert!(!pids.iter().any(|pid| process_alive(*pid)), "and they have ended");
    system.terminate().await;
}

#[tokio::test]
async fn environments_stop_with_the_system_and_start_with_it_where_that_is_wanted() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let before = home.nodes().await;
    system.terminate().await;
    assert!(!before.iter().any(|pid| process_alive(*pid)));

    let system = home.up(&["--stop-environments"]).await;
    let after = eventually("the nodes of the second start", Duration::from_secs(20), async || {
        let pids = home.nodes().await;
        pids.iter().all(|pid| *pid != 0 && process_alive(*pid)).then_some(pids)
    })
    .await;
    assert!(after.iter().all(|pid| !before.contains(pid)));
    system.terminate().await;
    assert!(!after.iter().any(|pid| process_alive(*pid)));
}

#[tokio::test]
async fn two_systems_do_not_share_a_folder() {
    let home = Home::new();
    let first = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    let second = home.run(&["up", "--data-dir", &home.data(), "--listen", "127.0.0.1:0"], "", None).await;
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another `portcullis up`"));
    first.terminate().await;
}

#[tokio::test]
async fn tokens_are_made_used_regenerated_and_deleted_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let create =
        ["token", "create", "--description", "stop only", "--method", "env.control.stopenv", "--password-stdin"];
    let token = Home::succeeded(home.run(&create, PASSWORD, None).await);
    assert!(token.starts_with("pcl_pat_"), "the value alone, for a script to take");

    let stop = ["env", "stop", "my-project"];
    assert_eq!(Home::succeeded(home.run(&stop, "", Some(&token)).await), "");
    let start = home.run(&["env", "start", "my-project"], "", Some(&token)).await;
    assert_eq!(start.status.code(), Some(4));
    let text = String::from_utf8_lossy(&start.stderr).into_owned();
    assert!(text.contains("environment.control.StartEnv") && text.contains("hint: "), "{text}");

    let tokens = home.json(&["token", "list"]).await;
    let newest = tokens["apiTokens"][0]["id"].to_string();
    let regenerate = ["token", "regenerate", &newest, "--password-stdin"];
    let fresh = Home::succeeded(home.run(&regenerate, PASSWORD, None).await);
    assert_eq!(home.run(&stop, "", Some(&token)).await.status.code(), Some(3), "the old value is dead");
    assert!(home.run(&stop, "", Some(&fresh)).await.status.success());
    let delete = ["token", "delete", &newest, "--password-stdin"];
    assert_eq!(home.run(&delete, "wrong password", None).await.status.code(), Some(3));
    assert!(home.run(&delete, PASSWORD, None).await.status.success());
    assert_eq!(home.run(&stop, "", Some(&fresh)).await.status.code(), Some(3));
    system.terminate().await;
}

#[tokio::test]
async fn whoever_has_a_token_ends_or_reports_it_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD]).await;
    home.signin().await;
    let create = async || {
        let create = ["token", "create", "--description", "x", "--method", "env.control.getenvs", "--password-stdin"];
        Home::succeeded(home.run(&create, PASSWORD, None).await)
    };
    let works = async |token: &str| home.run(&["env", "list"], "", Some(token)).await.status.success();
    let (ended, reported) = (create().await, create().await);
    assert!(works(&ended).await && works(&reported).await);

    let revoke = ["token", "revoke-current"];
    let session = home.run(&revoke, "", None).await;
    assert_eq!(session.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&session.stderr).contains("PORTCULLIS_TOKEN"));
    assert_eq!(Home::succeeded(home.run(&revoke, "", Some(&ended)).await), "");
    assert!(!works(&ended).await);
    assert_eq!(home.run(&revoke, "", Some(&ended)).await.status.code(), Some(3));

    let report = ["token", "report-leak"];
    let argument = home.run(&["token", "report-leak", &reported], "", None).await;
    assert_eq!(argument.status.code(), Some(2), "no argument takes a secret");
    assert_eq!(home.run(&report, "nonsense", None).await.status.code(), Some(7));
    assert!(works(&reported).await);
    assert_eq!(Home::succeeded(home.run(&report, &reported, None).await), "");
    assert!(!works(&reported).await);
    assert_eq!(Home::succeeded(home.run(&report, &reported, None).await), "", "as if it were there");
    let tokens = home.json(&["token", "list"]).await;
    assert_eq!(
        tokens["apiTokens"].as_array().map(Vec::len),
        Some(2),
        "the first start's example, and the reported one"
    );
    assert!(tokens["apiTokens"][0]["leakedAt"].is_string(), "its owner is told");
    system.terminate().await;
}

#[tokio::test]
async fn environments_and_accounts_are_managed_from_a_terminal() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD, "--stop-environments"]).await;
    home.signin().await;
    let created = home.json(&["env", "create", "shop", "--node", "web", "--node", "worker:2"]).await;
    assert_eq!(created["response"]["nodes"].as_array().unwrap().len(), 3);
    let list = Home::succeeded(home.run(&["env", "list"], "", None).await);
    assert!(list.contains("my-project") && list.contains("shop") && list.contains("running"), "{list}");
    assert_eq!(home.run(&["env", "create", "shop", "--node", "web"], "", None).await.status.code(), Some(7));
    assert_eq!(home.run(&["env", "create", "Shop!", "--node", "web"], "", None).await.status.code(), Some(7));
    assert!(home.run(&["env", "delete", "shop"], "", None).await.status.success());
    assert_eq!(home.run(&["env", "info", "shop"], "", None).await.status.code(), Some(5));

    let create = ["account", "create", "bob", "--password-stdin"];
    let twice = format!("{PASSWORD}\n{PASSWORD}");
    assert!(home.run(&create, &twice, None).await.status.success());
    assert_eq!(home.run(&create, &twice, None).await.status.code(), Some(7));
    assert_eq!(
        home.run(&["account", "create", "carol", "--password-stdin"], &format!("{PASSWORD}\nshort"), None)
            .await
            .status
            .code(),
        Some(7)
    );
    assert!(home.run(&["signout"], "", None).await.status.success());
    assert_eq!(home.run(&["env", "list"], "", None).await.status.code(), Some(3), "signed out");
    let bob = ["signin", "--login", "bob", "--password-stdin"];
    assert_eq!(home.run(&bob, "wrong password", None).await.status.code(), Some(3));
    assert!(home.run(&bob, PASSWORD, None).await.status.success());
    assert_eq!(home.run(&["account", "create", "eve", "--password-stdin"], &twice, None).await.status.code(), Some(4));
    assert_eq!(home.run(&["env", "info", "my-project"], "", None).await.status.code(), Some(5), "it is not bob's");
    system.terminate().await;
    assert_eq!(home.run(&["env", "list"], "", None).await.status.code(), Some(6), "nobody is there");
}

#[tokio::test]
async fn what_needs_no_server_needs_none() {
    let home = Home::new();
    let list = Home::succeeded(home.run(&["api", "list", "--search", "stopenv"], "", None).await);
    assert!(list.contains("environment.control.StopEnv") && list.contains("envName"), "{list}");
    let methods = home.json(&["api", "list"]).await;
    assert_eq!(methods.as_array().unwrap().iter().filter(|m| m["access"] == "permission").count(), proto_permissions());
    let key = home.json(&["service-key"]).await;
    let parsed = access::Credential::parse(key["key"].as_str().unwrap()).unwrap();
    assert_eq!(parsed.hash().to_string(), key["sha256"].as_str().unwrap());
    let pem = Home::succeeded(home.run(&["signing-key"], "", None).await);
    access::SigningKey::from_pem(&pem).unwrap();
    assert_eq!(home.run(&["no-such-command"], "", None).await.status.code(), Some(2));
    assert_eq!(home.run(&["env", "list"], "", None).await.status.code(), Some(3), "not signed in");
}

#[tokio::test]
async fn what_is_wrong_about_a_command_is_named() {
    let home = Home::new();
    for (arguments, named) in [
        (&["env", "create", "shop", "--node", "web:x"][..], "\"x\" is no number of nodes"),
        (&["signin", "--login", "admin"], "use --password-stdin"),
        (&["--url", "nowhere", "env", "list"], "--url"),
        (&["--url", "ftp://127.0.0.1", "env", "list"], "http or https"),
    ] {
        let output = home.run(arguments, "", None).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
}

fn proto_permissions() -> usize {
    proto::catalog().permissions().len()
}
