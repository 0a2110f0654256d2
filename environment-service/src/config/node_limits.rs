use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigError;
use crate::driver::{Bounding, BoundingSettings};

/// Whether nodes that are processes are held to their cloudlets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Enforce {
    /// As far as the machine lets this service; what it does not is told when the service starts.
    #[default]
    Auto,
    /// Memory, processors and processes, or the service does not start.
    Required,
    /// Not at all.
    Off,
}

/// How nodes that are processes are held to their cloudlets: by control groups of the kernel (cgroup v1 and v2).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeLimits {
    /// Whether they are: `auto`, `required` or `off`. Default: `auto`.
    pub enforce: Enforce,
    /// The group that the nodes' groups are made in, named as `/proc/PID/cgroup` does it: `/portcullis`. It is there, and this service's
    /// user may make groups in it. Default: the group that the service is started in.
    pub cgroup: Option<PathBuf>,
    /// How many processes and threads a node may have: 16 to 1,000,000. Default: 512.
    pub max_processes: u64,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { enforce: Enforce::Auto, cgroup: None, max_processes: 512 }
    }
}

impl NodeLimits {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let value = |fits: bool, key, allowed| if fits { Ok(()) } else { Err(ConfigError::Value { key, allowed }) };
        let absolute = self.cgroup.as_ref().is_none_or(|group| group.is_absolute());
        value(absolute, "node_limits.cgroup", "the name of a control group, which begins with a slash")?;
        let processes = (16..=1_000_000).contains(&self.max_processes);
        value(processes, "node_limits.max_processes", "16 to 1,000,000")
    }

    pub(crate) fn settings(&self) -> BoundingSettings {
        let bounding = match self.enforce {
            Enforce::Auto => Bounding::WherePossible,
            Enforce::Required => Bounding::Required,
            Enforce::Off => Bounding::Off,
        };
        BoundingSettings { bounding, parent: self.cgroup.clone(), processes: self.max_processes }
    }
}
