//! Kills the authority and its database again and again, and says what was lost.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use durability::{Report, Run, Victim, run};

/// Kills the authority and its database again and again, and says what was lost.
#[derive(Parser)]
#[command(name = "cargo xtask durability")]
struct Arguments {
    /// How many kills of each kind: the service on each engine, and PostgreSQL itself.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// On which engine.
    #[arg(long, value_enum, default_value_t = Engine::Both)]
    engine: Engine,
    /// What the writers do and when the kills come.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
    Both,
}

impl Engine {
    fn victims(self) -> &'static [Victim] {
        match self {
            Self::Sqlite => &[Victim::ServiceOnSqlite],
            Self::Postgres => &[Victim::ServiceOnPostgres, Victim::Postgres],
            Self::Both => &[Victim::ServiceOnSqlite, Victim::ServiceOnPostgres, Victim::Postgres],
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    testkit::until_interrupted(run_all(&arguments)).await
}

/// Whether nothing was lost.
#[expect(clippy::print_stdout, reason = "it is what the command is for")]
async fn run_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut sound = true;
    for victim in arguments.engine.victims() {
        let report = run(&Run { victim: *victim, kills: arguments.kills, seed: arguments.seed }).await?;
        println!("{victim} {} times, seed {}:", arguments.kills, arguments.seed);
        print!("{}", shown(&report));
        sound &= report.is_sound();
    }
    Ok(sound)
}

fn shown(report: &Report) -> String {
    let faults: String = report.faults.iter().map(|fault| format!("  FAULT {fault}\n")).collect();
    format!(
        "  acknowledged {}, found {}, lost {}; unanswered: {} made as a whole, {} not made\n{faults}",
        report.acknowledged, report.found, report.lost, report.unanswered_made, report.unanswered_not_made
    )
}
