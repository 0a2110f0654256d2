use std::path::Path;

use anyhow::Context;

use crate::arguments::{MigratedService, ServiceName};
use crate::output;

/// Says whether a service would start with a configuration, as far as that can be said without the others.
pub(super) fn check(service: ServiceName, file: &Path) -> anyhow::Result<()> {
    let checked = match service {
        ServiceName::TokenService => check_token_service(file),
        ServiceName::EnvironmentService => check_environment_service(file),
        ServiceName::ApiGateway => check_api_gateway(file),
    };
    checked.with_context(|| format!("{} cannot be used", file.display()))?;
    Ok(output::line(&format!("{} can be used", file.display()))?)
}

fn check_token_service(file: &Path) -> anyhow::Result<()> {
    Ok(token_service::Config::load(file)?.check_files()?)
}

fn check_environment_service(file: &Path) -> anyhow::Result<()> {
    Ok(environment_service::Config::load(file)?.check_files()?)
}

fn check_api_gateway(file: &Path) -> anyhow::Result<()> {
    Ok(api_gateway::Config::load(file)?.check_files()?)
}

/// Brings a service's database to this version.
pub(super) async fn migrate(service: MigratedService, file: &Path) -> anyhow::Result<()> {
    match service {
        MigratedService::TokenService => token_service::migrate(&token_service::Config::load(file)?).await?,
        MigratedService::EnvironmentService => {
            environment_service::migrate(&environment_service::Config::load(file)?).await?;
        }
    }
    Ok(output::line("the database is of this version")?)
}
