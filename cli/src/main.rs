//! `portcullis`: the whole system in one process, and what people do with it from a terminal.

mod api;
mod arguments;
mod command;
mod credentials;
mod exit;
mod output;
mod up;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match command::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
