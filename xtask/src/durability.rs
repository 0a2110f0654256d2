use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::source;
use crate::tools::Tools;

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// For the durability test, which lists them: `cargo xtask durability -- --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// Builds the programs as the tests do, and becomes the one that kills the others.
pub(crate) fn run(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    (source::BINARIES.run)(tools)?;
    let failed = Command::new(Tools::program("debug", "durability")?).args(&arguments.arguments).exec();
    Err(anyhow::Error::new(failed).context("the durability test cannot be started"))
}
