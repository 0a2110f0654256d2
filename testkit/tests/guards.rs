//! What tests start must not outlive them.

use std::path::Path;
use std::time::Duration;

use testkit::{Postgres, ServiceProcess, eventually, process_alive, processes_in_group};

#[tokio::test]
async fn a_process_is_killed_when_its_test_lets_go_of_it() {
    let process = ServiceProcess::start(Path::new("/bin/sleep"), &["1000"], &[]).await;
    let pid = process.pid();
    assert!(process_alive(pid));
    drop(process);
    eventually("the end of the process", Duration::from_secs(10), async || (!process_alive(pid)).then_some(())).await;
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
        let url = Postgres::shared().new_database();
        println!("ready {} {url}", process.pid());
        std::future::pending::<()>().await;
    }
    let test = std::env::current_exe().unwrap();
    let arguments = ["--exact", "nothing_outlives_a_killed_test_process", "--nocapture"];
    let victim = ServiceProcess::start(&test, &arguments, &[("TESTKIT_VICTIM", "1")]).await;
    victim.ready(|| async { victim.log().contains("ready ") }).await;
    let log = victim.log();
    let words: Vec<&str> = log.split("ready ").nth(1).unwrap().split_whitespace().collect();
    let (pid, url) = (words[0].parse().unwrap(), words[1]);
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    assert!(process_alive(pid));
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    victim.kill().await;
    eventually("the end of everything", Duration::from_secs(30), async || {
        let refused = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err();
        (refused && !process_alive(pid)).then_some(())
    })
    .await;
}

#[test]
fn a_group_is_found_by_its_number() {
    let group = u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).unwrap();
    assert!(processes_in_group(group).contains(&std::process::id()));
}
