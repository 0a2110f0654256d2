//! The commands of the project: `cargo xtask up`, `check`, `test`. It must build fast, so it knows no crate of the workspace.

mod packages;
mod source;
mod steps;
mod tools;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::steps::Step;
use crate::tools::Tools;

/// The commands of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the whole system and starts it in one process.
    Up(up::Arguments),
    /// A quick look before a commit: format, lints, unit tests.
    Check,
    /// Everything that checks the project. Installs what is missing where it may (root on Debian).
    Test,
}

const CHECK: &[Step] = &[packages::STEP, source::FORMAT, source::LINTS, source::UNIT_TESTS];

// The end-to-end tests start the binaries, which `cargo test` alone would not build.
const TEST: &[Step] = &[packages::STEP, source::FORMAT, source::LINTS, source::BINARIES, source::ALL_TESTS];

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let done = Tools::find().and_then(|tools| match command {
        Command::Up(arguments) => up::run(&tools, &arguments),
        Command::Check => steps::run(CHECK, &tools),
        Command::Test => steps::run(TEST, &tools),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn up_passes_on_what_is_not_its_own() {
        for (line, release, passed) in [
            (&["xtask", "up"][..], false, &[][..]),
            (&["xtask", "up", "--release"], true, &[]),
            (&["xtask", "up", "--release", "--data-dir", "d", "--release"], true, &["--data-dir", "d", "--release"]),
            (&["xtask", "up", "--listen", "127.0.0.1:0"], false, &["--listen", "127.0.0.1:0"]),
        ] {
            let Command::Up(arguments) = Cli::try_parse_from(line).unwrap().command else { panic!("another command") };
            assert_eq!(arguments, up::Arguments { release, arguments: passed.iter().map(Into::into).collect() });
        }
    }
}
