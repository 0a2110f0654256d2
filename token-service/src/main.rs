//! The token-service as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use lifecycle::Lifecycle;
use token_service::{Config, Login, NewAccount, NewPassword, Role, Service};

/// The authority: accounts, sessions, tokens, introspection.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, env = "PORTCULLIS_TOKEN_SERVICE_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the database to this version, and ends.
    Migrate,
    /// Makes an account, and ends. The password is read from standard input, one line.
    CreateAccount {
        /// What the account signs in with.
        #[arg(long)]
        login: Login,
        /// May make accounts.
        #[arg(long)]
        administrator: bool,
    },
}

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
        None => serve(config).await,
        Some(Command::Migrate) => Ok(token_service::migrate(&config).await?),
        Some(Command::CreateAccount { login, administrator }) => create_account(&config, login, administrator).await,
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("token-service", &config.telemetry)?;
    let lifecycle = Lifecycle::new();
    lifecycle.install_signals()?;
    Service::bind(config, lifecycle.clone()).await?.serve().await?;
    Ok(lifecycle.drained(GRACE).await?)
}

async fn create_account(config: &Config, login: Login, administrator: bool) -> anyhow::Result<()> {
    let line = std::io::read_to_string(std::io::stdin()).context("no password on standard input")?;
    let password = NewPassword::try_from(line.trim_end_matches(['\r', '\n']).to_owned()).context("the password")?;
    let role = if administrator { Role::Administrator } else { Role::Member };
    let name = login.to_string();
    let id = token_service::create_account(config, NewAccount { login, name, password, role }).await?;
    eprintln!("account {id} was created");
    Ok(())
}
