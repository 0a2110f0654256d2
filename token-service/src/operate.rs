//! The operator's way to keys and to accounts: the first administrator can be made by nobody else, and the last one who has lost the
//! password can be helped by nobody else.

use std::time::Duration;

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

pub(crate) async fn rotate_signing_key(config: &Config, lead: u64) -> anyhow::Result<()> {
    for key in token_service::rotate_signing_key(config, Duration::from_secs(lead)).await? {
        match key.verifies_until {
            None => eprintln!("{} signs from {} on", key.key_id, key.signs_from),
            Some(until) => eprintln!("{} is deleted at {until}", key.key_id),
        }
    }
    Ok(())
}

pub(crate) async fn reset_signing_keys(config: &Config) -> anyhow::Result<()> {
    let deleted = token_service::reset_signing_keys(config).await?;
    eprintln!("{deleted} keys were deleted; grants are signed with signing_key_file");
    Ok(())
}

/// A line of standard input.
fn password() -> anyhow::Result<NewPassword> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no password on standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned().into())
}
