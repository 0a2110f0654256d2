//! Docker Compose projects as environments.

use std::process::Command;

use proto::ErrorKind;
use proto::environment::v1::{CloneEnvRequest, RestartNodesRequest};
use testkit::eventually;

use crate::authority::BOB;
use crate::host::Host;
use crate::stage::{LONG, answer, assert_kind};

#[tokio::test]
async fn a_project_is_an_environment_of_its_account() {
    let host = Host::start().await;
    host.compose("shop", "db", "").await;
    host.compose("shop", "cp", "db:service_started:false").await;
    host.compose("Other_1", "web", "").await;
    let (alice, bob) = (host.alice(), host.account(BOB));
    eventually("both are there", LONG, async || {
        (alice.list().await.len() == 1 && bob.list().await.len() == 1).then_some(())
    })
    .await;
    let info = alice.info("shop").await.unwrap();
    assert_eq!(info.env.unwrap().status, 1);
    assert_eq!(info.nodes.iter().map(|node| node.node_group.as_str()).collect::<Vec<_>>(), ["cp", "db"]);
    assert_eq!(info.nodes[0].version, "1");
    assert_eq!(bob.status("other-1").await, 1);
    assert_kind(bob.info("shop").await, ErrorKind::EnvironmentNotFound);
    assert_eq!(alice.says("shop", "echo hello").await, "hello");

    alice.stop("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, host.running().await), (2, 1));
    let ended = async |name: &str| {
        host.docker().inspect_container(name, None).await.unwrap().state.unwrap().finished_at.unwrap()
    };
    assert!(ended("shop_cp_1").await < ended("shop_db_1").await, "in the order of what needs what");
    alice.start("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, host.running().await), (1, 3));
    let restarted = alice.granted(RestartNodesRequest { env_name: "shop".to_owned(), ..Default::default() });
    answer(alice.client().restart_nodes(restarted).await).unwrap();
    assert_eq!((alice.status("shop").await, host.containers().await.len()), (1, 3));

    let text = assert_kind(alice.delete("shop").await, ErrorKind::PermissionDenied);
    assert!(text.contains("Docker Compose"), "{text}");
    assert_kind(alice.redeploy("shop", "2").await, ErrorKind::PermissionDenied);
    assert_eq!((alice.status("shop").await, host.containers().await.len()), (1, 3));
    let clone = CloneEnvRequest { src_env_name: "shop".to_owned(), dst_env_name: "copy".to_owned() };
    answer(alice.client().clone_env(alice.granted(clone)).await).unwrap();
    assert_eq!(host.running().await, 5);
    alice.delete("copy").await.unwrap();
}

#[tokio::test]
async fn what_compose_does_is_followed() {
    let host = Host::start().await;
    let file = host.file("docker-compose.yml");
    let text = "version: '2.4'\nservices:\n  db:\n    image: portcullis/app:1\n  cp:\n    image: portcullis/app:2\n    depends_on: [db]\n";
    std::fs::write(&file, text).unwrap();
    let compose = async |arguments: &[&str]| {
        let mut command = Command::new("docker-compose");
        command.args(["-p", "shop", "-f"]).arg(&file).args(arguments).env("DOCKER_HOST", host.engine.host());
        let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    compose(&["up", "-d"]).await;
    let alice = host.alice();
    eventually("it is there", LONG, async || (alice.list().await.len() == 1).then_some(())).await;
    assert_eq!(alice.status("shop").await, 1);
    alice.stop("shop").await.unwrap();
    compose(&["start"]).await;
    alice.until_status("shop", 1).await;
    compose(&["up", "-d", "--force-recreate"]).await;
    alice.until_status("shop", 1).await;
    alice.stop("shop").await.unwrap();
    assert_eq!(host.running().await, 0, "what was made anew is found");
    compose(&["down"]).await;
    eventually("it is gone", LONG, async || alice.list().await.is_empty().then_some(())).await;
}
