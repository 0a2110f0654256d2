//! The commands of the project: `cargo xtask up`, `check`, `test`, `durability`, `kill-environment-service`, `chaos`, `rolling-restart`, `bench`, `fuzz`, `security`, `book`. It must build fast, so it knows no crate of the workspace.

mod bench;
mod book;
mod chaos;
mod dashboard;
mod durability;
mod fuzz;
mod kill;
mod packages;
mod security;
mod source;
mod steps;
mod test;
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
    Test(test::Arguments),
    /// Kills the authority and its database again and again, and says what was lost.
    Durability(durability::Arguments),
    /// Kills the environment-service in the middle of operations again and again, and looks for what was lost or doubled.
    KillEnvironmentService(kill::Arguments),
    /// Breaks the running system while credentials are revoked, and says what was executed afterwards.
    Chaos(chaos::Arguments),
    /// Starts every service anew, one after the other, under load, and says which calls were lost.
    RollingRestart(chaos::RollingRestart),
    /// Measures what the platform costs, on optimised builds.
    Bench(bench::Arguments),
    /// Looks for inputs that the parsers of what comes from outside do not stand.
    Fuzz(fuzz::Arguments),
    /// Looks at the dependencies: licences, sources, versions, and what was reported of them.
    Security,
    /// Renders the book, and looks whether its links lead somewhere.
    Book,
}

const CHECK: &[Step] = &[packages::STEP, source::FORMAT, source::LINTS, source::UNIT_TESTS];

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let done = Tools::find().and_then(|tools| match command {
        Command::Up(arguments) => up::run(&tools, &arguments),
        Command::Check => steps::run(CHECK, &tools),
        Command::Test(arguments) => steps::run(&test::steps(&arguments), &tools),
        Command::Durability(arguments) => packages::run(&tools).and_then(|()| durability::run(&tools, &arguments)),
        Command::KillEnvironmentService(arguments) => kill::run_test(&tools, &arguments),
        Command::Chaos(arguments) => packages::run(&tools).and_then(|()| chaos::run(&tools, &arguments)),
        Command::RollingRestart(arguments) => {
            packages::run(&tools).and_then(|()| chaos::run_rolling_restart(&tools, &arguments))
        }
        Command::Bench(arguments) => packages::for_benchmarks(&tools).and_then(|()| bench::run(&tools, &arguments)),
        Command::Fuzz(arguments) => fuzz::run(&tools, &arguments),
        Command::Security => steps::run(&[security::STEP], &tools),
        Command::Book => steps::run(&[book::STEP], &tools),
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

    /// What a text has `cargo xtask` do.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let lines = text.split("```sh\n").skip(1).flat_map(|rest| rest.split("```").next().unwrap_or_default().lines());
        let commands = lines.flat_map(|line| line.split(" #").next().unwrap_or_default().split("&&"));
        let arguments = commands.filter_map(|command| command.trim().strip_prefix("cargo xtask "));
        arguments.map(|arguments| arguments.split_whitespace().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn the_commands_of_the_book_are_commands() {
        let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let docs = std::fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
        let texts = docs.chain(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| top.join(name)));
        let mut found = 0;
        for path in texts {
            for arguments in commands(&std::fs::read_to_string(&path).unwrap()) {
                found += 1;
                let line = ["xtask".to_owned()].into_iter().chain(arguments.clone());
                let parsed = Cli::try_parse_from(line);
                assert!(parsed.is_ok(), "{}: cargo xtask {}", path.display(), arguments.join(" "));
            }
        }
        assert!(found > 10, "{found}");
    }

    #[test]
    fn the_tests_can_be_narrowed() {
        let parse = |line: &[&str]| match Cli::try_parse_from(line).unwrap().command {
            Command::Test(arguments) => test::steps(&arguments).len(),
            _ => panic!("another command"),
        };
        assert_eq!(parse(&["xtask", "test"]), 12);
        assert_eq!(parse(&["xtask", "test", "--browser"]), 4);
        assert_eq!(parse(&["xtask", "test", "--docker"]), 3);
        assert_eq!(parse(&["xtask", "test", "--compose"]), 3);
        assert_eq!(parse(&["xtask", "test", "--kubernetes", "--clients"]), 5);
        assert!(Cli::try_parse_from(["xtask", "test", "--podman"]).is_err());
    }

    #[test]
    fn the_long_commands_pass_everything_on() {
        let line = ["xtask", "durability", "--kills", "50", "--engine", "both"];
        let Command::Durability(arguments) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command")
        };
        assert_eq!(arguments.arguments, line[2..]);
        let line = ["xtask", "bench", "--only", "authority", "--json", "numbers.json"];
        let Command::Bench(arguments) = Cli::try_parse_from(line).unwrap().command else { panic!("another command") };
        assert_eq!(arguments.arguments, line[2..]);
    }

    #[test]
    fn kills_are_counted() {
        let parse = |line: &[&str]| Cli::try_parse_from(line);
        assert!(parse(&["xtask", "rolling-restart", "--calls", "100000"]).is_ok());
        assert!(parse(&["xtask", "kill-environment-service", "--kills", "50"]).is_ok());
        assert!(parse(&["xtask", "kill-environment-service", "--kills", "50", "--driver", "docker"]).is_ok());
        assert!(parse(&["xtask", "kill-environment-service", "--driver", "jails"]).is_err());
        assert!(parse(&["xtask", "kill-environment-service", "--kills", "0"]).is_err());
    }

    #[test]
    fn fuzzing_takes_its_time_or_one_input() {
        let parse = |line: &[&str]| Cli::try_parse_from(line);
        assert!(parse(&["xtask", "fuzz", "--seconds", "60"]).is_ok());
        assert!(parse(&["xtask", "fuzz", "--again", "target/fuzz/artifacts/parameters/crash-1"]).is_ok());
        assert!(parse(&["xtask", "fuzz", "--seconds", "0"]).is_err());
        assert!(parse(&["xtask", "fuzz", "--seconds", "60", "--again", "file"]).is_err());
        assert!(parse(&["xtask", "security"]).is_ok() && parse(&["xtask", "book"]).is_ok());
    }

    #[test]
    fn chaos_passes_on_what_is_not_its_own() {
        for (line, release) in [
            (&["xtask", "chaos", "--revocations", "20000"][..], false),
            (&["xtask", "chaos", "--release", "--availability", "1000000"], true),
        ] {
            let Command::Chaos(arguments) = Cli::try_parse_from(line).unwrap().command else {
                panic!("another command")
            };
            assert_eq!((arguments.release, arguments.arguments.len()), (release, 2));
        }
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
