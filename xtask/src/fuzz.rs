//! Fuzzing by libFuzzer on the stable toolchain: what cargo-fuzz passes to the compiler, without a sanitizer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::packages;
use crate::steps::Step;
use crate::tools::{self, Tools, output};

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// How long inputs are looked for, in all.
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u64).range(3..))]
    seconds: u64,
    /// Tries one input again, which an earlier run has put into `target/fuzz/artifacts`.
    #[arg(long, value_name = "FILE", conflicts_with = "seconds")]
    again: Option<PathBuf>,
}

pub(crate) const STEP: Step =
    Step { name: "fuzz", run: |tools| run(tools, &Arguments { seconds: SECONDS, again: None }) };

const SECONDS: u64 = 60;

/// The programs, each with its folder in `fuzz/corpus` and its words in `fuzz/dictionaries`.
const TARGETS: [&str; 3] = ["parameters", "credentials", "transcoder"];

/// Whatever is compiled counts which of its edges were taken and says what it compares, for libFuzzer to go by.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Cargo's folder for this build alone: nothing that is compiled so fits any other.
const FOLDER: &str = "target/fuzz";

/// Builds the targets and looks for inputs for which something does not hold.
pub(crate) fn run(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    packages::for_fuzzing(tools)?;
    let programs = build(tools)?;
    if let Some(input) = &arguments.again {
        let input = fs::canonicalize(input).with_context(|| format!("{} cannot be read", input.display()))?;
        return tools::run(tools.command_at(&programs.join(target_of(&input)?)).arg(&input));
    }
    let seconds = arguments.seconds / TARGETS.len() as u64;
    let mut found = Vec::new();
    for target in TARGETS {
        let log = look(tools, &programs.join(target), target, seconds)?;
        eprintln!("  {target:12} {}", log.summary());
        if let Some(input) = log.found() {
            eprintln!("{}", log.end());
            found.push(input.to_owned());
        }
    }
    let again = found.iter().map(|input| format!("\n  cargo xtask fuzz --again {input}")).collect::<String>();
    ensure!(
        found.is_empty(),
        "something does not hold for an input; to try it again:{again}\nWhen it is mended, the input goes to `fuzz/corpus`, under a name that says what it is"
    );
    Ok(())
}

/// Compiles everything anew that the targets are of, and says where the programs are.
fn build(tools: &Tools) -> anyhow::Result<PathBuf> {
    let told = output(&mut tools.command("rustc", &["-vV"]))?;
    let told = String::from_utf8(told).context("rustc says what is no text")?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not name its host")?;
    // With a target that is named, what runs while compiling is left without coverage.
    let line = ["build", "--package", "fuzz", "--bins", "--features", "libfuzzer", "--profile", "fuzz"];
    let mut cargo = tools.cargo(&line);
    cargo.args(["--target", host, "--target-dir", FOLDER]).env("RUSTFLAGS", COVERAGE);
    tools::run(cargo.env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(tools.path(FOLDER).join(host).join("fuzz"))
}

/// The target that an input is for, by the folder that it is in.
fn target_of(input: &Path) -> anyhow::Result<&'static str> {
    let folder = input.parent().and_then(Path::file_name);
    let target = TARGETS.into_iter().find(|target| folder.is_some_and(|folder| folder == *target));
    target.with_context(|| format!("{} is in no folder of {}", input.display(), TARGETS.join(", ")))
}

/// Runs a target for so long, or until it has found something.
fn look(tools: &Tools, program: &Path, target: &str, seconds: u64) -> anyhow::Result<Log> {
    let [kept, artifacts] = ["corpus", "artifacts"].map(|name| format!("{FOLDER}/{name}/{target}"));
    let seeds = format!("fuzz/corpus/{target}");
    let logs = format!("{FOLDER}/logs");
    for folder in [&kept, &artifacts, &logs] {
        fs::create_dir_all(tools.path(folder)).with_context(|| format!("{folder} cannot be made"))?;
    }
    let path = tools.path(&format!("{logs}/{target}.log"));
    let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut command = tools.command_at(program);
    // What is new is kept in the first folder; the seeds stay as they are.
    command.args([&kept, &seeds]).args([
        format!("-max_total_time={seconds}"),
        format!("-dict=fuzz/dictionaries/{target}.dict"),
        format!("-artifact_prefix={artifacts}/"),
    ]);
    command.args(["-timeout=10", "-use_value_profile=1", "-print_final_stats=1"]);
    let status = command.stdout(file.try_clone()?).stderr(file).status();
    let status = status.with_context(|| format!("{} cannot be started", program.display()))?;
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    let log = Log(text);
    if !status.success() && log.found().is_none() {
        bail!("the target `{target}` has failed ({status}):\n{}", log.end());
    }
    Ok(log)
}

/// What libFuzzer has printed.
struct Log(String);

impl Log {
    /// The input that it stopped at, by its path from the workspace's folder.
    fn found(&self) -> Option<&str> {
        self.0.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path.trim()))
    }

    fn summary(&self) -> String {
        let count = |name: &str| {
            let mut lines = self.0.lines().rev();
            lines.find_map(|line| line.strip_prefix(name)).map_or("?", str::trim)
        };
        let last = self.0.lines().rev().find(|line| line.contains(" cov: ")).unwrap_or_default();
        let word = |name: &str| {
            let mut words = last.split_whitespace().skip_while(|word| *word != name);
            words.nth(1).map_or("?", |word| word.split('/').next().unwrap_or(word))
        };
        let all = self.0.lines().find_map(|line| line.split_once(" PC tables (").map(|(_, rest)| rest));
        let all = all.and_then(|rest| rest.split(' ').next()).unwrap_or("?");
        format!(
            "{} executions, {} a second; {} of {all} edges, {} inputs that each reach something else",
            count("stat::number_of_executed_units:"),
            count("stat::average_exec_per_sec:"),
            word("cov:"),
            word("corp:"),
        )
    }

    /// Why it stopped: what did not hold and where, or else the last lines.
    fn end(&self) -> String {
        const MOST: usize = 40;
        let lines: Vec<&str> = self.0.lines().collect();
        let last = lines.len().saturating_sub(MOST);
        let panicked = lines.iter().rposition(|line| line.contains("panicked at"));
        lines[panicked.unwrap_or(last)..].iter().take(MOST).copied().collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
INFO: Loaded 1 modules   (112 inline 8-bit counters): 112 [0x55, 0x56),
INFO: Loaded 1 PC tables (112 PCs): 112 [0x56,0x57),
#2\tINITED cov: 7 ft: 7 corp: 1/1b exec/s: 0 rss: 27Mb
#4438584\tDONE   cov: 8 ft: 9 corp: 2/6b lim: 4096 exec/s: 739764 rss: 27Mb
stat::number_of_executed_units: 4438584
stat::average_exec_per_sec:     739764
";

    #[test]
    fn the_numbers_are_read_from_what_is_printed() {
        let log = Log(PRINTED.to_owned());
        let expected = "4438584 executions, 739764 a second; 8 of 112 edges, 2 inputs that each reach something else";
        assert_eq!((log.summary().as_str(), log.found()), (expected, None));
        assert_eq!(Log(String::new()).summary().matches('?').count(), 5);
    }

    #[test]
    fn an_input_that_was_found_is_named() {
        let path = "target/fuzz/artifacts/parameters/crash-1a2b";
        let why = "thread '<unnamed>' panicked at fuzz/src/calls.rs:1:1:\nit does not hold";
        let log = Log(format!("{PRINTED}{why}\nartifact_prefix='x'; Test unit written to {path}\n"));
        assert_eq!(log.found(), Some(path));
        assert!(log.end().starts_with(why), "{}", log.end());
        assert!(Log(PRINTED.to_owned()).end().starts_with("INFO: Loaded 1 modules"));
        assert_eq!(target_of(Path::new(path)).unwrap(), "parameters");
        assert!(target_of(Path::new("crash-1a2b")).is_err());
    }

    #[test]
    fn every_target_has_a_program_seeds_and_words() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        for target in TARGETS {
            assert!(folder.join(format!("src/bin/{target}.rs")).is_file(), "{target}");
            assert!(folder.join(format!("dictionaries/{target}.dict")).is_file(), "{target}");
            assert!(folder.join("corpus").join(target).read_dir().unwrap().count() > 0, "{target}");
        }
        assert_eq!(folder.join("corpus").read_dir().unwrap().count(), TARGETS.len());
    }
}
