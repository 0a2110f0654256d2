//! The driver on a real engine.

use std::collections::BTreeMap;
use std::time::Duration;

use access::AccountId;
use lifecycle::Lifecycle;
use testkit::DockerEngine;
use uuid::Uuid;

use super::*;
use crate::domain::{Cloudlets, EnvironmentId, NodeGroupName};
use crate::driver::conformance::{Behaviour, Fixture, conformance};

/// An engine with an image, and what may be run of it.
struct Host {
    engine: DockerEngine,
    environment: EnvironmentId,
}

impl Host {
    async fn start() -> Self {
        let engine = DockerEngine::start().await;
        engine.busybox_image("portcullis/test:1").await;
        Self { engine, environment: EnvironmentId(Uuid::new_v4()) }
    }
}

fn template(name: &str, script: &str, port: Option<u16>) -> DockerTemplate {
    DockerTemplate {
        name: name.to_owned(),
        image: "portcullis/test:1".to_owned(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: BTreeMap::new(),
        port,
        restart: Restart::Never,
    }
}

impl Fixture for Host {
    fn open(&mut self) -> BoxFuture<'_, Box<dyn Driver>> {
        let settings = DockerSettings {
            socket: self.engine.host(),
            stop_grace: Duration::from_secs(5),
            images: ImagePatterns::default(),
            restart: Restart::Never,
            templates: vec![
                template("lasting", "echo begun; trap 'exit 0' TERM; sleep 1000 & wait", Some(80)),
                template("failing", "exit 3", None),
            ],
            compose: vec![ComposeProject { project: "*".to_owned(), account: 1 }],
        };
        let driver = DockerDriver::open(settings, &Lifecycle::new()).unwrap();
        async move { Box::new(driver) as Box<dyn Driver> }.boxed()
    }

    fn order(&mut self, node: NodeId, behaviour: Behaviour) -> LaunchOrder {
        let name = match behaviour {
            Behaviour::Lasting => "lasting",
            Behaviour::Failing => "failing",
        };
        LaunchOrder {
            launch: LaunchId(Uuid::new_v4()),
            environment_id: self.environment,
            environment: "shop".parse().unwrap(),
            account: AccountId(1),
            node,
            group: NodeGroupName::application(),
            workload: Workload::template(name.parse().unwrap()),
            cloudlets: Cloudlets::new(None, None).unwrap(),
            port: None,
            adopted: None,
            versioned: false,
        }
    }

    fn command(&self) -> Option<Command> {
        let arguments = ["-c", "echo out; echo error >&2; exit 3"].map(str::to_owned).to_vec();
        Some(Command { program: "sh".to_owned(), arguments, time: Duration::from_secs(30), most_output: 100 })
    }
}

conformance!(Host::start());
