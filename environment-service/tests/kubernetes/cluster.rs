//! A service that runs environments in a cluster.

use std::sync::Arc;
use std::time::Duration;

use environment_service::KubernetesConfig;
use jiff::SignedDuration;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use proto::Failure;
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::{CreateEnvironmentRequest, DockerSpec, EnvironmentSpec, NodeSpec};
use testkit::{KubernetesApi, TestDatabase};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::authority::with_grant;
use crate::stage::Stage;

const MANIFEST: &str = concat!(
    include_str!("../../../deploy/kubernetes/rbac.yaml"),
    "\n---\n",
    include_str!("../../../deploy/kubernetes/rbac-environment.yaml")
);
/// The namespace of the manifest for what is made.
pub(crate) const NODES: &str = "portcullis-nodes";
/// The version of an image that never gets ready.
pub(crate) const BAD: &str = "bad";

/// The server, whose files one at a time writes.
type Server = Arc<Mutex<KubernetesApi>>;

pub(crate) struct Cluster {
    pub(crate) stage: Stage,
    pub(crate) server: Server,
    pub(crate) admin: Client,
    kubelet: JoinHandle<()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kubelet.abort();
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let api = KubernetesApi::with_controllers().await;
        for namespace in ["portcullis", NODES, "shop"] {
            api.namespace(namespace).await;
        }
        api.create_roles(MANIFEST).await;
        let token = api.account_token("portcullis", "environment-service").await;
        let admin = api.client(api.admin_token()).await;
        let kubeconfig = api.kubeconfig(&token);
        let service = api.client(&token).await;
        testkit::eventually("the roles", crate::stage::LONG, async || {
            Api::<Pod>::namespaced(service.clone(), NODES).list(&ListParams::default()).await.ok()
        })
        .await;
        let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
        stage.config.kubernetes = Some(KubernetesConfig {
            kubeconfig: Some(kubeconfig),
            namespace: Some(NODES.to_owned()),
            images: vec!["shop/*".to_owned()],
            port: 8080,
            ready_timeout: SignedDuration::from_secs(10),
            environments: Vec::new(),
        });
        stage.authority.start().await;
        stage.start_service().await;
        let server = Arc::new(Mutex::new(api));
        let kubelet = tokio::spawn(play_kubelet(server.clone()));
        Self { stage, server, admin, kubelet }
    }

    pub(crate) fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.admin.clone(), NODES)
    }

    /// The images of all pods.
    pub(crate) async fn images(&self) -> Vec<String> {
        let pods = self.api::<Pod>().list(&ListParams::default()).await.unwrap();
        let mut images: Vec<String> = pods.iter().flat_map(images).collect();
        images.sort();
        images
    }

    pub(crate) async fn create(&self, name: &str, nodes: &[(&str, &str, i32)]) -> Result<(), Failure> {
        let nodes = nodes.iter().map(|(group, image, count)| NodeSpec {
            docker: Some(DockerSpec { image: (*image).to_owned(), tag: None, node_group: None }),
            node_group: Some((*group).to_owned()),
            count: Some(*count),
            ..NodeSpec::default()
        });
        let env = EnvironmentSpec { shortdomain: name.to_owned(), ..EnvironmentSpec::default() };
        let request = CreateEnvironmentRequest { env: Some(env), nodes: nodes.collect(), env_groups: Vec::new() };
        self.stage.alice().create_as(request).await.map(drop)
    }

    /// Calls another method as [`crate::authority::ALICE`].
    pub(crate) async fn call<Q, A>(
        &self,
        method: impl AsyncFnOnce(ControlClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
        request: Q,
    ) -> Result<A, Failure> {
        let grant = self.stage.authority.signing_key.sign(&self.stage.alice().claims());
        let answer = method(self.stage.client(), with_grant(&grant, request)).await;
        answer.map(Response::into_inner).map_err(Failure::from)
    }
}

fn images(pod: &Pod) -> Vec<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.filter_map(|container| container.image.clone()).collect()
}

/// There are no machines: says of all pods that they run, but of those of the bad version.
async fn play_kubelet(server: Server) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        // While the server is away, whoever has killed it holds it.
        let bad = |pod: &Pod| images(pod).iter().any(|image| image.ends_with(BAD));
        server.lock().await.settle_pods(NODES, "Running", |pod| !bad(pod)).await;
    }
}
