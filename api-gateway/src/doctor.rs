//! Whether everything is there that the gateway needs, and as it should be.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use settings::Finding;

use crate::Config;
use crate::authority::Authority;
use crate::server::AUTHORITY;
use crate::upstream::{Upstreams, services};

/// How long each service may take to say that it serves.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many files are open besides connections.
const OTHER_FILES: u64 = 256;

#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("{0} is {1}")]
    NotServing(&'static str, String),
    #[error("max_connections is {0}, and this process may open {1} files: raise its limit (`ulimit -n`) to {needed}", needed = *.0 as u64 + OTHER_FILES)]
    Files(usize, u64),
}

/// Looks at what a configuration names: files, authority, services, the limit of open files. Nothing is started.
pub async fn doctor(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::of("files", config.check_files().map(|()| "the key can be read".to_owned()))];
    findings.push(Finding::of("open files", open_files(config.max_connections)));
    let all = config.upstream_certificates().and_then(|certificates| services(config, certificates.as_ref()));
    let (key, all) = match (config.service_key(), all) {
        (Ok(key), Ok(all)) => (key, all),
        (Err(error), _) | (_, Err(error)) => {
            findings.push(Finding::of("services", Err(error)));
            return findings;
        }
    };
    if let Some(replicas) = all.0.get(AUTHORITY) {
        let authority = Authority::new(replicas.clone(), &key, config.introspection_timeout.unsigned_abs());
        let ready = authority.ready().await.map(|()| "answers to this gateway's key".to_owned());
        findings.push(Finding::of("authority", ready));
    }
    let upstreams = Upstreams::new(all, AUTHORITY, &key);
    let silent = upstreams.not_serving(PATIENCE).await;
    let serving = match silent.into_iter().next() {
        Some((name, reason)) => Err(Flaw::NotServing(name, reason)),
        None => Ok("all of them serve".to_owned()),
    };
    findings.push(Finding::of("services", serving));
    findings
}

fn open_files(connections: usize) -> Result<String, Flaw> {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if most < connections as u64 + OTHER_FILES {
        return Err(Flaw::Files(connections, most));
    }
    Ok(format!("enough for {connections} connections"))
}
