use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::tools::{self, Tools};

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Optimised: takes longer to build, does more in the same time.
    #[arg(long)]
    pub(crate) release: bool,
    /// For the chaos test, which lists them: `cargo xtask chaos -- --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct RollingRestart {
    /// How many calls have to succeed meanwhile.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// Optimised: takes longer to build, does more in the same time.
    #[arg(long)]
    release: bool,
}

/// The chaos test's own, without faults.
pub(crate) fn run_rolling_restart(tools: &Tools, arguments: &RollingRestart) -> anyhow::Result<()> {
    let line = vec!["--rolling-restart".into(), arguments.calls.to_string().into()];
    run(tools, &Arguments { release: arguments.release, arguments: line })
}

/// Builds the services and the test in one go, and becomes the one that breaks the others.
pub(crate) fn run(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    let mut cargo = tools.cargo(&["build", "--workspace", "--bins"]);
    if arguments.release {
        cargo.arg("--release");
    }
    tools::run(&mut cargo)?;
    let profile = if arguments.release { "release" } else { "debug" };
    // A file that is named among the arguments is meant from where the command was given.
    let failed = Command::new(Tools::program(profile, "chaos")?).args(&arguments.arguments).exec();
    Err(anyhow::Error::new(failed).context("the chaos test cannot be started"))
}
