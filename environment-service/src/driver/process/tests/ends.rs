//! How nodes end, and what ends with them.

use super::*;

#[tokio::test]
async fn a_whole_group_ends_with_its_node() {
    let mut machine = Machine::running("sleep 1000 & echo $!; (sleep 1001 & echo $!); echo $$; wait");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let pids = pids(&machine.lines("stdout.log", 3).await);
    assert_eq!(pids[2], key(&launch).pid);
    assert!(pids.iter().all(|pid| is_running(*pid)));
    assert_eq!(driver.observe(&launch), Observed::Alive { number: i64::from(pids[2]) });
    let group = rustix::process::getpgid(rustix::process::Pid::from_raw(pids[0])).unwrap();
    assert_eq!(group.as_raw_nonzero().get(), pids[2], "a group of its own");

    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(pids.iter().all(|pid| !is_running(*pid)));
    assert!(Process::new(pids[2]).is_err(), "it was collected too");
    driver.end(&[launch]).await.unwrap();
}

#[tokio::test]
async fn a_node_may_end_in_its_own_way_within_the_grace() {
    let script = "trap 'sleep 0.2; echo tidy; exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done";
    let mut machine = Machine::running(script);
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    machine.lines("stdout.log", 1).await;
    driver.end(&[launch]).await.unwrap();
    assert_eq!(machine.lines("stdout.log", 2).await, ["ready", "tidy"]);
}

#[tokio::test]
async fn what_is_just_being_started_ends_too() {
    // A new process may lose the request: until it runs its own program, it has its parent's way to answer it.
    let script = "trap 'exit 0' TERM; echo ready; for i in $(seq 300); do sleep 1000 & done; wait";
    for _ in 0..5 {
        let mut machine = Machine::running(script);
        let driver = machine.driver().await;
        let launch = machine.launch(&driver).await;
        machine.lines("stdout.log", 1).await;
        let begin = Instant::now();
        driver.end(&[launch]).await.unwrap();
        assert!(begin.elapsed() < LONG, "without waiting for the grace");
        assert_eq!(machine.marked(), 0);
    }
}

#[tokio::test]
async fn one_that_ignores_the_request_is_killed_after_the_grace() {
    let script = "trap '' TERM; sleep 1000 & echo $!; echo $$; wait";
    let mut machine = Machine::running(script).with_grace(Duration::from_millis(300));
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let pids = pids(&machine.lines("stdout.log", 2).await);
    let begin = Instant::now();
    driver.end(&[launch]).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300), "the grace was given");
    assert!(pids.iter().all(|pid| !is_running(*pid)));
}

#[tokio::test]
async fn a_halted_node_hears_the_request() {
    let mut machine = Machine::running("echo ready; kill -STOP $$; sleep 1000");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    machine.lines("stdout.log", 1).await;
    let pid = key(&launch).pid;
    until(|| Process::new(pid).unwrap().stat().unwrap().state == 'T').await;
    let begin = Instant::now();
    driver.end(&[launch]).await.unwrap();
    assert!(begin.elapsed() < LONG, "without waiting for the grace");
}

#[tokio::test]
async fn what_left_the_group_ends_too() {
    let mut machine = Machine::running("setsid sh -c 'echo $$; exec sleep 1000' & wait; exec sleep 1001");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let escaped = pids(&machine.lines("stdout.log", 1).await)[0];
    assert_ne!(escaped, key(&launch).pid);
    driver.end(&[launch]).await.unwrap();
    assert!(!is_running(escaped));
}

#[tokio::test]
async fn a_node_leads_a_session_of_its_own_without_a_terminal() {
    let mut machine = Machine::running("exec sleep 1000");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let pid = key(&launch).pid;
    let stat = Process::new(pid).unwrap().stat().unwrap();
    assert_eq!((stat.session, stat.pgrp, stat.tty_nr), (pid, pid, 0));
    assert_ne!(Process::myself().unwrap().stat().unwrap().session, pid, "not the service's");
    driver.end(&[launch]).await.unwrap();
}

/// Starts a shell with job control, whose background job is in a group of its own, and has no mark.
const OTHER_GROUP: &str = "bash -c 'set -m; env -i sleep 1000 & echo $!'";

#[tokio::test]
async fn what_left_the_group_and_not_the_session_ends_without_its_mark() {
    for script in [&format!("{OTHER_GROUP}; exec sleep 1001"), &format!("{OTHER_GROUP}; exit 3")] {
        let mut machine = Machine::running(script);
        let driver = machine.driver().await;
        let launch = machine.launch(&driver).await;
        let node = key(&launch).pid;
        let other = pids(&machine.lines("stdout.log", 1).await)[0];
        let stat = Process::new(other).unwrap().stat().unwrap();
        assert_eq!((stat.session, stat.pgrp), (node, other));
        until(|| Process::new(other).unwrap().environ().unwrap().is_empty()).await;
        if script.ends_with("exit 3") {
            driver.ended_within(std::slice::from_ref(&launch), LONG).await.unwrap();
        }
        assert!(is_running(other));
        driver.end(&[launch]).await.unwrap();
        assert!(!is_running(other), "{script}");
    }
}

#[tokio::test]
async fn what_an_ended_node_leaves_in_its_group_is_ended_without_its_mark() {
    let mut machine = Machine::running("env -i sleep 1000 & echo $!; exit 3");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let left = pids(&machine.lines("stdout.log", 1).await)[0];
    let ended = driver.ended_within(std::slice::from_ref(&launch), LONG).await.unwrap();
    assert_eq!(ended, Ended { launch: launch.id, reason: "has ended with exit code 3".to_owned() });
    assert_eq!(driver.observe(&launch), Observed::Dead { reason: Some(ended.reason) });
    assert!(is_running(left));
    driver.end(&[launch]).await.unwrap();
    assert!(!is_running(left));
}
