//! What the methods do to environments.

use proto::ErrorKind;
use proto::environment::v1::{CreateEnvironmentRequest, EnvironmentSpec, NodeSpec};
use rustix::process::{Pid, Signal, kill_process};
use testkit::eventually;

use crate::authority::BOB;
use crate::stage::{LONG, Stage, all_alive, assert_kind, pids};

#[tokio::test]
async fn an_environment_is_created_stopped_started_and_deleted() {
    for stage in Stage::on_each_engine().await {
        let (alice, engine) = (stage.alice(), stage.engine);
        let created = alice.create("shop", &[("bl", "pair", 1), ("cp", "pair", 2)]).await.unwrap();
        assert_eq!(created.env.as_ref().unwrap().status, 1, "{engine}");
        let first = pids(&created.nodes);
        assert!(all_alive(&first), "{engine}");
        assert_eq!(stage.processes().len(), 6, "{engine}: each node is two");

        alice.stop("shop").await.unwrap();
        assert_eq!(stage.processes(), [] as [i32; 0], "{engine}: all is gone when the answer comes");
        assert_eq!(alice.status("shop").await, 2, "{engine}");
        alice.stop("shop").await.unwrap();

        alice.start("shop").await.unwrap();
        let second = pids(&alice.info("shop").await.unwrap().nodes);
        assert!(all_alive(&second), "{engine}");
        assert!(first.iter().all(|pid| !second.contains(pid)), "{engine}");
        alice.start("shop").await.unwrap();
        assert_eq!(pids(&alice.info("shop").await.unwrap().nodes), second, "{engine}: nothing was started twice");

        alice.delete("shop").await.unwrap();
        assert_eq!(stage.processes(), [] as [i32; 0], "{engine}");
        assert_eq!(alice.list().await, [], "{engine}");
        assert!(!stage.file("data/environments/shop").exists(), "{engine}");
        alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    }
}

#[tokio::test]
async fn all_about_an_environment_is_told() {
    let stage = Stage::sqlite().await;
    let env = EnvironmentSpec {
        shortdomain: "shop".to_owned(),
        display_name: Some("Der Laden".to_owned()),
        region: Some("default".to_owned()),
        ishaenabled: Some(true),
        sslstate: None,
    };
    let node = |group: &str, node_type: &str, count| NodeSpec {
        node_type: node_type.to_owned(),
        node_group: Some(group.to_owned()),
        count: Some(count),
        fixed_cloudlets: Some(2),
        flexible_cloudlets: Some(8),
        ..NodeSpec::default()
    };
    let nodes = vec![node("bl", "listener", 1), node("cp", "pair", 2)];
    stage.alice().create_as(CreateEnvironmentRequest { env: Some(env), nodes, env_groups: Vec::new() }).await.unwrap();

    let info = stage.alice().info("shop").await.unwrap();
    let env = info.env.unwrap();
    assert_eq!(env.appid.len(), 32);
    assert_eq!((env.env_name.as_str(), env.shortdomain.as_str(), env.domain.as_str()), ("shop", "shop", "shop"));
    assert_eq!((env.display_name.as_str(), env.uid, env.creator_uid), ("Der Laden", 1, 1));
    assert!(env.ishaenabled && !env.sslstate && env.created_on.is_some());
    assert_eq!(info.right, "OWNER");
    assert_eq!(info.node_groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["bl", "cp"]);
    let [balancer, first, second] = &info.nodes[..] else { panic!("three nodes") };
    assert!(balancer.port > 0 && balancer.url == format!("http://127.0.0.1:{}", balancer.port));
    let log = stage.file(&format!("data/environments/shop/{}/stdout.log", balancer.id));
    let port = || async { Some(std::fs::read_to_string(&log).ok()?).filter(|text| text.ends_with('\n')) };
    let port = eventually("the node tells its port", LONG, port).await;
    assert_eq!(port.trim(), balancer.port.to_string());
    assert_eq!((first.port, first.url.as_str()), (0, ""));
    assert!(first.ismaster && !second.ismaster && first.id < second.id);
    assert_eq!((first.status, first.fixed_cloudlets, first.flexible_cloudlets), (1, 2, 8));
    assert_eq!((first.node_group.as_str(), first.node_type.as_str()), ("cp", "pair"));
    assert_eq!(first.messages, [] as [&str; 0]);

    let listed = stage.alice().list().await.remove(0);
    assert_eq!((listed.env, listed.nodes), (Some(env), info.nodes));
}

#[tokio::test]
async fn a_dead_node_shows_and_a_start_brings_back_it_alone() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let created = alice.create("shop", &[("cp", "pair", 2)]).await.unwrap();
    let before = pids(&created.nodes);
    kill_process(Pid::from_raw(before[0]).unwrap(), Signal::KILL).unwrap();
    alice.until_status("shop", 11).await;
    let dead = || async {
        let node = alice.info("shop").await.unwrap().nodes.swap_remove(0);
        (node.messages == ["the node was ended by signal 9"]).then_some(node)
    };
    let dead = eventually("the reason is told", LONG, dead).await;
    assert_eq!((dead.status, dead.ctid), (11, 0));

    alice.start("shop").await.unwrap();
    assert_eq!(alice.status("shop").await, 1);
    let after = pids(&alice.info("shop").await.unwrap().nodes);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    assert_eq!(stage.processes().len(), 4, "what the dead node had left was ended first");
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 1), ("cache", "fickle", 1)]).await.unwrap();
    alice.stop("shop").await.unwrap();
    stage.open_gate();
    let text = assert_kind(alice.start("shop").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("group `cache`") && text.contains("has ended with exit code 4"), "{text}");
    assert_eq!(stage.processes(), [] as [i32; 0]);
    assert_eq!(alice.status("shop").await, 2);
}

#[tokio::test]
async fn a_creation_that_fails_leaves_nothing() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let text = assert_kind(
        alice.create("shop", &[("cp", "pair", 2), ("cache", "broken", 1)]).await,
        ErrorKind::EnvironmentFailed,
    );
    assert!(text.contains("type `broken`") && text.contains("has ended with exit code 3"), "{text}");
    assert_eq!(stage.processes(), [] as [i32; 0]);
    assert_eq!(alice.list().await, []);
    assert!(!stage.file("data/environments/shop").exists());
    stage.account(BOB).create("shop", &[("cp", "pair", 1)]).await.unwrap();
}

#[tokio::test]
async fn a_node_that_does_not_listen_is_killed() {
    let stage = Stage::sqlite().await;
    stage.alice().create("shop", &[("cp", "stubborn", 2)]).await.unwrap();
    stage.alice().stop("shop").await.unwrap();
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn a_second_operation_is_refused_while_one_is_under_way() {
    let mut stage = Stage::prepare(testkit::TestDatabase::sqlite()).await;
    stage.config.stop_grace = jiff::SignedDuration::from_secs(30);
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "slow", 1)]).await.unwrap();
    let refused = async {
        alice.until_status("shop", 13).await;
        let node = alice.info("shop").await.unwrap().nodes.remove(0);
        assert_eq!(node.status, 13);
        for (answer, verb) in [
            (alice.start("shop").await, "started"),
            (alice.stop("shop").await, "stopped"),
            (alice.delete("shop").await, "deleted"),
        ] {
            let text = assert_kind(answer, ErrorKind::EnvironmentStatus);
            let allowed = "running (1), broken (11), stopped (2), asleep (4)";
            assert_eq!(text, format!("environment `shop` is stopping (13): it can be {verb} while it is {allowed}"));
        }
        assert_kind(alice.create("shop", &[("cp", "pair", 1)]).await, ErrorKind::AlreadyExists);
        alice.create("other", &[("cp", "pair", 1)]).await.unwrap();
        stage.open_gate();
    };
    let (stopped, ()) = tokio::join!(alice.stop("shop"), refused);
    stopped.unwrap();
    assert_eq!(alice.status("shop").await, 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cancel() {
    let mut stage = Stage::prepare(testkit::TestDatabase::sqlite()).await;
    stage.config.stop_grace = jiff::SignedDuration::from_secs(30);
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "slow", 1)]).await.unwrap();
    tokio::select! {
        _ = alice.stop("shop") => panic!("the gate is shut"),
        () = alice.until_status("shop", 13) => (),
    }
    stage.open_gate();
    alice.until_status("shop", 2).await;
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn an_operation_that_nobody_works_on_is_finished() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    // As if the record of its beginning had come through in an outage that hid it from the service.
    let database = stage.database().await;
    let mut tx = database.begin("test").await.unwrap();
    sqlx::query("update environment set operation = 'stop'").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(alice.status("shop").await, 13);
    assert_kind(alice.start("shop").await, ErrorKind::EnvironmentStatus);
    alice.until_status("shop", 2).await;
    alice.start("shop").await.unwrap();
    assert_eq!(alice.status("shop").await, 1);
}

#[tokio::test]
async fn an_outage_of_the_database_does_not_leave_an_environment_locked() {
    let mut stage = Stage::prepare(testkit::TestDatabase::sqlite()).await;
    stage.config.stop_grace = jiff::SignedDuration::from_secs(30);
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "slow", 1)]).await.unwrap();
    let database = stage.database().await;
    let outage = async {
        alice.until_status("shop", 13).await;
        // Nobody else can write for as long as this is open, which is longer than the service waits for its turn.
        let outage = database.begin("outage").await.unwrap();
        stage.open_gate();
        eventually("the node ends", LONG, || async { stage.processes().is_empty().then_some(()) }).await;
        // The second of these begins after the service has begun to record the end, and gives up later than it.
        for _ in 0..2 {
            assert_kind(alice.create("other", &[("cp", "pair", 1)]).await, ErrorKind::Unavailable);
        }
        drop(outage);
    };
    let (stopped, ()) = tokio::join!(alice.stop("shop"), outage);
    stopped.unwrap();
    assert_eq!(alice.status("shop").await, 2);
}

#[tokio::test]
async fn anothers_environment_is_as_good_as_none() {
    let stage = Stage::sqlite().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let bob = stage.account(BOB);
    assert_eq!(bob.list().await, []);
    let there = bob.info("shop").await.unwrap_err();
    let nowhere = bob.info("nowhere").await.unwrap_err();
    assert_eq!(there.message().replace("shop", "nowhere"), nowhere.message());
    for answer in
        [bob.info("shop").await.map(drop), bob.start("shop").await, bob.stop("shop").await, bob.delete("shop").await]
    {
        assert_kind(answer, ErrorKind::EnvironmentNotFound);
    }
    let text = assert_kind(bob.create("shop", &[("cp", "pair", 1)]).await, ErrorKind::AlreadyExists);
    assert_eq!(text, "the name `shop` is taken");
    assert_eq!(stage.alice().status("shop").await, 1);
    assert_eq!(stage.processes().len(), 2);
}
