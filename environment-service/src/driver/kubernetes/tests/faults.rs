//! The API server is away, or goes.

use std::sync::Arc;

use testkit::KubernetesApi;

use super::stage::{LONG, Stage, environment, of, order};
use super::*;

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_outage() {
    let mut stage = Stage::new("outage").await;
    let file = stage.unreachable();
    stage.with(|settings| settings.kubeconfig = Some(file)).await;
    let driver = &stage.driver;
    for order in [order(7, "1"), of("deployment/web")] {
        assert!(matches!(Driver::launch(driver, &order).await, Err(LaunchError::Unreachable("Kubernetes", _))));
        for instance in [None, Some(Instance("adopted/shop/deployment/web".to_owned()))] {
            let launch = Launch { id: order.launch, instance };
            assert_eq!(stage.seen(&launch).await, Observed::Unknown);
            assert!(matches!(driver.end(&[launch]).await, Err(EndError::Unreachable("Kubernetes", _))));
        }
    }
    assert!(matches!(driver.discover().await, Err(ScanError::Unreachable("Kubernetes", _))));
    let order = order(7, "1");
    let made = environment(&order, None);
    assert!(matches!(driver.clear(&made).await, Err(ClearError::Unreachable("Kubernetes", _))));
    let instance = Some(Instance("own/outage-nodes/deployment/my-shop-7".to_owned()));
    let launched = environment(&order, Some(Launch { id: order.launch, instance }));
    let node = NodeAt { environment: &launched, node: &launched.nodes[0] };
    assert!(matches!(Driver::logs(driver, node).await, Err(NodeError::Unreachable("Kubernetes", _))));
}

#[tokio::test]
async fn a_cluster_that_is_not_configured_is_told() {
    let stage = Stage::new("configured").await;
    let open = async |file: Option<&str>| {
        let settings = KubernetesSettings { kubeconfig: file.map(PathBuf::from), ..stage.settings.clone() };
        KubernetesDriver::open(settings, &stage.tasks).await.err().unwrap()
    };
    assert!(matches!(open(Some("/no/such/file")).await, KubernetesError::Kubeconfig(..)));
    assert!(matches!(open(None).await, KubernetesError::InCluster(_)));
}

#[tokio::test]
async fn an_outage_in_the_middle_is_waited_out() {
    let mut api = KubernetesApi::with_controllers().await;
    let stage = Arc::new(Stage::on(&api, "shop").await);
    let order = order(7, "1");
    let instance = Driver::launch(&stage.driver, &order).await.unwrap();
    let launch = Launch { id: order.launch, instance: Some(instance) };
    testkit::eventually("a pod", LONG, async || stage.pods(&stage.own).await.pop()).await;
    let waiting = {
        let (stage, launch) = (stage.clone(), launch.clone());
        tokio::spawn(async move { stage.driver.ended_within(&[launch], Duration::ZERO).await })
    };
    api.kill();
    testkit::eventually("the outage", LONG, async || (stage.seen(&launch).await == Observed::Unknown).then_some(()))
        .await;
    assert!(!waiting.is_finished());
    api.restart().await;
    assert_eq!(api.settle(&stage.own).await, 1);
    assert_eq!(waiting.await.unwrap(), None, "it is ready");
    testkit::eventually("it is seen", LONG, async || stage.seen(&launch).await.is_alive().then_some(())).await;

    // The end is asked for, and its pods go only later.
    let pods = stage.api::<Pod>(&stage.own);
    let pod = stage.pods(&stage.own).await.remove(0).metadata.name.unwrap();
    let hold =
        |finalizers: &[&str]| kube::api::Patch::Merge(serde_json::json!({ "metadata": { "finalizers": finalizers } }));
    pods.patch(&pod, &Default::default(), &hold(&["test/hold"])).await.unwrap();
    let ending = {
        let (stage, launch) = (stage.clone(), launch.clone());
        tokio::spawn(async move { stage.driver.end(&[launch]).await })
    };
    testkit::eventually("it is asked to end", LONG, async || pods.get(&pod).await.unwrap().metadata.deletion_timestamp)
        .await;
    assert!(!ending.is_finished(), "its pod is still there");
    api.kill();
    testkit::eventually("the outage", LONG, async || (stage.seen(&launch).await == Observed::Unknown).then_some(()))
        .await;
    api.restart().await;
    assert!(!ending.is_finished(), "{:?}", ending.await);
    testkit::eventually("the pod may go", LONG, async || pods.patch(&pod, &Default::default(), &hold(&[])).await.ok())
        .await;
    ending.await.unwrap().unwrap();
    assert_eq!(stage.pods(&stage.own).await.len(), 0);
}
