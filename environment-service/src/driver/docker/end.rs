//! How containers are stopped and removed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{
    ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::future::try_join_all;
use tokio::time::Instant;

use super::DockerDriver;
use super::engine::{CHANGE, EngineError, LOOK, done, within};
use super::label::{self, Target};
use crate::domain::{Environment, Launch};
use crate::driver::{ClearError, EndError};

/// The longest grace that Compose gives a container whose time is not ours to say.
const COMPOSE_GRACE: Duration = Duration::from_secs(600);
/// How often it is looked whether a container is gone that the engine is removing.
const REMOVAL: Duration = Duration::from_millis(50);

impl DockerDriver {
    pub(super) async fn end(&self, launches: &[Launch]) -> Result<(), EndError> {
        let targets: Vec<Target> = launches.iter().map(|launch| self.target(launch)).collect();
        // What has an id needs not be looked for.
        let looked: Vec<Target> =
            targets.iter().filter(|target| !matches!(target, Target::Container(_))).cloned().collect();
        let containers = self.candidates(&looked).await?;
        let id = |target: &Target| match target {
            Target::Container(id) => Some(id.clone()),
            target => containers.iter().find(|container| target.is(container)).and_then(|found| found.id.clone()),
        };
        let stops = targets.iter().filter_map(|target| Some(self.stop(id(target)?, target)));
        try_join_all(stops).await?;
        let mut attempts = self.attempts();
        for launch in launches {
            attempts.remove(&launch.id);
        }
        Ok(())
    }

    /// Stops a container: when the engine answers, it has ended.
    async fn stop(&self, id: String, target: &Target) -> Result<(), EngineError> {
        let seconds = self.stop_grace.as_millis().div_ceil(1000);
        // How long one of Compose's may take is in its own file.
        let (options, time) = match target {
            Target::Compose(_) => (None, COMPOSE_GRACE),
            _ => {
                let grace = i32::try_from(seconds).unwrap_or(i32::MAX);
                (Some(StopContainerOptionsBuilder::default().t(grace).build()), self.stop_grace)
            }
        };
        let client = self.engine.client()?;
        done(within(time + CHANGE, client.stop_container(&id, options)).await)
    }

    pub(super) async fn clear(&self, environment: &Environment) -> Result<(), ClearError> {
        if environment.adopted.is_some() {
            return Ok(());
        }
        let label = label::of_environment(environment.id);
        let containers = self.engine.list(std::slice::from_ref(&label)).await?;
        for container in containers.iter().filter(|container| label::is_ours(container)) {
            self.remove(container.id.as_deref().unwrap_or_default()).await?;
        }
        let client = self.engine.client()?;
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        for network in within(LOOK, client.list_networks(Some(options))).await? {
            done(within(CHANGE, client.remove_network(network.id.as_deref().unwrap_or_default())).await)?;
        }
        Ok(())
    }

    /// Removes a container, running or not, and the volumes that are its alone.
    pub(super) async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let client = self.engine.client()?;
        match within(CHANGE, client.remove_container(id, Some(options))).await {
            // The engine is about to do so already: a service that was killed had asked for it.
            Err(EngineError::Conflict(_)) => self.removed(&client, id).await,
            removed => done(removed),
        }
    }

    /// Waits until a container that is being removed is gone.
    async fn removed(&self, client: &Docker, id: &str) -> Result<(), EngineError> {
        let deadline = Instant::now() + CHANGE;
        loop {
            match within(LOOK, client.inspect_container(id, None)).await {
                Err(EngineError::NotFound(_)) => return Ok(()),
                Err(error) => return Err(error),
                Ok(_) if Instant::now() >= deadline => return Err(EngineError::Late(CHANGE)),
                Ok(_) => tokio::time::sleep(REMOVAL).await,
            }
        }
    }
}
