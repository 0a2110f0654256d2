//! What tests start must not outlive them.

use std::path::Path;
use std::time::Duration;

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

/// The test process itself can be killed: its pipes end then, and with them everything.
#[tokio::test]
async fn nothing_outlives_a_killed_test_process() {
    if std::env::var_os("TESTKIT_VICTIM").is_some() {
        let process = ServiceProcess::start(Path::new("/bin/sleep"), &["1000"], &[]).await;
        let server = Postgres::shared();
        println!("ready {} {} {}", process.pid(), server.new_database(), server.folder().display());
        std::future::pending::<()>().await;
    }
    let test = std::env::current_exe().unwrap();
    let arguments = ["--exact", "nothing_outlives_a_killed_test_process", "--nocapture"];
    let victim = ServiceProcess::start(&test, &arguments, &[("TESTKIT_VICTIM", "1")]).await;
    victim.ready(|| async { victim.log().contains("ready ") && victim.log().ends_with('\n') }).await;
    let log = victim.log();
    let words: Vec<&str> = log.split("ready ").nth(1).unwrap().split_whitespace().collect();
    let (pid, folder) = (words[0].parse().unwrap(), Path::new(words[2]));
    let address = words[1].rsplit('@').next().unwrap().split('/').next().unwrap();
    assert!(process_alive(pid) && folder.join("data").is_dir());
    assert!(TcpStream::connect(address).await.is_ok());
    victim.kill().await;
    eventually("the end of everything", PATIENCE, async || {
        let refused = TcpStream::connect(address).await.is_err();
        (refused && !process_alive(pid) && !folder.exists()).then_some(())
    })
    .await;
}

#[test]
fn a_group_is_found_by_its_number() {
    let group = u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).unwrap();
    assert!(processes_in_group(group).contains(&std::process::id()));
}
