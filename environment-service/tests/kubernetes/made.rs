//! Environments that are made in the cluster.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use proto::ErrorKind;
use proto::environment::v1::{
    ExecCmdByIdRequest, NodeCommand, RedeployContainersByGroupRequest, RestartNodesRequest, SleepEnvRequest,
};

use serde_json::json;
use testkit::eventually;

use crate::cluster::{BAD, Cluster};
use crate::stage::{LONG, assert_kind};

fn to_version(tag: &str) -> RedeployContainersByGroupRequest {
    let (env_name, node_group, tag) = ("shop".to_owned(), "cp".to_owned(), tag.to_owned());
    RedeployContainersByGroupRequest { env_name, node_group, tag }
}

#[tokio::test]
async fn an_environment_is_made_stopped_put_to_sleep_started_and_deleted() {
    let cluster = Cluster::start().await;
    let alice = cluster.stage.alice();
    cluster.create("shop", &[("cp", "shop/web:1", 2), ("sqldb", "shop/db:1", 1)]).await.unwrap();
    assert_eq!(alice.status("shop").await, 1);
    assert_eq!(cluster.images().await, ["shop/db:1", "shop/web:1", "shop/web:1"]);
    let info = alice.info("shop").await.unwrap();
    assert_eq!(info.nodes.iter().map(|node| node.url.as_str()).collect::<Vec<_>>(), [""; 3], "none of this machine");

    alice.stop("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, cluster.images().await.len()), (2, 0));
    alice.stop("shop").await.unwrap();
    alice.start("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, cluster.images().await.len()), (1, 3));
    let sleep = SleepEnvRequest { env_name: "shop".to_owned() };
    cluster.call(async |mut client, request| client.sleep_env(request).await, sleep).await.unwrap();
    assert_eq!((alice.status("shop").await, cluster.images().await.len()), (4, 0));
    alice.start("shop").await.unwrap();

    // Somebody takes a node away, which shows at once, and a start brings it back.
    let deployments = cluster.api::<Deployment>();
    let names: Vec<String> =
        deployments.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), 3);
    deployments.delete(&names[0], &Default::default()).await.unwrap();
    assert_eq!(alice.status("shop").await, 11);
    alice.start("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, cluster.images().await.len()), (1, 3));

    alice.delete("shop").await.unwrap();
    assert_eq!(alice.list().await, []);
    assert!(deployments.list(&ListParams::default()).await.unwrap().items.is_empty());
    assert!(cluster.api::<Service>().list(&ListParams::default()).await.unwrap().items.is_empty());
    assert!(cluster.images().await.is_empty());
}

#[tokio::test]
async fn a_start_that_fails_leaves_what_runs_and_the_next_stop_ends_it() {
    let cluster = Cluster::start().await;
    let alice = cluster.stage.alice();
    cluster.create("shop", &[("cp", "shop/web:1", 1)]).await.unwrap();
    let deployments = cluster.api::<Deployment>();
    let made = deployments.list(&ListParams::default()).await.unwrap().items.remove(0);
    // Somebody gives it a version that does not get ready, and takes the name of its service.
    let container = made.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].name.clone();
    let image = json!([{ "name": container, "image": format!("shop/web:{BAD}") }]);
    let patch = Patch::Strategic(json!({ "spec": { "template": { "spec": { "containers": image } } } }));
    deployments.patch(&made.name_any(), &PatchParams::default(), &patch).await.unwrap();
    alice.until_status("shop", 11).await;
    let services = cluster.api::<Service>();
    let nobodys = Patch::Merge(json!({ "metadata": { "labels": null } }));
    services.patch("shop-cp", &PatchParams::default(), &nobodys).await.unwrap();

    let text = assert_kind(alice.start("shop").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("service `shop-cp`"), "{text}");
    let bad = format!("shop/web:{BAD}");
    eventually("the pod of the bad version", LONG, async || (cluster.images().await == [bad.as_str()]).then_some(()))
        .await;
    alice.stop("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, cluster.images().await.len()), (2, 0));
    assert_eq!(deployments.get(&made.name_any()).await.unwrap().spec.unwrap().replicas, Some(0));
}

#[tokio::test]
async fn nodes_are_restarted_and_brought_to_other_versions_and_back() {
    let cluster = Cluster::start().await;
    let alice = cluster.stage.alice();
    cluster.create("shop", &[("cp", "shop/web:1", 2)]).await.unwrap();
    let pods = async || {
        let pods = cluster.api::<k8s_openapi::api::core::v1::Pod>().list(&ListParams::default()).await.unwrap();
        pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    let before = pods().await;
    let restart = RestartNodesRequest {
        env_name: "shop".to_owned(),
        node_group: Some("cp".to_owned()),
        ..RestartNodesRequest::default()
    };
    cluster.call(async |mut client, request| client.restart_nodes(request).await, restart).await.unwrap();
    let after = pods().await;
    assert!(after.len() == 2 && after.iter().all(|pod| !before.contains(pod)), "{before:?} {after:?}");
    assert_eq!(alice.status("shop").await, 1);

    let redeploy = async |tag: &str| {
        cluster
            .call(async |mut client, request| client.redeploy_containers_by_group(request).await, to_version(tag))
            .await
    };
    redeploy("2").await.unwrap();
    assert_eq!(cluster.images().await, ["shop/web:2"; 2]);
    let text = assert_kind(redeploy(BAD).await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("the former one runs again") && text.contains("is not ready"), "{text}");
    assert_eq!(cluster.images().await, ["shop/web:2"; 2]);
    assert_eq!(alice.status("shop").await, 1);
    let versions: Vec<String> = alice.info("shop").await.unwrap().nodes.into_iter().map(|node| node.version).collect();
    assert_eq!(versions, ["2"; 2]);

    let node_id = alice.info("shop").await.unwrap().nodes[0].id;
    let command = NodeCommand { command: "true".to_owned(), params: None };
    let exec = ExecCmdByIdRequest {
        env_name: "shop".to_owned(),
        node_id,
        command_list: vec![command],
        ..ExecCmdByIdRequest::default()
    };
    let answer = cluster.call(async |mut client, request| client.exec_cmd_by_id(request).await, exec).await;
    let text = assert_kind(answer, ErrorKind::PermissionDenied);
    assert!(text.ends_with("does not have a host assigned"), "what the cluster says: {text}");
}

#[tokio::test]
async fn what_is_not_allowed_or_does_not_start_leaves_nothing() {
    let cluster = Cluster::start().await;
    let failure = cluster.create("shop", &[("cp", "shop/web:1", 1), ("bl", "nginx:1", 1)]).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::InvalidParameter);
    assert_eq!(failure.detail("parameter"), Some("nodes[1].docker.image"), "{failure}");
    let image = format!("shop/web:{BAD}");
    let text = assert_kind(cluster.create("shop", &[("cp", &image, 1)]).await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("is not ready: 0 of 1 replicas are"), "{text}");
    assert_eq!(cluster.stage.alice().list().await, []);
    assert!(cluster.api::<Deployment>().list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn an_outage_of_the_cluster_is_an_outage_and_stops_no_service() {
    let mut cluster = Cluster::start().await;
    cluster.create("shop", &[("cp", "shop/web:1", 1)]).await.unwrap();
    let server = cluster.server.clone();
    let mut api = server.lock().await;
    api.kill();
    let alice = cluster.stage.alice();
    assert_eq!(alice.status("shop").await, 5);
    for answer in
        [alice.stop("shop").await, alice.start("shop").await, cluster.create("other", &[("cp", "shop/web:1", 1)]).await]
    {
        assert_kind(answer, ErrorKind::Unavailable);
    }
    cluster.stage.stop_service().await;
    cluster.stage.start_service().await;
    let alice = cluster.stage.alice();
    assert_eq!(alice.status("shop").await, 5);
    assert_kind(alice.delete("shop").await, ErrorKind::Unavailable);
    api.restart().await;
    drop(api);
    alice.until_status("shop", 1).await;
    alice.stop("shop").await.unwrap();
    assert_eq!(cluster.images().await.len(), 0);
    alice.start("shop").await.unwrap();
    assert_eq!(cluster.images().await, ["shop/web:1"]);
    // What could not be undone in the outage is there for its owner to delete.
    for environment in alice.list().await {
        alice.delete(&environment.env.unwrap().env_name).await.unwrap();
    }
    assert!(cluster.api::<Deployment>().list(&ListParams::default()).await.unwrap().items.is_empty());
}
