//! Control groups of nodes, on those of this very machine. Where it lets nobody have any, that is what is tested.

use std::collections::HashSet;

use cgroup::{Controller, Group};

use super::*;
use crate::domain::Cloudlets;

/// Removes what a test has left of groups, once all in them has been killed. Whether nothing is left.
pub(super) fn emptied(machine: &Machine) -> bool {
    if machine.bounding.bounding == Bounding::Off {
        return true;
    }
    let Ok(bounds) = Bounds::open(&machine.bounding, machine.folder.path()) else { return true };
    let groups = bounds.others(&HashSet::new()).into_iter().filter_map(|launch| bounds.of(launch));
    groups.filter(|group| !kill(group)).count() == 0
}

fn kill(group: &Group) -> bool {
    let _ = group.kill();
    for pid in group.processes().unwrap_or_default() {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    group.remove().is_ok()
}

/// The group of a launch, if this machine lets nodes have any; if not, that is what the driver says.
fn group(driver: &ProcessDriver, launch: &Launch) -> Option<Group> {
    let group = driver.bounds.of(launch.id);
    if group.is_none() {
        eprintln!("this machine lets nobody have control groups");
        assert!(!driver.bounds.is_open(), "a node without a group, though it could have one");
    }
    group
}

/// Forks twice, leaves the session and drops its variables: by no other trace is it the node's.
const DAEMON: &str = "setsid sh -c 'env -i sleep 1000 >/dev/null & echo $!' & wait; exec sleep 1001";

#[tokio::test]
async fn a_daemon_without_a_trace_ends_with_its_node() {
    let mut machine = Machine::running(DAEMON);
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let daemon = pids(&machine.lines("stdout.log", 1).await)[0];
    until(|| Process::new(daemon).unwrap().environ().unwrap().is_empty()).await;
    let Some(group) = group(&driver, &launch) else {
        rustix::process::kill_process(rustix::process::Pid::from_raw(daemon).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
        return;
    };
    assert!(group.processes().unwrap().contains(&daemon));
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(!is_running(daemon));
    assert!(!group.exists());
}

#[tokio::test]
async fn a_daemon_that_kept_its_variables_ends_without_groups_too() {
    let mut machine = Machine::running("setsid sh -c 'sleep 1000 >/dev/null & echo $!' & wait; exec sleep 1001");
    machine.bounding.bounding = Bounding::Off;
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let daemon = pids(&machine.lines("stdout.log", 1).await)[0];
    assert!(driver.bounds.of(launch.id).is_none());
    assert!(is_running(daemon));
    driver.end(&[launch]).await.unwrap();
    assert!(!is_running(daemon));
}

#[tokio::test]
async fn what_forks_without_end_ends() {
    let mut machine =
        Machine::running("trap '' TERM; echo on; while :; do sleep 0.01 & done").with_grace(Duration::from_millis(200));
    machine.bounding.processes = 50;
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    machine.lines("stdout.log", 1).await;
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert_eq!(machine.marked(), 0);
    assert!(driver.bounds.of(launch.id).is_none());
}

#[tokio::test]
async fn a_node_without_memory_left_is_told_to_be() {
    let mut machine = Machine::running("x=$(head -c 400000000 /dev/zero | tr '\\0' x); echo survived");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let group = group(&driver, &launch);
    if !driver.bounds.enforces(Controller::Memory) {
        // It needs a while, and nothing keeps it from that.
        driver.end(&[launch]).await.unwrap();
        return;
    }
    let ended = driver.ended_within(std::slice::from_ref(&launch), LONG).await.unwrap();
    assert_eq!(ended.reason, "was ended by signal 9, and was out of memory before: its cloudlets are the limit");
    assert!(matches!(driver.observe(&launch), Observed::Dead { .. }));
    driver.end(&[launch]).await.unwrap();
    assert!(!group.unwrap().exists());
}

#[tokio::test]
async fn another_size_is_in_force_at_once() {
    let script = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo has it; sleep 1000; echo ${#x}";
    let mut machine = Machine::running(script);
    let driver = machine.driver().await;
    let order = LaunchOrder { cloudlets: Cloudlets::new(None, Some(8)).unwrap(), ..machine.order() };
    let launch = Launch { id: order.launch, instance: Some(driver.launch(&order).await.unwrap()) };
    machine.groups.push(key(&launch).pid);
    machine.lines("stdout.log", 1).await;
    let resize = async |cloudlets| {
        let mut environment = shop(Some(launch.clone()));
        environment.nodes[0].cloudlets = Cloudlets::new(None, Some(cloudlets)).unwrap();
        driver.resize(NodeAt { environment: &environment, node: &environment.nodes[0] }).await
    };
    resize(16).await.unwrap();
    let enforced = driver.bounds.enforces(Controller::Memory);
    assert_eq!(matches!(resize(1).await, Err(NodeError::InUse)), enforced);
    assert!(driver.observe(&launch).is_alive(), "nothing of it was taken away");
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    resize(1).await.unwrap();
}

#[tokio::test]
async fn groups_are_found_again_and_those_of_no_record_are_emptied() {
    let mut machine = Machine::running(DAEMON);
    let driver = machine.driver().await;
    let (recorded, other) = (machine.launch(&driver).await, machine.launch(&driver).await);
    machine.lines("stdout.log", 2).await;
    let pids = [key(&recorded).pid, key(&other).pid];
    // As a service that is torn away leaves it.
    drop(driver);

    let driver = machine.driver().await;
    let bounded = group(&driver, &recorded).is_some();
    driver.end_others(&HashSet::from([recorded.id])).await.unwrap();
    assert!(is_running(pids[0]), "it is recorded");
    assert_eq!(is_running(pids[1]), !bounded);
    driver.end(std::slice::from_ref(&recorded)).await.unwrap();
    driver.end_others(&HashSet::from([recorded.id, other.id])).await.unwrap();
    assert_eq!(driver.bounds.others(&HashSet::new()), []);
}

#[tokio::test]
async fn a_command_is_held_to_the_nodes_cloudlets() {
    let mut machine = Machine::running("sleep 1000");
    machine.exec = vec!["sh".to_owned()];
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let environment = shop(Some(launch.clone()));
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };
    let all = Command { most_output: 10_000, ..run("sh", &["-c", "cat /proc/self/cgroup"]) };
    let output = String::from_utf8(driver.exec(node, &all).await.unwrap().out).unwrap();
    let inside = output.contains(&launch.id.0.simple().to_string());
    assert_eq!(inside, group(&driver, &launch).is_some(), "{output}");
    driver.end(&[launch]).await.unwrap();
}

#[tokio::test]
async fn where_it_is_required_and_not_possible_nothing_starts() {
    let mut machine = Machine::running("sleep 1000");
    machine.bounding.parent = Some("/no-such-group-anywhere".into());
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    assert!(driver.bounds.of(launch.id).is_none(), "where possible only");
    driver.end(&[launch]).await.unwrap();
    drop(driver);
    machine.bounding.bounding = Bounding::Required;
    let refused = ProcessDriver::open(machine.settings(), Lifecycle::new()).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, OpenError::Unbounded(_)), "{refused:?}");
    assert!(["node_limits.enforce", "memory: ", "cpu: ", "pids: "].iter().all(|part| text.contains(part)), "{text}");
}

#[tokio::test]
async fn what_was_not_launched_leaves_no_group() {
    let mut machine = Machine::running("sleep 1000");
    machine.templates[0].command = vec!["/no/such/program".to_owned()];
    let driver = machine.driver().await;
    let order = machine.order();
    assert!(driver.launch(&order).await.is_err());
    assert_eq!(driver.bounds.others(&HashSet::new()), []);
}
