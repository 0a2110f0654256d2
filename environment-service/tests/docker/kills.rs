//! The service is killed while the engine works for it.

use std::time::Duration;

use bollard::models::ContainerSummary;
use jiff::SignedDuration;
use proto::environment::v1::{DockerSpec, Node, NodeSpec};

use crate::host::Host;
use crate::killing::{Ground, kill_at_any_moment, kills};
use crate::stage::Stage;

impl Ground for Host {
    const MOMENTS: Duration = Duration::from_millis(1500);

    fn stage(&self) -> &Stage {
        self
    }

    fn nodes(&self, count: i32) -> NodeSpec {
        let docker = DockerSpec { image: "portcullis/app".to_owned(), tag: Some("1".to_owned()), node_group: None };
        NodeSpec { docker: Some(docker), count: Some(count), ..NodeSpec::default() }
    }

    fn version(&self, number: u32) -> String {
        (number % 2 + 1).to_string()
    }

    fn identity(node: &Node) -> i64 {
        node.id
    }

    async fn running(&self) -> Vec<i64> {
        let containers = self.containers().await;
        containers.iter().filter(|container| is_up(container)).map(node_of).collect()
    }

    async fn kept(&self) -> Vec<i64> {
        self.containers().await.iter().map(node_of).collect()
    }
}

fn is_up(container: &ContainerSummary) -> bool {
    container.status.as_ref().is_some_and(|status| status.starts_with("Up"))
}

/// The node that a container is of.
fn node_of(container: &ContainerSummary) -> i64 {
    container.labels.as_ref().unwrap()["portcullis.node"].parse().unwrap()
}

#[tokio::test]
async fn killed_at_any_moment_it_neither_loses_nor_doubles_a_container() {
    let mut host = Host::prepare().await;
    host.config.start_settle = SignedDuration::from_millis(10);
    host.authority.start().await;
    let database = host.config.database_url.to_string();
    println!("{}", kill_at_any_moment(&host, &database, kills(6)).await);
}
