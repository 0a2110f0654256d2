//! The operator's way to an account: the first administrator can be made by nobody else.

use anyhow::Context;
use token_service::{Config, NewAccount, NewPassword, Role};

use crate::arguments::CreateAccount;

pub(crate) async fn run(config: &Config, account: CreateAccount) -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no password on standard input")?;
    let password = NewPassword::try_from(line.trim_end_matches(['\r', '\n']).to_owned()).context("the password")?;
    let CreateAccount { login, administrator } = account;
    let role = if administrator { Role::Administrator } else { Role::Member };
    let name = login.to_string();
    let id = token_service::create_account(config, NewAccount { login, name, password, role }).await?;
    eprintln!("account {id} was created");
    Ok(())
}
