use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use settings::Finding;

use crate::arguments::{MigratedService, Output, ServiceName};
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

/// Says of each thing that a service needs whether it is there and as it should be.
pub(super) async fn doctor(output: Output, service: ServiceName, file: &Path) -> anyhow::Result<()> {
    let findings = match service {
        ServiceName::TokenService => token_service::doctor(&token_service::Config::load(file)?).await,
        ServiceName::EnvironmentService => environment_service::doctor(&environment_service::Config::load(file)?).await,
        ServiceName::ApiGateway => api_gateway::doctor(&api_gateway::Config::load(file)?).await,
    };
    let failed = findings.iter().filter(|finding| finding.found.is_err()).count();
    let text = match output {
        Output::Json => {
            json!({ "failed": failed, "findings": findings.iter().map(as_json).collect::<Vec<_>>() }).to_string()
        }
        Output::Text => findings.iter().map(as_line).collect::<Vec<_>>().join("\n"),
    };
    output::line(&text)?;
    ensure!(failed == 0, "{failed} of {} are not as they should be", findings.len());
    Ok(())
}

fn as_json(finding: &Finding) -> Value {
    let (ok, text) = outcome(finding);
    json!({ "what": finding.what, "ok": ok, "found": text })
}

fn as_line(finding: &Finding) -> String {
    let (ok, text) = outcome(finding);
    format!("{:<6}  {:<14}  {text}", if ok { "ok" } else { "FAILED" }, finding.what)
}

fn outcome(finding: &Finding) -> (bool, &str) {
    match &finding.found {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    }
}
