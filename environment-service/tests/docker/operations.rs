//! What the methods do to environments of containers.

use std::collections::HashMap;

use proto::ErrorKind;
use proto::environment::v1::{AddContainerEnvVarsRequest, CloneEnvRequest, RestartNodesRequest, SleepEnvRequest};
use testkit::eventually;

use crate::host::Host;
use crate::stage::{LONG, answer, assert_kind};

#[tokio::test]
async fn an_environment_is_created_stopped_started_and_deleted() {
    let host = Host::start().await;
    let alice = host.alice();
    let created = alice.create("shop", &[("bl", "web", 1), ("cp", "box", 2)]).await.unwrap();
    assert_eq!(created.env.unwrap().status, 1);
    assert_eq!((host.running().await, host.networks().await), (3, 1));
    assert!(created.nodes[0].port > 0 && created.nodes[1].port == 0);
    assert!(created.nodes.iter().all(|node| node.ctid > 0));
    alice.says("shop", "wget -qO- http://bl/ >/kept").await;
    assert_eq!(alice.says("shop", "cat /kept").await, "hello", "nodes reach each other by their groups");
    let port = created.nodes[0].port;

    alice.stop("shop").await.unwrap();
    assert_eq!((host.running().await, alice.status("shop").await), (0, 2));
    alice.stop("shop").await.unwrap();
    alice.start("shop").await.unwrap();
    assert_eq!((host.running().await, alice.status("shop").await), (3, 1));
    assert_eq!(alice.says("shop", "cat /kept").await, "hello", "files survive");
    assert_eq!(alice.info("shop").await.unwrap().nodes[0].port, port);
    alice.start("shop").await.unwrap();
    assert_eq!(host.containers().await.len(), 3, "nothing was started twice");

    let asleep = alice.granted(SleepEnvRequest { env_name: "shop".to_owned() });
    answer(alice.client().sleep_env(asleep).await).unwrap();
    assert_eq!((host.running().await, alice.status("shop").await), (0, 4));
    alice.start("shop").await.unwrap();
    let restarted = alice.granted(RestartNodesRequest { env_name: "shop".to_owned(), ..Default::default() });
    answer(alice.client().restart_nodes(restarted).await).unwrap();
    assert_eq!((host.running().await, alice.status("shop").await), (3, 1));

    let clone = CloneEnvRequest { src_env_name: "shop".to_owned(), dst_env_name: "copy".to_owned() };
    answer(alice.client().clone_env(alice.granted(clone)).await).unwrap();
    assert_eq!((host.running().await, host.networks().await), (6, 2));
    alice.delete("shop").await.unwrap();
    alice.delete("copy").await.unwrap();
    assert_eq!((host.containers().await.len(), host.networks().await), (0, 0));
    assert_eq!(alice.list().await, []);
}

#[tokio::test]
async fn variables_and_versions_come_with_the_next_launch() {
    let host = Host::start().await;
    let alice = host.alice();
    alice.create_of("shop", "portcullis/app:1").await.unwrap();
    let vars = HashMap::from([("COLOUR".to_owned(), "blue".to_owned())]);
    let request = AddContainerEnvVarsRequest {
        env_name: "shop".to_owned(),
        vars,
        node_group: Some("cp".to_owned()),
        node_id: None,
    };
    answer(alice.client().add_container_env_vars(alice.granted(request)).await).unwrap();
    assert_eq!(alice.says("shop", "echo $COLOUR").await, "");
    alice.redeploy("shop", "2").await.unwrap();
    assert_eq!(alice.says("shop", "echo $COLOUR $PORTCULLIS_TAG $PORT").await, "blue 2 80");
    assert_eq!(alice.info("shop").await.unwrap().nodes[0].version, "2");
    assert_eq!(host.containers().await.len(), 1);
    alice.redeploy("shop", "well").await.unwrap();
    assert_eq!(alice.says("shop", "echo $PORTCULLIS_TAG").await, "well");
    let text = assert_kind(alice.redeploy("shop", "ill").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("health") && text.contains("the former one runs again"), "{text}");
    assert_eq!(alice.says("shop", "echo $PORTCULLIS_TAG").await, "well");
    assert_eq!((alice.status("shop").await, alice.info("shop").await.unwrap().nodes[0].version.as_str()), (1, "well"));
    let text = assert_kind(alice.redeploy("shop", "no-such").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("portcullis/app:no-such"), "{text}");
    assert_eq!(alice.status("shop").await, 1, "nothing was touched");
    assert_eq!(host.containers().await.len(), 1);
}

#[tokio::test]
async fn what_is_not_allowed_or_fails_leaves_nothing() {
    let host = Host::start().await;
    let alice = host.alice();
    for image in ["portcullis/base:1", "nginx", "portcullis/app/other"] {
        let text = assert_kind(alice.create_of("shop", image).await, ErrorKind::InvalidParameter);
        assert!(text.contains("docker.image"), "{text}");
    }
    let text = assert_kind(alice.create_of("shop", "portcullis/app:none").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("is not there and could not be pulled"), "{text}");
    let failing = alice.create("shop", &[("cp", "box", 1), ("bl", "failing-box", 1)]).await;
    let text = assert_kind(failing, ErrorKind::EnvironmentFailed);
    assert!(text.contains("has ended with exit code 3"), "{text}");
    let text = assert_kind(alice.create_of("shop", "portcullis/app:ill").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("health"), "{text}");
    assert_eq!((host.containers().await.len(), host.networks().await), (0, 0));
    assert_eq!(alice.list().await, []);
}

#[tokio::test]
async fn a_dead_container_shows_within_two_seconds_and_is_started_again() {
    let host = Host::start().await;
    let alice = host.alice();
    alice.create("shop", &[("cp", "box", 2)]).await.unwrap();
    let id = host.containers().await[0].id.clone().unwrap();
    host.docker().kill_container(&id, None).await.unwrap();
    let begun = std::time::Instant::now();
    eventually("it shows", LONG, async || (alice.status("shop").await == 11).then_some(())).await;
    assert!(begun.elapsed().as_secs() < 2);
    let info = alice.info("shop").await.unwrap();
    assert_eq!(info.nodes[0].messages, ["the node has ended with exit code 137"]);
    alice.start("shop").await.unwrap();
    assert_eq!((host.running().await, host.containers().await.len()), (2, 2));
}
