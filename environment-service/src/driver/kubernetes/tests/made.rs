//! Nodes that are made.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{LONG, Stage, environment, image, order};
use super::*;

#[tokio::test]
async fn a_node_is_made_ended_launched_again_and_removed() {
    let stage = Stage::new("made").await;
    let _kubelet = stage.kubelet();
    let (first, ended) = stage.launch(&order(7, "1")).await;
    assert_eq!(ended, None);
    assert_eq!(stage.seen(&first).await, Observed::Alive { number: 0 });
    assert_eq!(stage.pods(&stage.own).await.len(), 1);

    stage.driver.end(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(stage.pods(&stage.own).await.len(), 0, "all has ended when it answers");
    assert_eq!(stage.seen(&first).await, Observed::Dead { reason: Some("is scaled to 0".to_owned()) });
    stage.driver.end(std::slice::from_ref(&first)).await.unwrap();

    let (second, ended) = stage.launch(&order(7, "2")).await;
    assert_eq!(ended, None);
    let pods = stage.pods(&stage.own).await;
    let images: Vec<_> = pods.iter().flat_map(|pod| &pod.spec.as_ref().unwrap().containers).collect();
    assert_eq!(images[0].image.as_deref(), Some("shop/web:2"), "what is recorded is what runs");
    assert_eq!(images.len(), 1);

    // Another environment's, which stays.
    let other = LaunchOrder { environment_id: crate::domain::EnvironmentId(uuid::Uuid::from_u128(8)), ..order(8, "1") };
    let other = LaunchOrder { environment: "other".parse().unwrap(), ..other };
    let (third, _) = stage.launch(&other).await;
    stage.driver.end(std::slice::from_ref(&second)).await.unwrap();
    stage.driver.clear(&environment(&order(7, "2"), None)).await.unwrap();
    stage.driver.clear(&environment(&order(7, "2"), None)).await.unwrap();
    assert_eq!(stage.seen(&second).await, Observed::Dead { reason: Some("is not there any more".to_owned()) });
    stage.driver.end(std::slice::from_ref(&second)).await.unwrap();
    let services = stage.api::<Service>(&stage.own).list(&Default::default()).await.unwrap();
    assert_eq!(services.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["other-cp"]);
    assert!(stage.seen(&third).await.is_alive());
}

#[tokio::test]
async fn what_is_made_has_nothing_of_the_cluster() {
    let stage = Stage::new("safe").await;
    let order = order(7, "1");
    Driver::launch(&stage.driver, &order).await.unwrap();
    let made = stage.api::<Deployment>(&stage.own).get("my-shop-7").await.unwrap();
    let made: Value = serde_json::to_value(made).unwrap();
    let labels = &made["metadata"]["labels"];
    for (label, value) in [
        ("environment", order.environment_id.to_string()),
        ("node", "7".to_owned()),
        ("group", "cp".to_owned()),
        ("account", "1".to_owned()),
        ("launch", order.launch.to_string()),
    ] {
        assert_eq!(labels[format!("portcullis.dev/{label}")], value, "{label}");
    }
    assert_eq!(made["spec"]["strategy"]["type"], "Recreate");
    let pod = &made["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false);
    for absent in ["hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers", "serviceAccountName", "nodeName"] {
        assert_eq!(pod[absent], Value::Null, "{absent}");
    }
    assert_eq!(pod["securityContext"], json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }));
    let container = &pod["containers"][0];
    let expected = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "privileged": false,
        "runAsNonRoot": true,
    });
    assert_eq!(container["securityContext"], expected);
    let expected = json!({
        "requests": { "memory": "128Mi", "cpu": "400m" },
        "limits": { "memory": "512Mi", "cpu": "1600m" },
    });
    assert_eq!(container["resources"], expected);
    let variables = container["env"].as_array().unwrap();
    let value = |name: &str| &variables.iter().find(|variable| variable["name"] == name).unwrap()["value"];
    // Kubernetes makes `$` of `$$`.
    assert_eq!(value("COLOUR"), "$$(PATH) $$x");
    assert_eq!((value("java.opts"), value("PORT")), (&json!("-Xmx1g"), &json!("8080")));
    assert_eq!((value("PORTCULLIS_NODE"), value("PORTCULLIS_TAG")), (&json!("7"), &json!("1")));
    let service = stage.api::<Service>(&stage.own).get("my-shop-cp").await.unwrap().spec.unwrap();
    assert_eq!(service.ports.unwrap()[0].port, 8080);
    assert_eq!(service.selector.unwrap()["portcullis.dev/group"], "cp");
}

#[tokio::test]
async fn only_what_the_operator_allows_is_made() {
    let mut stage = Stage::new("allowed").await;
    let with = |image: &str| Workload::image(image.parse().unwrap(), "1".parse().unwrap());
    assert_eq!(stage.driver.accepts(&with("nginx")), Ok(()));
    for workload in [with("redis"), with("shop/web/other"), Workload::template("web".parse().unwrap())] {
        let refused = stage.driver.accepts(&workload).unwrap_err();
        let order = LaunchOrder { workload, ..order(7, "1") };
        let error = Driver::launch(&stage.driver, &order).await.unwrap_err();
        assert!(matches!(&error, LaunchError::Refused(unfit) if *unfit == refused), "{error:?}");
    }
    stage.with(|settings| settings.namespace = None).await;
    let refused = stage.driver.accepts(&with("nginx")).unwrap_err();
    assert!(refused.to_string().contains("namespace"), "{refused}");
    assert_eq!(stage.driver.accepts_adopted(&with("nginx")), Ok(()));
    assert!(stage.driver.accepts_adopted(&with("redis")).is_err());
    assert!(stage.driver.accepts_adopted(&Workload::template("docker".parse().unwrap())).is_err());
    assert!(stage.pods(&stage.own).await.is_empty());
}

#[tokio::test]
async fn an_object_of_another_is_left_alone() {
    let stage = Stage::new("foreign").await;
    let foreign: Deployment = serde_json::from_value(stage::workload("my-shop-7", 1)).unwrap();
    let deployments = stage.api::<Deployment>(&stage.own);
    let before = deployments.create(&Default::default(), &foreign).await.unwrap();
    let error = Driver::launch(&stage.driver, &order(7, "1")).await.unwrap_err();
    assert!(matches!(&error, LaunchError::Failed(text, _) if text.contains("does not belong")), "{error:?}");
    assert_eq!(deployments.get("my-shop-7").await.unwrap().spec, before.spec);
    // Nor is it seen, by whatever record.
    let instance = Some(Instance("own/foreign-nodes/deployment/my-shop-7".to_owned()));
    let launch = Launch { id: order(7, "1").launch, instance };
    stage.driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert_eq!(deployments.get("my-shop-7").await.unwrap().spec.unwrap().replicas, Some(1));
    assert_eq!(stage.seen(&launch).await, Observed::Dead { reason: Some("is not there any more".to_owned()) });
}

#[tokio::test]
async fn what_was_never_recorded_is_found_by_its_mark() {
    let stage = Stage::new("marked").await;
    let _kubelet = stage.kubelet();
    let (launch, _) = stage.launch(&order(7, "1")).await;
    let other = LaunchId(uuid::Uuid::new_v4());
    let found = Driver::find(&stage.driver, &[(NodeId(7), launch.id), (NodeId(8), other)]).await.unwrap();
    assert_eq!(found, HashMap::from([(launch.id, launch.instance.clone().unwrap())]));
    let unrecorded = Launch { instance: None, ..launch };
    assert!(stage.seen(&unrecorded).await.is_alive());
    assert!(!stage.seen(&Launch { id: other, instance: None }).await.is_alive());
    stage.driver.end(&[unrecorded, Launch { id: other, instance: None }]).await.unwrap();
    assert_eq!(stage.pods(&stage.own).await.len(), 0);
}

#[tokio::test]
async fn a_restart_replaces_the_pod_and_takes_what_is_recorded_now() {
    let stage = Stage::new("restarted").await;
    let _kubelet = stage.kubelet();
    let first = order(7, "1");
    let (launch, _) = stage.launch(&first).await;
    let before = stage.pods(&stage.own).await.remove(0).name_any();
    let now = LaunchOrder { workload: image("1"), ..first };
    stage.driver.restart(&now, &launch).unwrap().await.unwrap();
    let ended = stage.driver.ended_within(std::slice::from_ref(&launch), Duration::ZERO).await;
    assert_eq!(ended, None);
    let pods = stage.pods(&stage.own).await;
    assert_eq!(pods.len(), 1);
    assert_ne!(pods[0].name_any(), before);
    let variables = pods[0].spec.as_ref().unwrap().containers[0].env.as_ref().unwrap();
    assert!(!variables.iter().any(|variable| variable.name == "COLOUR"), "it was recorded to be gone");
}

#[tokio::test]
async fn a_size_is_set_at_once() {
    let stage = Stage::new("sized").await;
    let order = order(7, "1");
    let instance = Driver::launch(&stage.driver, &order).await.unwrap();
    let mut environment = environment(&order, Some(Launch { id: order.launch, instance: Some(instance) }));
    environment.nodes[0].cloudlets = crate::domain::Cloudlets::new(Some(0), Some(2)).unwrap();
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };
    Driver::resize(&stage.driver, node).await.unwrap();
    let made = stage.api::<Deployment>(&stage.own).get("my-shop-7").await.unwrap();
    let containers = made.spec.unwrap().template.spec.unwrap().containers;
    let resources = serde_json::to_value(&containers[0].resources).unwrap();
    assert_eq!(resources["limits"], json!({ "memory": "256Mi", "cpu": "800m" }));
    assert_eq!(resources["requests"], json!({ "memory": "0", "cpu": "0" }));
    assert_eq!(containers[0].image.as_deref(), Some("shop/web:1"), "the rest stays");
    environment.nodes[0].launch = None;
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };
    Driver::resize(&stage.driver, node).await.unwrap();
}

#[tokio::test]
async fn why_a_node_is_not_ready_is_told() {
    let mut stage = Stage::new("reasons").await;
    stage.with(|settings| settings.ready_timeout = Duration::from_millis(500)).await;
    let (launch, ended) = stage.launch(&order(7, "1")).await;
    let ended = ended.unwrap();
    assert!(ended.reason.starts_with("is not ready: 0 of 1 replicas are"), "{}", ended.reason);
    assert_eq!(ended.launch, launch.id);
    let pods = stage.api::<Pod>(&stage.own);
    let pod = testkit::eventually("a pod", LONG, async || stage.pods(&stage.own).await.pop()).await.name_any();
    let waits = async |reason: &str| {
        let state = json!({ "waiting": { "reason": reason, "message": "back-off\nof something" } });
        let container =
            json!({ "name": "node", "image": "", "imageID": "", "ready": false, "restartCount": 3, "state": state });
        let status = json!({ "status": { "phase": "Pending", "containerStatuses": [container] } });
        pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
        let Observed::Dead { reason: Some(seen) } = stage.seen(&launch).await else { panic!("it does not run") };
        let ended = stage.driver.ended_within(std::slice::from_ref(&launch), Duration::ZERO).await.unwrap();
        (seen, ended.reason)
    };
    let (seen, ended) = waits("CrashLoopBackOff").await;
    assert_eq!(
        seen,
        "is not ready: 0 of 1 replicas are; container `node` waits: CrashLoopBackOff (back-off of something)"
    );
    assert!(ended.starts_with(&seen) && ended.ends_with(" s"), "it was waited for: {ended}");
    stage.with(|settings| settings.ready_timeout = Duration::from_secs(3600)).await;
    let pods = stage.api::<Pod>(&stage.own);
    let state = json!({ "waiting": { "reason": "ImagePullBackOff" } });
    let container =
        json!({ "name": "node", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state });
    let status = json!({ "status": { "containerStatuses": [container] } });
    pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let ended = stage.driver.ended_within(std::slice::from_ref(&launch), Duration::ZERO).await.unwrap();
    assert!(ended.reason.ends_with("container `node` waits: ImagePullBackOff"), "at once: {}", ended.reason);
}

#[tokio::test]
async fn changes_are_told() {
    let stage = Stage::new("changes").await;
    let mut changes = stage.driver.changes();
    Driver::launch(&stage.driver, &order(7, "1")).await.unwrap();
    tokio::time::timeout(LONG, changes.changed()).await.unwrap().unwrap();
    stage.tasks.begin_drain();
    stage.tasks.drained(LONG).await.unwrap();
}
