use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{KubernetesApi, eventually};

use crate::victim::{Victim, is_victim, wait_to_be_killed, working_in};

const PATIENCE: Duration = Duration::from_secs(60);

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn template(app: &str) -> Value {
    let container = json!({ "name": "main", "image": "portcullis/test:1" });
    json!({ "metadata": { "labels": { "app": app } }, "spec": { "containers": [container] } })
}

fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": template("web"),
        },
    })
}

async fn new_namespace(client: &Client, name: &str) {
    let namespace = object(json!({ "metadata": { "name": name } }));
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

async fn pods(client: &Client, app: &str) -> Vec<Pod> {
    let of_app = ListParams::default().labels(&format!("app={app}"));
    Api::<Pod>::namespaced(client.clone(), "shop").list(&of_app).await.unwrap().items
}

#[tokio::test]
async fn a_deployment_gets_pods_that_settle_and_go_with_it() {
    let api = KubernetesApi::with_controllers().await;
    let client = api.client(api.admin_token()).await;
    new_namespace(&client, "shop").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    let apply = PatchParams::apply("test").force();
    deployments.patch("web", &apply, &Patch::Apply(deployment(2))).await.unwrap();
    eventually("two pods", PATIENCE, async || (pods(&client, "web").await.len() == 2).then_some(())).await;
    assert_eq!(api.settle("shop").await, 2);
    assert_eq!(api.settle("shop").await, 0);
    eventually("two replicas", PATIENCE, async || {
        let status = deployments.get_status("web").await.unwrap().status.unwrap();
        (status.available_replicas == Some(2)).then_some(())
    })
    .await;
    deployments.patch("web", &apply, &Patch::Apply(deployment(1))).await.unwrap();
    eventually("one pod", PATIENCE, async || (pods(&client, "web").await.len() == 1).then_some(())).await;
    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    eventually("no pods", PATIENCE, async || pods(&client, "web").await.is_empty().then_some(())).await;
    Api::<Namespace>::all(client.clone()).delete("shop", &DeleteParams::default()).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    eventually("the namespace's end", PATIENCE, async || {
        namespaces.get_opt("shop").await.unwrap().is_none().then_some(())
    })
    .await;
}

/// This server is older than the version 1 of its API.
fn cron_jobs(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("batch", "v1beta1", "CronJob");
    Api::namespaced_with(client.clone(), "shop", &ApiResource::from_gvk_with_plural(&kind, "cronjobs"))
}

#[tokio::test]
async fn stateful_sets_wait_for_each_pod_and_cron_jobs_are_kept() {
    let api = KubernetesApi::with_controllers().await;
    let client = api.client(api.admin_token()).await;
    new_namespace(&client, "shop").await;
    let set = object(json!({
        "metadata": { "name": "db" },
        "spec": {
            "replicas": 2,
            "serviceName": "db",
            "selector": { "matchLabels": { "app": "db" } },
            "template": template("db"),
        },
    }));
    Api::<StatefulSet>::namespaced(client.clone(), "shop").create(&PostParams::default(), &set).await.unwrap();
    for pod in ["db-0", "db-1"] {
        eventually(pod, PATIENCE, async || pods(&client, "db").await.iter().find(|p| p.name_any() == pod).map(|_| ()))
            .await;
        assert_eq!(api.settle("shop").await, 1);
    }
    let mut job = template("tick");
    job["spec"]["restartPolicy"] = json!("Never");
    let job = object(json!({
        "apiVersion": "batch/v1beta1",
        "kind": "CronJob",
        "metadata": { "name": "tick" },
        "spec": { "schedule": "* * * * *", "jobTemplate": { "spec": { "template": job } } },
    }));
    let cron_jobs = cron_jobs(&client);
    cron_jobs.create(&PostParams::default(), &job).await.unwrap();
    assert_eq!(cron_jobs.get("tick").await.unwrap().data["spec"]["schedule"], "* * * * *");
}

#[tokio::test]
async fn a_user_may_do_what_roles_allow() {
    let api = KubernetesApi::setup().user("deployer", &["developers"]).start().await;
    let admin = api.client(api.admin_token()).await;
    let deployer: Api<ConfigMap> = Api::namespaced(api.client(api.token("deployer")).await, "default");
    let refused = deployer.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
    let nobody: Api<ConfigMap> = Api::default_namespaced(api.client("guessed").await);
    let unknown = nobody.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(unknown, kube::Error::Api(status) if status.code == 401));
    let post = PostParams::default();
    let reader = json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"] });
    let role = object(json!({ "metadata": { "name": "reader" }, "rules": [reader] }));
    Api::<Role>::default_namespaced(admin.clone()).create(&post, &role).await.unwrap();
    let group = "rbac.authorization.k8s.io";
    let binding = object(json!({
        "metadata": { "name": "readers" },
        "roleRef": { "apiGroup": group, "kind": "Role", "name": "reader" },
        "subjects": [{ "apiGroup": group, "kind": "Group", "name": "developers" }],
    }));
    Api::<RoleBinding>::default_namespaced(admin).create(&post, &binding).await.unwrap();
    // The server learns of it by watching itself.
    eventually("the permission", PATIENCE, async || deployer.list(&ListParams::default()).await.ok()).await;
}

#[tokio::test]
async fn a_killed_server_comes_back_with_what_it_had() {
    let mut api = KubernetesApi::with_controllers().await;
    let client = api.client(api.admin_token()).await;
    new_namespace(&client, "shop").await;
    api.kill();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    assert!(namespaces.get("shop").await.is_err());
    api.restart().await;
    namespaces.get("shop").await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    deployments.create(&PostParams::default(), &object(deployment(1))).await.unwrap();
    eventually("a pod", PATIENCE, async || pods(&client, "web").await.pop()).await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_test_process() {
    if is_victim() {
        let api = KubernetesApi::with_controllers().await;
        wait_to_be_killed(api.url().trim_start_matches("https://")).await;
    }
    let victim = Victim::start("kubernetes::nothing_outlives_a_killed_test_process").await;
    assert!(working_in(&victim.engine()).len() >= 3);
    victim.kill().await;
}
