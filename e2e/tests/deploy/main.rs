//! What is in `deploy` for operators: that a cluster takes the manifests, that services take the configurations with the secrets that are made
//! for them, and that dashboards and alerts ask for metrics that there are.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod cluster;
mod configurations;
mod manifest;
mod metrics;
mod monitoring;

use std::path::PathBuf;

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
