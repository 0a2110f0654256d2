//! The operator's way to accounts: the first administrator can be made by nobody else, and the last one who has lost the
//! password can be helped by nobody else.

use anyhow::Context;
use token_service::{Config, Login, NewAccount, NewPassword, Role};

use crate::arguments::CreateAccount;

pub(crate) async fn create_account(config: &Config, account: CreateAccount) -> anyhow::Result<()> {
    let password = password()?;
    let CreateAccount { login, administrator } = account;
    let role = if administrator { Role::Administrator } else { Role::Member };
    let name = login.to_string();
    let id = token_service::create_account(config, NewAccount { login, name, password, role }).await?;
    eprintln!("account {id} was created");
    Ok(())
}

pub(crate) async fn set_password(config: &Config, login: &Login) -> anyhow::Result<()> {
    token_service::set_password(config, login, password()?).await?;
    eprintln!("{login} has another password, and no session");
    Ok(())
}

pub(crate) async fn reset_second_factor(config: &Config, login: &Login) -> anyhow::Result<()> {
    token_service::reset_second_factor(config, login).await?;
    eprintln!("{login} has no second factor, and no session");
    Ok(())
}

/// A line of standard input.
fn password() -> anyhow::Result<NewPassword> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no password on standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned().into())
}
