//! Workloads that were there before.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::stage::{LONG, Stage, environment, image, of};
use super::workload::FORMER;
use super::*;

/// How many replicas the two are to have, and are kept.
async fn replicas(stage: &Stage) -> [(i32, Option<String>); 2] {
    let (web, db) = (stage.deployment("web").await, stage.set("db").await);
    let kept = |annotations: &std::collections::BTreeMap<String, String>| annotations.get(FORMER).cloned();
    [
        (web.spec.as_ref().unwrap().replicas.unwrap(), kept(web.annotations())),
        (db.spec.as_ref().unwrap().replicas.unwrap(), kept(db.annotations())),
    ]
}

fn launch(order: &LaunchOrder) -> Launch {
    Launch { id: order.launch, instance: Some(Instance(format!("adopted/{}", order.adopted.as_ref().unwrap()))) }
}

#[tokio::test]
async fn replicas_are_taken_kept_and_given_back() {
    let stage = Stage::new("replicas").await;
    let _kubelet = stage.kubelet();
    stage.make_shop(3).await;
    stage.make_job("paused", true).await;
    let orders = [of("deployment/web"), of("statefulset/db")];
    let launches = orders.each_ref().map(launch);
    let found = stage.driver.observe(&launches).await;
    assert_eq!(found, [Observed::Alive { number: 0 }, Observed::Alive { number: 0 }]);

    stage.driver.end(&launches[..1]).await.unwrap();
    assert!(!stage.is_suspended("tick").await, "something of the environment runs");
    let three = Some("3".to_owned());
    assert_eq!(replicas(&stage).await, [(0, three.clone()), (3, None)]);
    stage.driver.end(&launches).await.unwrap();
    assert_eq!(stage.pods(&stage.adopted).await.len(), 0);
    assert!(stage.is_suspended("tick").await && stage.is_suspended("paused").await);
    stage.driver.end(&launches).await.unwrap();
    assert_eq!(replicas(&stage).await, [(0, three.clone()), (0, three.clone())], "twice is once");

    for order in &orders {
        let (launch, ended) = stage.launch(order).await;
        assert_eq!(ended, None);
        assert!(stage.seen(&launch).await.is_alive());
    }
    assert_eq!(replicas(&stage).await.map(|(count, _)| count), [3, 3]);
    assert_eq!(stage.pods(&stage.adopted).await.len(), 6);
    assert!(!stage.is_suspended("tick").await, "resumed");
    assert!(stage.is_suspended("paused").await, "by somebody else");
    let images = stage.deployment("web").await.spec.unwrap().template.spec.unwrap().containers;
    assert_eq!(images.iter().map(|one| one.image.as_deref().unwrap()).collect::<Vec<_>>(), ["proxy:1", "shop/web:1"]);

    // What is kept may be gone, or nonsense.
    for nonsense in [json!(null), json!("many"), json!("-1")] {
        let web = stage.api::<Deployment>(&stage.adopted);
        let patch = json!({ "metadata": { "annotations": { FORMER: nonsense } }, "spec": { "replicas": 0 } });
        web.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        Driver::launch(&stage.driver, &orders[0]).await.unwrap();
        assert_eq!(replicas(&stage).await[0].0, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_another_in_between_is_kept() {
    let stage = Stage::new("conflict").await;
    stage.make_shop(0).await;
    let web = stage.api::<Deployment>(&stage.adopted);
    let meddle = async |count: u32| {
        let patch =
            json!({ "metadata": { "annotations": { "theirs": count.to_string() } }, "spec": { "replicas": 5 } });
        web.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    meddle(0).await;
    let count = std::sync::atomic::AtomicU32::new(0);
    let between = |seen: &Seen| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if number < 3 {
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(meddle(number + 1)));
        }
        adopted::taken(seen)
    };
    let scope = Scope::adopted(&stage.settings.environments[0]);
    let kind = workload::Kind::Deployment;
    let seen = workload::change(&stage.driver.client, &scope, (kind, "web"), between).await.unwrap();
    assert_eq!((seen.wanted, seen.annotation("theirs"), seen.annotation(FORMER)), (0, Some("3"), Some("5")));
    // The controllers may have been in between too.
    assert!(count.into_inner() >= 4, "each attempt was made from what it was by then");

    // Somebody who is always faster.
    let number = std::sync::atomic::AtomicU32::new(100);
    let always = |_: &Seen| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(meddle(number)));
        Some(json!({ "spec": { "replicas": 0 } }))
    };
    let given_up = workload::change(&stage.driver.client, &scope, (kind, "web"), always).await;
    assert!(matches!(given_up, Err(Fault::Conflict)), "{given_up:?}");
    assert_eq!(stage.deployment("web").await.spec.unwrap().replicas, Some(5));
}

#[tokio::test]
async fn a_restart_is_a_rollout_without_a_gap() {
    let stage = Stage::new("rollout").await;
    let kubelet = stage.kubelet();
    stage.make_shop(2).await;
    drop(kubelet);
    let order = of("deployment/web");
    let launch = launch(&order);
    let before = stage.deployment("web").await;
    stage.driver.restart(&order, &launch).unwrap().await.unwrap();
    let after = stage.deployment("web").await;
    let template = after.spec.as_ref().unwrap().template.metadata.as_ref().unwrap();
    assert!(template.annotations.as_ref().unwrap().contains_key("kubectl.kubernetes.io/restartedAt"));
    assert_eq!(after.spec.as_ref().unwrap().replicas, before.spec.as_ref().unwrap().replicas);
    assert!(stage.seen(&launch).await.is_alive(), "those of before still run");
    let waited = async { stage.driver.ended_within(std::slice::from_ref(&launch), Duration::ZERO).await };
    let old: Vec<String> = stage.pods(&stage.adopted).await.iter().map(ResourceExt::name_any).collect();
    let (ended, _kubelet) = tokio::join!(waited, async { stage.kubelet() });
    assert_eq!(ended, None);
    let web: Vec<String> = stage.pods(&stage.adopted).await.iter().map(ResourceExt::name_any).collect();
    let web = web.into_iter().filter(|name| name.starts_with("web")).collect::<Vec<_>>();
    assert_eq!(web.len(), 2);
    assert!(old.iter().filter(|name| web.contains(name)).count() < 2, "{old:?} {web:?}");

    let set = of("statefulset/db");
    let set = (self::launch(&set), set);
    stage.driver.restart(&set.1, &set.0).unwrap().await.unwrap();
    assert_eq!(stage.driver.ended_within(&[set.0], Duration::ZERO).await, None);
}

#[tokio::test]
async fn another_version_is_set_where_it_is_asked_for() {
    let mut stage = Stage::new("versions").await;
    let kubelet = stage.kubelet();
    stage.make_shop(1).await;
    let images = async |stage: &Stage| {
        let containers = stage.deployment("web").await.spec.unwrap().template.spec.unwrap().containers;
        containers.iter().map(|one| one.image.clone().unwrap()).collect::<Vec<_>>()
    };
    let order = LaunchOrder { workload: image("2"), ..of("deployment/web") };
    assert_eq!(stage.launch(&order).await.1, None);
    assert_eq!(images(&stage).await, ["proxy:1", "shop/web:1"], "a start leaves it as others have set it");
    let order = LaunchOrder { versioned: true, ..order };
    let (launch, ended) = stage.launch(&order).await;
    assert_eq!(ended, None);
    assert_eq!(images(&stage).await, ["proxy:1", "shop/web:2"]);
    let web = stage.deployment("web").await.spec.unwrap().template.spec.unwrap().containers.remove(1);
    assert_eq!(web.env.unwrap()[0].value.as_deref(), Some("blue"), "the rest stays");

    drop(kubelet);
    stage.with(|settings| settings.ready_timeout = Duration::from_millis(500)).await;
    let bad = LaunchOrder { workload: image("3"), ..order.clone() };
    stage.driver.end(&[launch]).await.unwrap();
    let (launch, ended) = stage.launch(&bad).await;
    assert!(ended.unwrap().reason.starts_with("is not ready"));
    stage.driver.end(&[launch]).await.unwrap();
    stage.with(|settings| settings.ready_timeout = LONG).await;
    let _kubelet = stage.kubelet();
    assert_eq!(stage.launch(&order).await.1, None, "the former version comes back");
    assert_eq!(images(&stage).await, ["proxy:1", "shop/web:2"]);

    let workload = Workload::image("shop/other".parse().unwrap(), "1".parse().unwrap());
    let other = LaunchOrder { workload, ..order.clone() };
    let error = Driver::launch(&stage.driver, &other).await.unwrap_err();
    assert!(matches!(&error, LaunchError::Refused(unfit) if unfit.0.contains("shop/other")), "{error:?}");
    let workload = Workload::image("proxy".parse().unwrap(), "2".parse().unwrap());
    let error = Driver::launch(&stage.driver, &LaunchOrder { workload, ..order }).await.unwrap_err();
    assert!(matches!(&error, LaunchError::Refused(unfit) if unfit.0.contains("operator allows")), "{error:?}");
    assert_eq!(images(&stage).await, ["proxy:1", "shop/web:2"]);
}

#[tokio::test]
async fn a_size_is_set_on_the_container_of_the_image() {
    let stage = Stage::new("sizes").await;
    stage.make_shop(0).await;
    let order = of("deployment/web");
    let environment = environment(&order, None);
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };
    Driver::resize(&stage.driver, node).await.unwrap();
    let containers = stage.deployment("web").await.spec.unwrap().template.spec.unwrap().containers;
    let limits = |index: usize| containers[index].resources.as_ref().and_then(|all| all.limits.clone());
    assert_eq!((limits(0), limits(1).unwrap()["memory"].0.as_str()), (None, "512Mi"));
}

#[tokio::test]
async fn pods_of_others_with_the_same_labels_are_nobodys() {
    let stage = Stage::new("same-labels").await;
    let _kubelet = stage.kubelet();
    stage.make_shop(1).await;
    let mut pod = stage::template("web");
    pod["metadata"]["name"] = json!("alone");
    stage.make::<Pod>(pod).await;
    let order = of("deployment/web");
    let (launched, ended) = stage.launch(&order).await;
    assert_eq!(ended, None);
    stage.driver.end(&[launched]).await.unwrap();
    let left: Vec<String> = stage.pods(&stage.adopted).await.iter().map(ResourceExt::name_any).collect();
    assert!(left.contains(&"alone".to_owned()) && !left.iter().any(|name| name.starts_with("web-")), "{left:?}");
}

#[tokio::test]
async fn what_is_there_is_discovered_by_its_labels() {
    let mut stage = Stage::new("discovered").await;
    let _kubelet = stage.kubelet();
    stage.make_shop(1).await;
    let mut other = stage::workload("other", 0);
    other["metadata"]["labels"] = json!({ "app.kubernetes.io/component": "cache", "tier": "test" });
    stage.make::<Deployment>(other).await;
    let found = stage.driver.discover().await.unwrap().found;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].key.as_str(), found[0].name.as_str(), found[0].account), ("shop", "shop", AccountId(1)));
    let node = |index: usize| {
        let node = &found[0].nodes[index];
        let image = node.image.as_ref().map(|(name, tag)| format!("{name}:{tag}"));
        (node.key.as_str(), node.group.as_str(), image, node.rank, node.instance.clone().map(|instance| instance.0))
    };
    let instance = |key: &str| Some(format!("adopted/{key}"));
    let proxy = Some("proxy:1".to_owned());
    assert_eq!(node(0), ("shop/deployment/other", "cache", proxy.clone(), 0, None));
    let web = "shop/deployment/web";
    assert_eq!(node(1), (web, "cp", proxy.clone(), 1, instance(web)));
    let db = "shop/statefulset/db";
    assert_eq!(node(2), (db, "cp", proxy, 0, instance(db)));

    // What is not selected is out of reach, by whatever key.
    stage.with(|settings| settings.environments[0].selector = Some("tier=test".to_owned())).await;
    let found = stage.driver.discover().await.unwrap().found;
    assert_eq!(found[0].nodes.iter().map(|node| node.key.as_str()).collect::<Vec<_>>(), ["shop/deployment/other"]);
    let order = of("deployment/web");
    assert!(matches!(Driver::launch(&stage.driver, &order).await, Err(LaunchError::Failed(..))));
    stage.driver.end(&[launch(&order)]).await.unwrap();
    assert_eq!(stage.deployment("web").await.spec.unwrap().replicas, Some(1));
    assert!(!stage.seen(&launch(&order)).await.is_alive());

    // One that may not be looked at need not be gone, and keeps no other from being seen.
    let bank =
        Adoptable { name: "bank".to_owned(), namespace: "bank".to_owned(), ..stage.settings.environments[0].clone() };
    stage.with(|settings| settings.environments.insert(0, bank)).await;
    let discovery = stage.driver.discover().await.unwrap();
    assert_eq!((discovery.found.len(), discovery.unseen), (1, vec!["bank".to_owned()]));
    let mark = LaunchId(uuid::Uuid::from_u128(1));
    assert!(stage.driver.find(&[(NodeId(1), mark)]).await.unwrap().is_empty(), "it is answered all the same");
    let unrecorded = Launch { id: mark, instance: None };
    assert!(matches!(stage.seen(&unrecorded).await, Observed::Dead { .. }), "it is nowhere");
    let other = of("deployment/other");
    stage.driver.end(&[launch(&other), unrecorded]).await.unwrap();

    stage.with(|settings| settings.environments.clear()).await;
    assert_eq!(stage.driver.discover().await.unwrap(), Discovery::default());
    let error = Driver::launch(&stage.driver, &order).await.unwrap_err();
    assert!(matches!(&error, LaunchError::Failed(text, _) if text.contains("not configured any more")), "{error:?}");
    assert_eq!(stage.seen(&launch(&order)).await, Observed::Unknown);
    assert!(matches!(stage.driver.end(&[launch(&order)]).await, Err(EndError::Failed(..))));
}
