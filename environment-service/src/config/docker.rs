use std::collections::HashSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigError;
use crate::domain::ImagePattern;
use crate::driver::{ComposeProject, DockerSettings, DockerTemplate, Restart};

/// The Docker engine on which nodes are run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DockerConfig {
    /// Where it listens: `unix://` and a path. Default: `unix:///var/run/docker.sock`.
    #[serde(default = "default_socket")]
    pub socket: String,
    /// The images that callers may run, by name without version; `*` stands for any characters but a slash. Default: none.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub images: Vec<ImagePattern>,
    /// Whether a node of such an image that has ended by itself is launched again, and one that ended with the engine: `always` or
    /// `never`. Default: `never`.
    #[serde(default)]
    pub restart: Restart,
    /// What nodes can run besides.
    #[serde(default, rename = "template")]
    pub templates: Vec<DockerTemplate>,
    /// The Docker Compose projects on the engine that are accounts' environments. Default: none.
    #[serde(default)]
    pub compose: Vec<ComposeProject>,
}

fn default_socket() -> String {
    "unix:///var/run/docker.sock".to_owned()
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            socket: default_socket(),
            images: Vec::new(),
            restart: Restart::Never,
            templates: Vec::new(),
            compose: Vec::new(),
        }
    }
}

impl DockerConfig {
    /// What the driver is told.
    pub(crate) fn settings(&self, stop_grace: Duration) -> DockerSettings {
        DockerSettings {
            socket: self.socket.clone(),
            stop_grace,
            images: self.images.iter().cloned().collect(),
            restart: self.restart,
            templates: self.templates.clone(),
            compose: self.compose.clone(),
        }
    }

    /// Looks whether each value is what it may be. The names of templates are those of all drivers.
    pub(super) fn validate(&self, names: &mut HashSet<String>) -> Result<(), ConfigError> {
        let value = |fits: bool, key, allowed| if fits { Ok(()) } else { Err(ConfigError::Value { key, allowed }) };
        let path = self.socket.strip_prefix("unix://");
        value(path.is_some_and(|path| path.starts_with('/')), "docker.socket", "`unix://` and an absolute path")?;
        for template in &self.templates {
            let name = template.name.clone();
            template.validate().map_err(|source| ConfigError::Template { name, source })?;
            if !names.insert(template.name.clone()) {
                return Err(ConfigError::TemplateTwice(template.name.clone()));
            }
        }
        let mut projects = HashSet::new();
        for given in &self.compose {
            value(!given.project.is_empty(), "docker.compose.project", "a project's name, or `*` for all others")?;
            value(given.account > 0, "docker.compose.account", "an account's number")?;
            value(projects.insert(&given.project), "docker.compose.project", "there once for each project")?;
        }
        Ok(())
    }
}
