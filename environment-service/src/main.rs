//! The environment-service as a process of its own.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use environment_service::Config;
use lifecycle::Lifecycle;
use storage::Database;

/// Environments, their lifecycle, and the processes that they are.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "environment-service.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the database to this version, and ends.
    Migrate,
    /// Copies the database into a new file, and ends. The service may run meanwhile. Of SQLite only: PostgreSQL has `pg_dump`.
    Backup {
        /// The file.
        file: PathBuf,
    },
    /// Takes the next authority that answers for the one that the accounts are of, and ends. For when it was replaced by another.
    ForgetAuthority,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Config::load(&arguments.config)?;
    match arguments.command {
        Some(Command::Migrate) => return Ok(environment_service::migrate(&config).await?),
        Some(Command::Backup { file }) => return Ok(Database::back_up(&config.database_url, &file).await?),
        Some(Command::ForgetAuthority) => return Ok(environment_service::forget_authority(&config).await?),
        None => {}
    }
    let _telemetry = telemetry::init("environment-service", &config.telemetry)?;
    let lifecycle = Lifecycle::new();
    lifecycle.install_signals()?;
    Ok(environment_service::run(config, lifecycle).await?)
}
