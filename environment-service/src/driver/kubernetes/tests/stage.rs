//! A driver and the API server that it works with, under the account and the roles of `deploy/kubernetes`. There are no
//! machines: what a kubelet would say of pods, [`Kubelet`] says.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Client, Resource};
use lifecycle::Lifecycle;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::KubernetesApi;
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::*;
use crate::domain::{
    Cloudlets, Desired, EnvironmentId, Node, NodeGroupName, Operation, Tag, Variables, Workload as DomainWorkload,
};

/// Longer than anything that succeeds takes.
pub(super) const LONG: Duration = Duration::from_secs(60);
const MANIFEST: &str = concat!(
    include_str!("../../../../../deploy/kubernetes/rbac.yaml"),
    "\n---\n",
    include_str!("../../../../../deploy/kubernetes/rbac-environment.yaml")
);

/// The server of all tests but those that kill it. Nobody's files of it are written at once.
static SHARED: OnceCell<Mutex<KubernetesApi>> = OnceCell::const_new();

pub(super) struct Stage {
    pub(super) admin: Client,
    /// The namespace of an environment that was there before, `shop`.
    pub(super) adopted: String,
    /// The namespace for what is made.
    pub(super) own: String,
    pub(super) driver: KubernetesDriver,
    pub(super) settings: KubernetesSettings,
    pub(super) tasks: Lifecycle,
    folder: TempDir,
}

/// Says of all pods of namespaces that they run, and of those of the version `crashing` that they end, as long as it lives.
pub(super) struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn shared() -> &'static Mutex<KubernetesApi> {
    SHARED.get_or_init(async || Mutex::new(KubernetesApi::with_controllers().await)).await
}

impl Stage {
    /// On the server of all tests, in namespaces of its own.
    pub(super) async fn new(name: &str) -> Self {
        Self::on(&*shared().await.lock().await, name).await
    }

    pub(super) async fn on(api: &KubernetesApi, name: &str) -> Self {
        let (adopted, own, service) = (name.to_owned(), format!("{name}-nodes"), format!("{name}-service"));
        for namespace in [&adopted, &own, &service] {
            api.namespace(namespace).await;
        }
        let manifest = MANIFEST
            .replace("namespace: portcullis-nodes", &format!("namespace: {own}"))
            .replace("namespace: portcullis\n", &format!("namespace: {service}\n"))
            .replace("namespace: shop", &format!("namespace: {adopted}"));
        api.create_roles(&manifest).await;
        let token = api.account_token(&service, "environment-service").await;
        let folder = tempfile::tempdir().unwrap();
        let settings = KubernetesSettings {
            kubeconfig: Some(kubeconfig(&folder, &api.url(), &api.ca_file(), &token)),
            images: ["shop/*", "nginx"]
                .iter()
                .map(|pattern| pattern.parse::<crate::domain::ImagePattern>().unwrap())
                .collect(),
            namespace: Some(own.clone()),
            port: 8080,
            ready_timeout: LONG,
            stop_grace: Duration::from_secs(1),
            environments: vec![Adoptable {
                name: "shop".to_owned(),
                account: AccountId(1),
                namespace: adopted.clone(),
                selector: None,
            }],
        };
        let tasks = Lifecycle::new();
        let driver = KubernetesDriver::open(settings.clone(), &tasks).await.unwrap();
        let stage = Self { admin: api.client(api.admin_token()).await, adopted, own, driver, settings, tasks, folder };
        // The server learns of the roles by watching itself.
        for namespace in [&stage.adopted, &stage.own] {
            testkit::eventually("the roles", LONG, async || {
                list::<Pod>(&stage.driver.client, namespace, "", None).await.ok()
            })
            .await;
        }
        stage
    }

    /// The same driver with other settings.
    pub(super) async fn with(&mut self, change: impl FnOnce(&mut KubernetesSettings)) {
        change(&mut self.settings);
        self.driver = KubernetesDriver::open(self.settings.clone(), &self.tasks).await.unwrap();
    }

    pub(super) fn kubelet(&self) -> Kubelet {
        let namespaces = [self.adopted.clone(), self.own.clone()];
        Kubelet(tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                for namespace in &namespaces {
                    let server = shared().await.lock().await;
                    server.settle_pods(namespace, "Running", |pod| !is_crashing(pod)).await;
                    server.crash_pods(namespace, 3, is_crashing).await;
                }
            }
        }))
    }

    pub(super) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.admin.clone(), namespace)
    }

    pub(super) async fn make<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug,
    {
        let object = serde_json::from_value(object).unwrap();
        self.api::<K>(&self.adopted).create(&PostParams::default(), &object).await.unwrap()
    }

    /// Makes a deployment and a stateful set that run, and a cron job that is not suspended.
    pub(super) async fn make_shop(&self, replicas: i32) {
        self.make::<Deployment>(workload("web", replicas)).await;
        self.make::<StatefulSet>(workload("db", replicas)).await;
        self.make_job("tick", false).await;
        testkit::eventually("they run", LONG, async || {
            let (web, db) = (self.deployment("web").await, self.set("db").await);
            let ready = [web.status?.ready_replicas, db.status?.ready_replicas];
            ready.iter().all(|ready| ready.unwrap_or(0) == replicas).then_some(())
        })
        .await;
    }

    pub(super) fn jobs(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("batch", "v1beta1", "CronJob");
        let resource = ApiResource::from_gvk_with_plural(&kind, "cronjobs");
        Api::namespaced_with(self.admin.clone(), &self.adopted, &resource)
    }

    pub(super) async fn make_job(&self, name: &str, suspend: bool) {
        let mut pod = template(name);
        pod["spec"]["restartPolicy"] = json!("Never");
        let job = json!({
            "apiVersion": "batch/v1beta1",
            "kind": "CronJob",
            "metadata": { "name": name },
            // It never comes true.
            "spec": { "schedule": "0 0 30 2 *", "suspend": suspend, "jobTemplate": { "spec": { "template": pod } } },
        });
        self.jobs().create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
    }

    pub(super) async fn is_suspended(&self, name: &str) -> bool {
        self.jobs().get(name).await.unwrap().data["spec"]["suspend"] == true
    }

    pub(super) async fn deployment(&self, name: &str) -> Deployment {
        self.api(&self.adopted).get(name).await.unwrap()
    }

    pub(super) async fn set(&self, name: &str) -> StatefulSet {
        self.api(&self.adopted).get(name).await.unwrap()
    }

    pub(super) async fn pods(&self, namespace: &str) -> Vec<Pod> {
        self.api::<Pod>(namespace).list(&ListParams::default()).await.unwrap().items
    }

    /// Launches a node, and waits until it has settled.
    pub(super) async fn launch(&self, order: &LaunchOrder) -> (Launch, Option<Ended>) {
        let instance = Driver::launch(&self.driver, order).await.unwrap();
        let launch = Launch { id: order.launch, instance: Some(instance) };
        let ended = self.driver.ended_within(std::slice::from_ref(&launch), Duration::ZERO).await;
        (launch, ended)
    }

    pub(super) async fn seen(&self, launch: &Launch) -> Observed {
        self.driver.observe(std::slice::from_ref(launch)).await.remove(0)
    }

    /// A kubeconfig for a server that is not there.
    pub(super) fn unreachable(&self) -> PathBuf {
        let url = format!("https://127.0.0.1:{}", testkit::free_port());
        let folder = self.folder.path().join("unreachable");
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::read_to_string(self.settings.kubeconfig.as_ref().unwrap()).unwrap();
        let mut config: Value = serde_json::from_str(&file).unwrap();
        config["clusters"][0]["cluster"]["server"] = json!(url);
        let file = folder.join("config");
        std::fs::write(&file, config.to_string()).unwrap();
        file
    }
}

fn is_crashing(pod: &Pod) -> bool {
    let mut containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.any(|container| container.image.as_ref().is_some_and(|image| image.ends_with(":crashing")))
}

fn kubeconfig(folder: &TempDir, url: &str, authority: &std::path::Path, token: &str) -> PathBuf {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": { "server": url, "certificate-authority": authority } }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    });
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

pub(super) fn template(app: &str) -> Value {
    let containers = json!([
        { "name": "proxy", "image": "proxy:1" },
        { "name": "main", "image": format!("shop/{app}:1"), "env": [{ "name": "COLOUR", "value": "blue" }] },
    ]);
    json!({ "metadata": { "labels": { "app": app } }, "spec": { "containers": containers } })
}

/// A deployment or a stateful set.
pub(super) fn workload(app: &str, replicas: i32) -> Value {
    json!({
        "metadata": { "name": app, "labels": { "tier": "shop" } },
        "spec": {
            "replicas": replicas,
            "serviceName": app,
            "podManagementPolicy": "Parallel",
            "selector": { "matchLabels": { "app": app } },
            "template": template(app),
        },
    })
    .as_object()
    .map(|object| {
        let mut object = object.clone();
        if app != "db" {
            let spec = object["spec"].as_object_mut().unwrap();
            spec.remove("serviceName");
            spec.remove("podManagementPolicy");
        }
        Value::Object(object)
    })
    .unwrap()
}

pub(super) fn image(tag: &str) -> DomainWorkload {
    DomainWorkload::image("shop/web".parse().unwrap(), tag.parse::<Tag>().unwrap())
}

/// An order to make a node.
pub(super) fn order(node: i64, tag: &str) -> LaunchOrder {
    let variables = [("COLOUR", "$(PATH) $x"), ("java.opts", "-Xmx1g")];
    let variables = Variables::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    LaunchOrder {
        launch: LaunchId(Uuid::new_v4()),
        environment_id: EnvironmentId(Uuid::from_u128(7)),
        environment: "my-shop".parse().unwrap(),
        account: AccountId(1),
        node: NodeId(node),
        group: NodeGroupName::application(),
        workload: DomainWorkload { variables, ..image(tag) },
        cloudlets: Cloudlets::new(Some(1), Some(4)).unwrap(),
        port: Some(8080),
        adopted: None,
        versioned: false,
    }
}

/// An order to launch what was there before.
pub(super) fn of(key: &str) -> LaunchOrder {
    LaunchOrder { adopted: Some(format!("shop/{key}")), port: None, launch: LaunchId(Uuid::new_v4()), ..order(1, "1") }
}

/// The environment of an order.
pub(super) fn environment(order: &LaunchOrder, launch: Option<Launch>) -> Environment {
    let node = Node {
        id: order.node,
        group: order.group.clone(),
        workload: order.workload.clone(),
        former_tag: None,
        rank: 1,
        adopted: order.adopted.clone(),
        display_name: "node".to_owned(),
        cloudlets: order.cloudlets,
        port: order.port,
        launch,
        ending: false,
    };
    Environment {
        id: order.environment_id,
        name: order.environment.clone(),
        account: order.account,
        display_name: "shop".to_owned(),
        highly_available: false,
        tls: false,
        desired: Desired::Running,
        operation: Some(Operation::Start),
        created_at: Timestamp::UNIX_EPOCH,
        driver: DriverKind::Kubernetes,
        adopted: order.adopted.as_ref().map(|_| "shop".to_owned()),
        groups: Vec::new(),
        nodes: vec![node],
    }
}
