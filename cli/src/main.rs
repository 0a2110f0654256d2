//! `portcullis`: the whole system in one process, and what people do with it from a terminal.

mod api;
mod arguments;
mod command;
mod credentials;
mod exit;
mod output;
mod progress;
mod up;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    // Every HTTP client of this process speaks TLS by it. Nothing else installs one, so this succeeds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = arguments::Arguments::parse();
    match command::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
