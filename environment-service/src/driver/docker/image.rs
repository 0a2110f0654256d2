//! Images: whether they are there, and the port that they listen on.

use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::TryStreamExt;

use super::DockerDriver;
use super::engine::{EngineError, LOOK, within};
use super::template::Program;
use crate::driver::LaunchError;

/// How long an image may take to come.
const PULL: Duration = Duration::from_secs(900);

impl DockerDriver {
    /// Sees to it that an image is there, and answers the port that what it runs listens on.
    pub(super) async fn get_image(&self, program: &Program<'_>) -> Result<Option<u16>, LaunchError> {
        let client = self.engine.client()?;
        let inspected = match within(LOOK, client.inspect_image(&program.image)).await {
            Err(EngineError::NotFound(_)) => {
                self.pull(&program.image).await?;
                within(LOOK, client.inspect_image(&program.image)).await?
            }
            inspected => inspected?,
        };
        self.exposed().insert(program.image.clone(), exposed(&inspected));
        Ok(self.known_port(program))
    }

    async fn pull(&self, image: &str) -> Result<(), LaunchError> {
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let options = CreateImageOptionsBuilder::default().from_image(name).tag(tag).build();
        let client = self.engine.client()?;
        let pulled = client.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) });
        tracing::info!(image, "an image is not there and is pulled");
        within(PULL, pulled).await.map_err(|error| match error {
            EngineError::Unreachable(_) => error.into(),
            error => {
                let text = format!("the image `{image}` is not there and could not be pulled: {error}");
                LaunchError::Failed(text, error.into())
            }
        })
    }

    /// The port that a program listens on in its container, as far as its image was looked at.
    pub(super) fn known_port(&self, program: &Program<'_>) -> Option<u16> {
        let template = program.template.and_then(|template| template.port);
        template.or_else(|| self.exposed().get(&program.image).copied().flatten())
    }
}

/// The first TCP port that an image exposes.
fn exposed(image: &ImageInspect) -> Option<u16> {
    let ports = image.config.as_ref()?.exposed_ports.as_ref()?;
    let port = |text: &String| {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        port.parse().ok().filter(|_| protocol == "tcp")
    };
    // The engine keeps no order.
    ports.iter().filter_map(port).min()
}
