//! What tests start must not outlive them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Postgres, ServiceProcess, eventually, process_alive, processes_in_group};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_process_is_killed_when_its_test_lets_go_of_it() {
    let process = ServiceProcess::start(Path::new("/bin/sleep"), &["1000"], &[]).await;
    let pid = process.pid();
    assert!(process_alive(pid));
    drop(process);
    assert!(!process_alive(pid));
}

#[tokio::test]
async fn a_frozen_process_goes_on_and_can_be_killed() {
    let process = ServiceProcess::start(Path::new("/bin/sleep"), &["1000"], &[]).await;
    let pid = process.pid();
    let state = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    process.pause();
    eventually("the pause", PATIENCE, async || state().contains("State:\tT").then_some(())).await;
    process.resume();
    eventually("the end of the pause", PATIENCE, async || state().contains("State:\tS").then_some(())).await;
    process.pause();
    process.kill().await;
    assert!(!process_alive(pid));
}

#[tokio::test]
async fn a_process_that_ends_early_is_reported_with_its_log() {
    let script = ["-c", "echo no such key >&2; exit 3"];
    let never_ready = tokio::spawn(async move {
        let process = ServiceProcess::start(Path::new("/bin/sh"), &script, &[]).await;
        process.ready(|| async { false }).await;
    });
    let panic = never_ready.await.unwrap_err().into_panic();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("sh ended") && text.contains("no such key"), "{text}");
}

#[tokio::test]
async fn a_process_is_asked_stopped_and_its_end_is_told() {
    let script = "trap 'echo asked; exit 7' TERM; echo begun; while :; do sleep 0.01; done";
    let process = ServiceProcess::start(Path::new("/bin/sh"), &["-c", script], &[]).await;
    process.ready(|| async { process.log().contains("begun") }).await;
    let (code, log) = process.terminate().await;
    assert_eq!((code, log.as_str()), (7, "begun\nasked\n"));
}

#[tokio::test]
async fn a_process_sees_only_the_environment_it_is_given() {
    let mut process = ServiceProcess::start(Path::new("/usr/bin/env"), &[], &[("A", "1")]).await;
    assert_eq!(process.ended().await, 0);
    let log = process.log();
    assert!(log.contains("A=1\n") && !log.contains("HOME="), "{log}");
}

/// A test process with a folder of its own for what it leaves behind, which must be nothing.
async fn victim(test: &str) -> (ServiceProcess, TempDir) {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    // PostgreSQL may run as somebody else.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).expect("our own folder");
    let environment = [("TESTKIT_VICTIM", "1"), ("TMPDIR", folder.path().to_str().expect("a plain path"))];
    let program = std::env::current_exe().expect("a test has a path");
    (ServiceProcess::start(&program, &["--exact", test, "--nocapture"], &environment).await, folder)
}

fn is_victim() -> bool {
    std::env::var_os("TESTKIT_VICTIM").is_some()
}

fn left_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).expect("our own folder").flatten().map(|entry| entry.path()).collect()
}

/// Processes that have to do with a folder.
fn working_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("this is Linux").flatten();
    let commands = processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
    commands.filter(|command| command.contains(&*folder.to_string_lossy())).collect()
}

/// The test process itself can be killed: its pipes end then, and with them everything.
#[tokio::test]
async fn nothing_outlives_a_killed_test_process() {
    if is_victim() {
        let process = ServiceProcess::start(Path::new("/bin/sleep"), &["1000"], &[]).await;
        println!("ready {} {}", process.pid(), Postgres::shared().new_database());
        std::future::pending::<()>().await;
    }
    let (victim, folder) = victim("nothing_outlives_a_killed_test_process").await;
    victim.ready(|| async { victim.log().contains("ready ") && victim.log().ends_with('\n') }).await;
    let log = victim.log();
    let words: Vec<&str> = log.split("ready ").nth(1).unwrap().split_whitespace().collect();
    let (pid, url) = (words[0].parse().unwrap(), words[1]);
    let address = url.rsplit('@').next().unwrap().split('/').next().unwrap();
    assert!(process_alive(pid) && !working_in(folder.path()).is_empty() && !left_in(folder.path()).is_empty());
    assert!(TcpStream::connect(address).await.is_ok());
    victim.kill().await;
    eventually("the end of everything", PATIENCE, async || {
        let refused = TcpStream::connect(address).await.is_err();
        let gone = working_in(folder.path()).is_empty() && left_in(folder.path()).is_empty();
        (refused && gone && !process_alive(pid)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_outlives_a_test_process_that_is_killed_while_postgresql_starts() {
    if is_victim() {
        let _ = Postgres::shared();
        std::future::pending::<()>().await;
    }
    let (victim, folder) = victim("nothing_outlives_a_test_process_that_is_killed_while_postgresql_starts").await;
    eventually("PostgreSQL's folder", PATIENCE, async || left_in(folder.path()).pop()).await;
    victim.kill().await;
    eventually("the end of everything", PATIENCE, async || {
        (working_in(folder.path()).is_empty() && left_in(folder.path()).is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_starts_again_and_leaves_nothing() {
    let mut server = Postgres::start();
    let folder = server.folder().to_owned();
    let url = server.new_database();
    let address = url.rsplit('@').next().unwrap().split('/').next().unwrap();
    server.kill();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(working_in(&folder.join("data")).is_empty());
    server.restart();
    assert!(TcpStream::connect(address).await.is_ok());
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!folder.exists() && working_in(&folder).is_empty());
}

#[test]
fn a_group_is_found_by_its_number() {
    let group = u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).unwrap();
    assert!(processes_in_group(group).contains(&std::process::id()));
}
