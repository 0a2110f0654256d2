//! The service is killed while the cluster works for it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use proto::environment::v1::{DockerSpec, Node, NodeSpec};

use crate::cluster::Cluster;
use crate::killing::{Ground, kill_at_any_moment, kills};
use crate::stage::Stage;

impl Ground for Cluster {
    const MOMENTS: Duration = Duration::from_millis(1500);

    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn nodes(&self, count: i32) -> NodeSpec {
        let docker = DockerSpec { image: "shop/web".to_owned(), tag: Some("1".to_owned()), node_group: None };
        NodeSpec { docker: Some(docker), count: Some(count), ..NodeSpec::default() }
    }

    fn version(&self, number: u32) -> String {
        number.to_string()
    }

    fn identity(node: &Node) -> i64 {
        node.id
    }

    async fn running(&self) -> Vec<i64> {
        let pods = self.api::<Pod>().list(&ListParams::default()).await.unwrap();
        pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(node_of).collect()
    }

    async fn kept(&self) -> Vec<i64> {
        self.api::<Deployment>().list(&ListParams::default()).await.unwrap().iter().map(node_of).collect()
    }
}

/// The node that an object is of.
fn node_of(object: &impl ResourceExt) -> i64 {
    object.labels()["portcullis.dev/node"].parse().unwrap()
}

#[tokio::test]
async fn killed_at_any_moment_it_neither_loses_nor_doubles_a_workload() {
    let mut cluster = Cluster::start().await;
    cluster.stage.stop_service().await;
    let database = cluster.stage.config.database_url.to_string();
    println!("{}", kill_at_any_moment(&cluster, &database, kills(20)).await);
}
