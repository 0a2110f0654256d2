//! Workloads that were there before.

use environment_service::KubernetesEnvironment;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use testkit::eventually;

use crate::authority::ALICE;
use crate::cluster::Cluster;
use crate::stage::LONG;

#[tokio::test]
async fn what_was_removed_and_comes_back_is_found_again() {
    let mut cluster = Cluster::start().await;
    cluster.stage.stop_service().await;
    let shop = KubernetesEnvironment {
        name: "shop".to_owned(),
        account: ALICE.0,
        namespace: "shop".to_owned(),
        selector: None,
    };
    cluster.stage.config.kubernetes.as_mut().unwrap().environments = vec![shop];
    cluster.stage.start_service().await;
    let deployments = Api::<Deployment>::namespaced(cluster.admin.clone(), "shop");
    let web = json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "shop/web:1" }] },
            },
        },
    });
    let web: Deployment = serde_json::from_value(web).unwrap();
    let alice = cluster.stage.alice();
    for _ in 0..2 {
        deployments.create(&PostParams::default(), &web).await.unwrap();
        let found = async || alice.list().await.into_iter().next().filter(|found| found.nodes.len() == 1);
        let found = eventually("it is found", LONG, found).await;
        assert_eq!(found.env.unwrap().env_name, "shop");
        deployments.delete("web", &DeleteParams::default()).await.unwrap();
        eventually("it is let go", LONG, async || alice.list().await.is_empty().then_some(())).await;
        let database = cluster.stage.database().await;
        let left: Vec<(String,)> =
            sqlx::query_as("select name from environment").fetch_all(database.reader()).await.unwrap();
        database.close().await;
        assert_eq!(left, [], "nothing is left of it");
    }
}
