use std::path::Path;

use anyhow::Context;

use crate::arguments::ServiceName;
use crate::output;

/// Says whether a service would start with a configuration, as far as that can be said without the others.
pub(super) fn check(service: ServiceName, file: &Path) -> anyhow::Result<()> {
    let checked = match service {
        ServiceName::TokenService => check_token_service(file).map(|()| Vec::new()),
        ServiceName::EnvironmentService => check_environment_service(file).map(|()| Vec::new()),
        ServiceName::ApiGateway => check_api_gateway(file),
    };
    for line in checked.with_context(|| format!("{} cannot be used", file.display()))? {
        output::line(&line)?;
    }
    Ok(output::line(&format!("{} can be used", file.display()))?)
}

fn check_token_service(file: &Path) -> anyhow::Result<()> {
    Ok(token_service::Config::load(file)?.check_files()?)
}

fn check_environment_service(file: &Path) -> anyhow::Result<()> {
    Ok(environment_service::Config::load(file)?.check_files()?)
}

/// Tells the limits that count, the defaults among them: what is not written is the easiest to be wrong about.
fn check_api_gateway(file: &Path) -> anyhow::Result<Vec<String>> {
    let config = api_gateway::Config::load(file)?;
    config.check_files()?;
    Ok(config.limits().map(|(key, limit)| format!("{key} = {limit}")).collect())
}
