//! What is told while an action goes on.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::home::{Home, PASSWORD, PORTCULLIS};

/// A node that takes its time to end.
const TEMPLATES: &str = r#"
[[template]]
name = "slow"
command = ["/bin/sh", "-c", "trap 'sleep 3; exit' TERM; echo up; while :; do sleep 0.1; done"]
"#;

async fn slow() -> (Home, testkit::ServiceProcess) {
    let home = Home::offering(TEMPLATES);
    let system = home.up(&["--password", PASSWORD]).await;
    home.signin().await;
    Home::succeeded(home.run(&["env", "create", "shop", "--node", "slow"], "", None).await);
    (home, system)
}

/// Two ends of a terminal of its own: what is written to the second is read from the first.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(ours), theirs)
}

/// Runs a command whose standard error is a terminal, and answers what it has written there.
fn on_a_terminal(home: &Home, arguments: &[&str]) -> String {
    let (mut ours, theirs) = terminal();
    let mut command = Command::new(PORTCULLIS);
    command.args(arguments).env_clear().env("PORTCULLIS_URL", &home.url).env("TERM", "xterm");
    command.env("PORTCULLIS_CREDENTIALS", home.folder.path().join("credentials.toml"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
    drop(command);
    let mut written = Vec::new();
    // Reading ends with an error once nobody has the other end.
    let _ = ours.read_to_end(&mut written);
    assert!(child.wait().unwrap().success());
    String::from_utf8(written).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_action_is_told_in_lines_and_on_a_terminal_in_one_that_moves() {
    let (home, system) = slow().await;
    let stopped = home.run(&["env", "stop", "shop"], "", None).await;
    let lines = String::from_utf8(stopped.stderr.clone()).unwrap();
    assert_eq!(Home::succeeded(stopped), "", "nothing of it is data");
    assert_eq!(lines, "stopping shop …\nshop is stopping, 0 of 1 nodes run\nshop is stopped\n");

    Home::succeeded(home.run(&["env", "start", "shop"], "", None).await);
    let terminal = on_a_terminal(&home, &["env", "stop", "shop"]);
    assert!(terminal.contains("stopping shop …") && terminal.contains("stopping shop: stopping, 0 of 1"), "{terminal}");
    assert!(terminal.ends_with("shop is stopped\r\n") && terminal.contains("\u{1b}["), "{terminal:?}");
    system.terminate().await;
}

#[tokio::test]
async fn an_action_is_done_by_who_may_not_look() {
    let (home, system) = slow().await;
    let create = ["token", "create", "--description", "x", "--method", "env.control.stopenv", "--password-stdin"];
    let token = Home::succeeded(home.run(&create, PASSWORD, None).await);
    let stopped = home.run(&["env", "stop", "shop"], "", Some(&token)).await;
    assert_eq!(String::from_utf8(stopped.stderr.clone()).unwrap(), "stopping shop …\nshop is stopped\n");
    Home::succeeded(stopped);
    let failed = home.run(&["env", "stop", "nobodys"], "", None).await;
    let text = String::from_utf8(failed.stderr).unwrap();
    assert!(text.starts_with("stopping nobodys …\nerror: ") && !text.contains("is stopped"), "{text}");
    system.terminate().await;
}
