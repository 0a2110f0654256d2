//! The api-gateway as a process of its own.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use api_gateway::{Config, Gateway};
use clap::Parser;
use lifecycle::Lifecycle;

/// Each call makes and drops many small pieces of memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// REST in, gRPC out.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, env = "PORTCULLIS_API_GATEWAY_CONFIG")]
    config: PathBuf,
}

/// How long accepted calls may take when the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(60);

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
    let _telemetry = telemetry::init("api-gateway", &config.telemetry)?;
    let lifecycle = Lifecycle::new();
    lifecycle.install_signals()?;
    Gateway::bind(config, lifecycle.clone()).await?.serve().await?;
    Ok(lifecycle.drained(GRACE).await?)
}
