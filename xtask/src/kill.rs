use crate::tools::{Tools, run};

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// How often the service is killed.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
}

/// The suite's own test, as often as it is told.
pub(crate) fn run_test(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    let test = "crash::killed_at_any_moment_it_neither_loses_nor_doubles_anything";
    let line = ["test", "-p", "environment-service", "--test", "service", "--", "--exact", test, "--nocapture"];
    run(tools.cargo(&line).env("PORTCULLIS_KILLS", arguments.kills.to_string()))
}
