//! What each command does.

mod account;
mod api;
mod audit;
mod backup;
mod certs;
mod config;
mod env;
mod group;
mod health;
mod holders;
mod key;
mod keys;
mod logs;
mod nodes;
mod reference;
mod session;
mod token;
mod two_factor;
mod watch;

use std::io::IsTerminal;

use anyhow::Context;
use zeroize::Zeroizing;

use crate::api::Api;
use crate::arguments::{Arguments, Audit, Command, ConfigCommand, Output, Password};
use crate::exit::Usage;
use crate::{credentials, output, up};

/// What commands that call the API share.
struct Caller {
    api: Api,
    url: String,
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { url, output, command } = arguments;
    let caller = || {
        let credential = credentials::find(&url)?;
        anyhow::Ok(Caller { api: Api::new(&url, credential)?, url: url.clone(), output })
    };
    match command {
        Command::Up(options) => up::run(options).await,
        Command::Signin(options) => session::signin(&caller()?, options).await,
        Command::Signout => session::signout(&url).await,
        Command::ChangePassword { password } => session::change_password(&caller()?, &password).await,
        Command::TwoFactor(command) => two_factor::run(&caller()?, command).await,
        Command::Session(command) => session::run(&caller()?, command).await,
        Command::Account(command) => account::run(&caller()?, command).await,
        Command::Token(command) => token::run(&caller()?, command).await,
        Command::Env(command) => env::run(&caller()?, command).await,
        Command::Group(command) => group::run(&caller()?, command).await,
        Command::Api(command) => api::run(output, &command),
        Command::Audit(Audit::List { before, limit }) => audit::list(&caller()?, before, limit).await,
        Command::Audit(Audit::Verify { expect, database }) => audit::verify(output, expect, &database).await,
        Command::Audit(Audit::Export(database)) => audit::export(&database).await,
        Command::Holders => holders::list(&caller()?).await,
        Command::Config(ConfigCommand::Check { service, file }) => config::check(service, &file),
        Command::Certs(command) => certs::run(command),
        Command::Keys(command) => keys::run(output, command).await,
        Command::Config(ConfigCommand::Reference { service }) => Ok(output::line(&reference::of(service))?),
        Command::Backup { data_dir, to } => backup::backup(&data_dir, &to).await,
        Command::Restore { data_dir, from } => backup::restore(&from, &data_dir).await,
        Command::Doctor { service, file } => config::doctor(output, service, &file).await,
        Command::Migrate { service, file } => config::migrate(service, &file).await,
        Command::Health { address, identity } => health::ask(&address, &identity).await,
        Command::ServiceKey => key::service_key(output),
        Command::SigningKey => key::signing_key(),
        Command::SecondFactorKey => key::second_factor_key(),
    }
}

/// The password that a command needs: from standard input where it is told so, else from the terminal without an echo.
fn password(from: &Password, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    if from.password_stdin {
        return line();
    }
    if !std::io::stdin().is_terminal() {
        return Err(Usage("there is no terminal to ask for the password: use --password-stdin").into());
    }
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}

/// A secret that no argument may hold: a line of standard input, or, at a terminal, what is typed without an echo.
fn secret(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    if std::io::stdin().is_terminal() {
        return Ok(Zeroizing::new(rpassword::prompt_password(prompt)?));
    }
    line()
}

/// A line of standard input.
fn line() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().read_line(&mut line).context("standard input")?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
