use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use crate::dashboard;
use crate::tools::Tools;

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Optimised: takes longer to build, serves faster.
    #[arg(long)]
    pub(crate) release: bool,
    /// For `portcullis up`, which lists them: `cargo xtask up -- --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// Becomes `portcullis up`. No process stands in between, so Ctrl-C and SIGTERM reach it once.
pub(crate) fn run(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    if dashboard::can_be_built(tools) {
        dashboard::build(tools)?;
    } else {
        eprintln!("  without Node and npm there is no dashboard: only the API");
    }
    let mut cargo = tools.cargo(&["run", "--package", "cli", "--bin", "portcullis"]);
    if arguments.release {
        cargo.arg("--release");
    }
    cargo.args(["--", "up"]).args(&arguments.arguments);
    // A folder that is named among the arguments is meant from where the command was given.
    cargo.current_dir(std::env::current_dir()?);
    Err(anyhow::Error::new(cargo.exec()).context("cargo cannot be started"))
}
