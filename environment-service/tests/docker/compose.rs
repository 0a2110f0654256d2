//! Docker Compose projects as environments.

use std::process::Command;

use bollard::models::{DeviceMapping, HostConfig, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use proto::ErrorKind;
use proto::environment::v1::file_client::FileClient;
use proto::environment::v1::{CloneEnvRequest, ReadRequest, RestartNodesRequest};
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
    alice.until_status("shop", 1).await;
    bob.until_status("other-1", 1).await;
    eventually("its services are there", LONG, async || {
        (alice.info("shop").await.unwrap().nodes.len() == 2).then_some(())
    })
    .await;
    let mut info = alice.info("shop").await.unwrap();
    info.nodes.sort_by(|one, other| one.node_group.cmp(&other.node_group));
    assert_eq!(info.nodes.iter().map(|node| node.node_group.as_str()).collect::<Vec<_>>(), ["cp", "db"]);
    assert_eq!(info.nodes[0].version, "1");
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
    eventually("both run", LONG, async || {
        let info = alice.info("shop").await.unwrap();
        (info.nodes.len() == 2 && info.env.unwrap().status == 1).then_some(())
    })
    .await;
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

#[tokio::test]
async fn a_container_that_has_the_machine_gives_nobody_a_command_or_a_file() {
    let host = Host::start().await;
    let device = DeviceMapping {
        path_on_host: Some("/dev/null".to_owned()),
        path_in_container: Some("/dev/other".to_owned()),
        cgroup_permissions: Some("r".to_owned()),
    };
    let alice = host.alice();
    for (config, what) in [
        (HostConfig { cap_add: Some(vec!["NET_RAW".to_owned()]), ..Default::default() }, "privileges"),
        (HostConfig { binds: Some(vec!["/tmp:/host".to_owned()]), ..Default::default() }, "folders"),
        (HostConfig { pid_mode: Some("host".to_owned()), ..Default::default() }, "namespaces"),
        (HostConfig { devices: Some(vec![device]), ..Default::default() }, "devices"),
    ] {
        host.compose_with("shop", "cp", "", config).await;
        eventually("it is there", LONG, async || alice.info("shop").await.is_ok().then_some(())).await;
        alice.until_status("shop", 1).await;
        let text = assert_kind(alice.exec("shop", "true").await, ErrorKind::PermissionDenied);
        assert!(text.contains(what), "{text}");
        let request = ReadRequest {
            env_name: "shop".to_owned(),
            path: "/etc/passwd".to_owned(),
            node_group: Some("cp".to_owned()),
            nodeid: None,
        };
        let read = answer(FileClient::new(host.channel()).read(alice.granted(request)).await);
        assert_kind(read, ErrorKind::PermissionDenied);
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        host.docker().remove_container("shop_cp_1", Some(options)).await.unwrap();
        eventually("it is gone", LONG, async || alice.list().await.is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn what_the_engine_starts_again_and_again_is_stopped_too() {
    let host = Host::start().await;
    let always = RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None };
    let config = HostConfig { restart_policy: Some(always), ..Default::default() };
    host.compose_running(Some(vec!["false".to_owned()]), "shop", "cp", "", config).await;
    let alice = host.alice();
    eventually("it is there", LONG, async || alice.info("shop").await.is_ok().then_some(())).await;
    let state = async || {
        let state = host.docker().inspect_container("shop_cp_1", None).await.unwrap().state.unwrap();
        (state.restarting.unwrap(), state.running.unwrap())
    };
    eventually("it waits for its next start", LONG, async || state().await.0.then_some(())).await;
    eventually("it is stopped", LONG, async || alice.stop("shop").await.is_ok().then_some(())).await;
    assert_eq!((state().await, alice.status("shop").await), ((false, false), 2));
}

#[tokio::test]
async fn a_project_whose_account_is_deleted_is_let_go_and_left_as_it_is() {
    let mut host = Host::prepare().await;
    host.authority.make_accounts().await;
    host.authority.start().await;
    host.start_service().await;
    host.compose("shop", "cp", "").await;
    host.compose("other", "web", "").await;
    let (alice, bob) = (host.alice(), host.account(BOB));
    eventually("both are there", LONG, async || {
        (alice.list().await.len() == 1 && bob.list().await.len() == 1).then_some(())
    })
    .await;
    host.authority.delete_account(BOB).await;
    let recorded = async || {
        let database = host.database().await;
        let rows: Vec<(String,)> =
            sqlx::query_as("select name from environment").fetch_all(database.reader()).await.unwrap();
        database.close().await;
        rows
    };
    eventually("it is let go", LONG, async || (recorded().await == [("shop".to_owned(),)]).then_some(())).await;
    // Another project is found after it, and it is not found again.
    host.compose("new", "db", "").await;
    host.compose("shop", "db", "").await;
    eventually("the next one is found", LONG, async || {
        (alice.info("shop").await.unwrap().nodes.len() == 2).then_some(())
    })
    .await;
    assert_eq!(recorded().await.len(), 1);
    assert_eq!(host.running().await, 4, "nothing of it was stopped");
}
