use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::dashboard;
use crate::tools::{self, Tools};

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// For the benchmarks, which list them: `cargo xtask bench -- --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// Builds what is measured and what measures it, optimised, and becomes the latter.
pub(crate) fn run(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    if let Err(error) = dashboard::build(tools) {
        eprintln!("warning: no dashboard: {error:#}");
    }
    tools::run(&mut tools.cargo(&[
        "build",
        "--release",
        "--package",
        "token-service",
        "--package",
        "api-gateway",
        "--package",
        "environment-service",
        "--package",
        "cli",
        "--package",
        "bench",
        "--bins",
    ]))?;
    // A file that is named among the arguments is meant from where the command was given.
    let failed = Command::new(Tools::program("release", "bench")?).args(&arguments.arguments).exec();
    Err(anyhow::Error::new(failed).context("the benchmarks cannot be started"))
}
