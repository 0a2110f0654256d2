//! What every driver does. There are no machines, so no command runs and nothing writes a log: [`super::kubelet`] has those.

use uuid::Uuid;

use super::stage::{Kubelet, Stage, order};
use super::*;
use crate::driver::conformance::{Behaviour, Fixture, conformance};

struct Conforming {
    stage: Stage,
    _kubelet: Kubelet,
}

impl Conforming {
    async fn start() -> Self {
        let mut stage = Stage::new(&format!("conforming-{}", Uuid::new_v4().simple())).await;
        stage
            .with(|settings| {
                // What was there before is found elsewhere.
                settings.environments.clear();
                settings.ready_timeout = Duration::from_secs(5);
            })
            .await;
        let kubelet = stage.kubelet();
        Self { stage, _kubelet: kubelet }
    }
}

impl Fixture for Conforming {
    fn open(&mut self) -> BoxFuture<'_, Box<dyn Driver>> {
        async move {
            let driver = KubernetesDriver::open(self.stage.settings.clone(), &self.stage.tasks).await.unwrap();
            Box::new(driver) as Box<dyn Driver>
        }
        .boxed()
    }

    fn order(&mut self, node: NodeId, behaviour: Behaviour) -> LaunchOrder {
        let tag = match behaviour {
            Behaviour::Lasting => "1",
            Behaviour::Failing => "crashing",
        };
        order(node.0, tag)
    }

    fn command(&self) -> Option<Command> {
        None
    }

    fn has_numbers(&self) -> bool {
        false
    }
}

conformance!(Conforming::start());
