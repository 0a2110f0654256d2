//! The token-service as a process of its own.

mod arguments;
mod operate;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, Command};
use clap::Parser;
use lifecycle::Lifecycle;
use storage::Database;
use token_service::{Config, Service};

/// How long accepted calls may take when the service is told to stop.
const GRACE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config)?;
    match arguments.command {
        Some(Command::Migrate) => return Ok(token_service::migrate(&config).await?),
        Some(Command::Backup { file }) => return Ok(Database::back_up(&config.database_url, &file).await?),
        Some(Command::Restored) => return Ok(token_service::restored(&config).await?),
        Some(Command::CreateAccount(account)) => return operate::create_account(&config, account).await,
        Some(Command::SetPassword { login }) => return operate::set_password(&config, &login).await,
        Some(Command::ResetSecondFactor { login }) => return operate::reset_second_factor(&config, &login).await,
        Some(Command::RotateSigningKey { lead }) => return operate::rotate_signing_key(&config, lead).await,
        Some(Command::ResetSigningKeys) => return operate::reset_signing_keys(&config).await,
        None => {}
    }
    let _telemetry = telemetry::init("token-service", &config.telemetry)?;
    let lifecycle = Lifecycle::new();
    lifecycle.install_signals()?;
    Service::bind(config, lifecycle.clone()).await?.serve().await?;
    Ok(lifecycle.drained(GRACE).await?)
}
