//! Whether everything is there that the service needs, and as it should be.

use std::io;
use std::path::{Path, PathBuf};

use access::{KeyRing, Replicas};
use lifecycle::{Clock, Lifecycle};
use rustix::fs::{Access, access};
use settings::Finding;
use storage::{Database, DatabaseOptions};
use tls::Connector;

use crate::Config;
use crate::driver::{DockerDriver, Driver, KubernetesDriver};
use crate::grpc::AuthorityKeys;
use crate::service::AUTHORITY;
use crate::store::MIGRATIONS;

#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("{} cannot be used", .0.display())]
    Path(PathBuf, #[source] io::Error),
    #[error("template {0:?}: {1:?} is not found")]
    Program(String, String),
}

/// Looks at what a configuration names: files, database, authority, and what runs nodes. Nothing is changed; a file of SQLite that
/// is not there is not made.
pub async fn doctor(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::of("files", config.check_files().map(|()| "the key can be read".to_owned()))];
    database(config, &mut findings).await;
    findings.push(authority(config).await);
    findings.push(Finding::of("data folder", data_folder(&config.data_dir)));
    findings.push(Finding::of("templates", templates(config)));
    if let Some(docker) = &config.docker {
        let lifecycle = Lifecycle::new();
        match DockerDriver::open(docker.settings(config.stop_grace()), &lifecycle) {
            Ok(driver) => findings.push(driven("Docker", &driver).await),
            Err(error) => findings.push(Finding::of("Docker", Err(error))),
        }
        lifecycle.abort();
    }
    if let Some(kubernetes) = &config.kubernetes {
        let lifecycle = Lifecycle::new();
        let opened = match kubernetes.settings(config.stop_grace()) {
            Ok(settings) => KubernetesDriver::open(settings, &lifecycle).await,
            Err(error) => {
                findings.push(Finding::of("Kubernetes", Err(error)));
                return findings;
            }
        };
        match opened {
            Ok(driver) => findings.push(driven("Kubernetes", &driver).await),
            Err(error) => findings.push(Finding::of("Kubernetes", Err(error))),
        }
        lifecycle.abort();
    }
    findings
}

async fn database(config: &Config, findings: &mut Vec<Finding>) {
    match Database::open_existing(&config.database_url, &DatabaseOptions::default()).await {
        Ok(database) => {
            findings.push(Finding { what: "database", found: Ok(format!("{} answers", config.database_url)) });
            let schema = database.check_schema(&MIGRATIONS).await;
            findings.push(Finding::of("schema", schema.map(|()| "is of this version".to_owned())));
            database.close().await;
        }
        Err(error) => findings.push(Finding::of("database", Err(error))),
    }
}

/// Whether the authority answers to this service's key.
async fn authority(config: &Config) -> Finding {
    let replicas = config.certificates().and_then(|certificates| {
        let connector = Connector::to(certificates, AUTHORITY);
        Ok(Replicas::new(config.authority()?, connector))
    });
    let (replicas, key) = match (replicas, config.service_key()) {
        (Ok(replicas), Ok(key)) => (replicas, key),
        (Err(error), _) | (_, Err(error)) => return Finding::of("authority", Err(error)),
    };
    let keys = AuthorityKeys::new(replicas, &key, KeyRing::default(), Clock::system());
    let fetched = keys.fetch().await;
    Finding::of("authority", fetched.map(|()| "answers to this service's key".to_owned()))
}

/// What a driver can see of what it runs. An engine that does not answer says why.
async fn driven(what: &'static str, driver: &dyn Driver) -> Finding {
    let seen = driver.discover().await;
    Finding::of(what, seen.map(|seen| format!("answers; {} environments were there before", seen.found.len())))
}

fn data_folder(folder: &Path) -> Result<String, Flaw> {
    let flaw = |error: rustix::io::Errno| Flaw::Path(folder.to_owned(), error.into());
    if !folder.exists() {
        return Ok(format!("{} is made at the first start", folder.display()));
    }
    access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).map_err(flaw)?;
    Ok(format!("{} can be written", folder.display()))
}

/// Whether what templates run is there. A name without a folder is looked for where `PATH` says.
fn templates(config: &Config) -> Result<String, Flaw> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for template in &config.templates {
        let Some(program) = template.command.first() else { continue };
        let can_be_run = |file: &Path| file.is_file() && access(file, Access::EXEC_OK).is_ok();
        let found = match program.contains('/') {
            true => can_be_run(Path::new(program)),
            false => std::env::split_paths(&path).any(|folder| can_be_run(&folder.join(program))),
        };
        if !found {
            return Err(Flaw::Program(template.name.to_string(), program.clone()));
        }
    }
    Ok(format!("{}, of programs that are there", config.templates.len()))
}
