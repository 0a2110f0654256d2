//! What the platform costs, measured: each number is a ratio against a yardstick of the same run, or an amount with a goal.

mod authority;
mod dashboard;
mod environments;
mod hot_path;
mod measure;
mod overload;
mod population;
mod report;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::report::Measured;

/// Measures what the platform costs, on optimised builds.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Only these. All, where none is named.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Also writes the numbers to this file, as one JSON object.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The token-service by itself.
    Authority,
    /// What every call goes through: gateway, introspection, revocation; and what it keeps in memory.
    HotPath,
    /// The environment-service by itself: what it adds to starts and stops, and a thousand environments.
    Environments,
    /// The dashboard, in a browser.
    Dashboard,
    /// Twice as many calls as the platform can take.
    Overload,
}

impl Part {
    async fn measure(self) -> anyhow::Result<Vec<Measured>> {
        match self {
            Self::Authority => authority::measure().await,
            Self::HotPath => hot_path::measure().await,
            Self::Environments => environments::measure().await,
            Self::Dashboard => dashboard::measure().await,
            Self::Overload => overload::measure().await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Ctrl-C lets go of everything in its order, so that nothing is left behind.
    let done = tokio::select! {
        done = run(&arguments) => done,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is what the command is for")]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    let parts = if arguments.only.is_empty() { Part::value_variants() } else { arguments.only.as_slice() };
    let mut measured = Vec::new();
    for part in parts {
        measured.extend(part.measure().await?);
    }
    print!("{}", report::table(&measured));
    if let Some(file) = &arguments.json {
        let json = serde_json::to_string_pretty(&report::json(&measured))?;
        std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
