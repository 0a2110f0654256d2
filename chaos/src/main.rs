//! Breaks the running system again and again while credentials are revoked, and says what was executed afterwards.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chaos::{History, Renewal, Report, Run, Shape, Steady, run, steady};
use clap::{ArgGroup, Parser};

/// Breaks the running system again and again while credentials are revoked, and says what was executed afterwards.
#[derive(Parser)]
#[command(name = "cargo xtask chaos", group = ArgGroup::new("what").required(true))]
struct Arguments {
    /// How many revocations have to be confirmed, under faults.
    #[arg(long, group = "what", value_parser = clap::value_parser!(u32).range(1..))]
    revocations: Option<u32>,
    /// How many calls under valid tokens have to succeed, without faults; the authority's replicas are renewed in the middle.
    #[arg(long, group = "what", value_parser = clap::value_parser!(u32).range(1..))]
    availability: Option<u32>,
    /// How many calls under valid tokens have to succeed while every service is renewed, one after the other, in the middle.
    #[arg(long, group = "what", value_parser = clap::value_parser!(u32).range(1..))]
    rolling_restart: Option<u32>,
    /// Decides what is called, revoked and broken.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long a lease is, in milliseconds; faults are made to its measure. Default: 1000 with faults; without them 3000, as the
    /// authority has it by default.
    #[arg(long, value_parser = clap::value_parser!(u64).range(500..=60_000))]
    lease_ms: Option<u64>,
    /// Tells each holder of one replica of the authority, and not of every.
    #[arg(long)]
    one_authority: bool,
    /// After how many minutes it is given up.
    #[arg(long, default_value_t = 60)]
    at_most: u64,
    /// Also writes all that was done, as JSON.
    #[arg(long)]
    history: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    testkit::until_interrupted(run_all(&arguments)).await
}

/// Whether all was as it must be.
#[expect(clippy::print_stdout, reason = "it is what the command is for")]
async fn run_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let (seed, at_most) = (arguments.seed, Duration::from_secs(60 * arguments.at_most));
    let usual = match arguments {
        Arguments { rolling_restart: Some(_), .. } => Shape::DIRECT,
        Arguments { availability: Some(_), .. } => Shape::UNDISTURBED,
        _ => Shape::default(),
    };
    let lease = arguments.lease_ms.map_or(usual.lease, Duration::from_millis);
    let shape = Shape { several_authorities: !arguments.one_authority, lease, ..usual };
    if let Some(calls) = arguments.availability.or(arguments.rolling_restart) {
        let renewal = match arguments {
            Arguments { rolling_restart: Some(_), .. } => Renewal::Everything,
            Arguments { one_authority: true, .. } => Renewal::Nothing,
            _ => Renewal::Authorities,
        };
        let run = Steady { calls: usize::try_from(calls)?, renewal, seed, shape, at_most };
        let availability = steady(&run).await?;
        print!("{availability}");
        return Ok(availability.failed == 0);
    }
    let revocations = usize::try_from(arguments.revocations.unwrap_or_default())?;
    let history = run(&Run { revocations, seed, shape, at_most }).await?;
    if let Some(file) = &arguments.history {
        write(&history, file).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let report = Report::of(&history);
    print!("{report}");
    anyhow::ensure!(report.shows_something(), "no call was made after a confirmation: nothing is shown");
    Ok(report.executed_after_confirmation() == 0)
}

fn write(history: &History, file: &PathBuf) -> anyhow::Result<()> {
    let mut writer = BufWriter::new(File::create(file)?);
    serde_json::to_writer(&mut writer, history)?;
    Ok(writer.flush()?)
}
