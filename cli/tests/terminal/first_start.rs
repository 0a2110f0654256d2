use std::time::{Duration, Instant};

use testkit::{ServiceProcess, process_alive};

use crate::home::{Home, PASSWORD};

/// What a line of the system's output says.
fn told(log: &str, name: &str) -> Option<String> {
    let line = log.lines().rfind(|line| line.starts_with(&format!("{name} ")))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// Everything that a first start promises.
async fn assert_complete(home: &Home, system: &ServiceProcess) {
    let log = system.log();
    let password = told(&log, "password").unwrap_or_else(|| panic!("no password is told:\n{log}"));
    let signin = home.run(&["signin", "--login", "admin", "--password-stdin"], &password, None).await;
    assert_eq!(Home::succeeded(signin), "signed in as admin");
    let pids = home.nodes().await;
    assert_eq!(pids.len(), 2, "{log}");
    assert!(pids.iter().all(|pid| process_alive(*pid)), "two real processes: {pids:?}");
    let tokens = home.json(&["token", "list"]).await;
    assert_eq!(tokens["apiTokens"].as_array().map(Vec::len), Some(1), "{tokens}");
    let bearer = log.split("Bearer ").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    assert!(home.run(&["env", "stop", "my-project"], "", Some(bearer)).await.status.success(), "{log}");
}

#[tokio::test]
async fn a_first_start_that_is_cut_short_is_made_up_for() {
    let home = Home::new();
    let cut = home.begin(&[], &[]).await;
    cut.ready(|| async { told(&cut.log(), "account").is_some() }).await;
    cut.kill().await;

    let cut = home.begin(&[], &[]).await;
    let example = home.folder.path().join("data/nodes/environments/my-project");
    cut.ready(|| async { example.exists() }).await;
    cut.kill().await;

    let system = home.up(&[]).await;
    assert_complete(&home, &system).await;
    system.terminate().await;
    let system = home.up(&[]).await;
    assert_eq!(told(&system.log(), "password"), None, "it is complete now");
    system.terminate().await;
}

/// Wherever it is cut: each start is given a little longer than the one before, until one gets through.
#[tokio::test]
async fn a_first_start_that_is_cut_short_again_and_again_is_made_up_for() {
    let home = Home::new();
    let mut patience = Duration::from_millis(40);
    let complete = loop {
        let system = home.begin(&[], &[]).await;
        let begun = Instant::now();
        system.ready(|| async { begun.elapsed() >= patience || system.log().contains("\ntry ") }).await;
        if system.log().contains("\ntry ") {
            break system;
        }
        system.kill().await;
        patience += patience / 3;
    };
    assert_complete(&home, &complete).await;
    complete.terminate().await;
}

#[tokio::test]
async fn a_login_or_password_that_is_not_used_is_named() {
    let home = Home::new();
    let system = home.up(&["--password", PASSWORD]).await;
    assert!(!system.log().contains("note: "), "it is used");
    system.terminate().await;

    let system = home.up(&["--login", "bob"]).await;
    assert!(system.log().contains("note: --login is not used: there is an account already"), "{}", system.log());
    system.terminate().await;
    let system = home.up_in(&[("PORTCULLIS_LOGIN", "bob"), ("PORTCULLIS_PASSWORD", PASSWORD)], &[]).await;
    assert!(system.log().contains("note: --login and --password are not used"), "{}", system.log());
    system.terminate().await;
    let system = home.up(&[]).await;
    assert!(!system.log().contains("note: "), "nothing was given");
    system.terminate().await;
}
