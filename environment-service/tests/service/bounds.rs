//! Nodes that are held to their cloudlets, where this machine lets this service do that; and where it does not.

use environment_service::{Enforce, OpenError, RunError, Service};
use lifecycle::Lifecycle;
use proto::ErrorKind;
use proto::environment::v1::SetCloudletsCountByIdRequest;
use testkit::{TestDatabase, eventually};

use crate::authority::ALICE;
use crate::stage::{Caller, LONG, Stage, answer, assert_kind, pids};

async fn resize(caller: &Caller<'_>, node_id: i64, cloudlets: i32) -> Result<(), proto::Failure> {
    let request = SetCloudletsCountByIdRequest {
        env_name: "shop".to_owned(),
        node_id,
        fixed_cloudlets: 0,
        flexible_cloudlets: cloudlets,
    };
    answer(caller.client().set_cloudlets_count_by_id(caller.granted(request)).await).map(drop)
}

/// The memory that a process's group may have, by version 1 or 2. `None` where it has no group of ours.
fn memory_limit(pid: i32) -> Option<u64> {
    let process = procfs::process::Process::new(pid).unwrap();
    let groups = process.cgroups().unwrap();
    let mounts = process.mountinfo().unwrap();
    let mut files = mounts.0.iter().filter_map(|mount| {
        let (is_group, file) = match mount.fs_type.as_str() {
            "cgroup" if mount.super_options.contains_key("memory") => ("memory", "memory.limit_in_bytes"),
            "cgroup2" => ("", "memory.max"),
            _ => return None,
        };
        let of = |group: &&procfs::ProcessCGroup| group.controllers.first().map_or("", String::as_str) == is_group;
        let group = groups.0.iter().find(of)?.pathname.clone();
        let below = group.strip_prefix(&mount.root).unwrap_or(&group).trim_start_matches('/').to_owned();
        below.contains("portcullis-").then(|| mount.mount_point.join(below).join(file))
    });
    files.find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
}

#[tokio::test]
async fn a_node_that_takes_more_than_its_cloudlets_is_broken_and_launched_again() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.node_limits.enforce = Enforce::Auto;
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.account(ALICE);
    let created = alice.create("shop", &[("cp", "greedy", 1)]).await.unwrap();
    let (id, pid) = (created.nodes[0].id, pids(&created.nodes)[0]);
    let Some(limit) = memory_limit(pid) else {
        eprintln!("this machine does not let nodes be held to their memory");
        // So nothing may be refused for it.
        resize(&alice, id, 1).await.unwrap();
        return alice.delete("shop").await.unwrap();
    };
    assert_eq!(limit, 128 << 20);
    resize(&alice, id, 3).await.unwrap();
    assert_eq!(memory_limit(pid), Some(3 * (128 << 20)), "at once");
    resize(&alice, id, 1).await.unwrap();
    stage.open_gate();
    let again = || async {
        let nodes = alice.info("shop").await.unwrap().nodes;
        (pids(&nodes)[0] != pid && pids(&nodes)[0] != 0).then_some(())
    };
    eventually("the node to be launched again", LONG, again).await;
    alice.until_status("shop", 11).await;
    // While it is launched again, nothing else is done with it.
    let deleted = || async {
        let deleted = alice.delete("shop").await;
        if deleted.is_err() {
            assert_kind(deleted, ErrorKind::EnvironmentStatus);
            return None;
        }
        Some(())
    };
    eventually("it can be deleted", LONG, deleted).await;
    assert_eq!(stage.processes(), [] as [i32; 0]);
    stage.stop_service().await;
}

#[tokio::test]
async fn what_a_node_uses_is_not_taken_away_and_stays_recorded() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.node_limits.enforce = Enforce::Auto;
    let full = "while [ ! -e $GATE ]; do sleep 0.01; done; x=$(head -c 200000000 /dev/zero | tr '\\0' x); : > $GATE.full; sleep 1000; echo $x";
    stage.config.templates[0].command[2] = full.to_owned();
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    let created = alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let id = created.nodes[0].id;
    if memory_limit(pids(&created.nodes)[0]).is_some() {
        resize(&alice, id, 8).await.unwrap();
        stage.open_gate();
        let full = stage.file("gate.full");
        eventually("the node to have its memory", LONG, async || full.exists().then_some(())).await;
        let text = assert_kind(resize(&alice, id, 1).await, ErrorKind::EnvironmentStatus);
        assert!(text.contains("uses more memory"), "{text}");
        let node = alice.info("shop").await.unwrap().nodes.remove(0);
        assert_eq!((node.flexible_cloudlets, node.status), (8, 1));
    }
    alice.delete("shop").await.unwrap();
    stage.stop_service().await;
}

#[tokio::test]
async fn where_limits_are_required_and_not_possible_the_service_does_not_start() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.node_limits.enforce = Enforce::Required;
    stage.config.node_limits.cgroup = Some("/no-such-group-anywhere".into());
    let refused = Service::bind(stage.config.clone(), Lifecycle::new()).await.map(drop).unwrap_err();
    assert!(matches!(refused, RunError::Driver(OpenError::Unbounded(_))), "{refused:?}");
    stage.config.node_limits.cgroup = Some("portcullis".into());
    let refused = Service::bind(stage.config.clone(), Lifecycle::new()).await.map(drop).unwrap_err();
    assert!(format!("{refused:?}").contains("node_limits.cgroup"), "{refused:?}");
}
