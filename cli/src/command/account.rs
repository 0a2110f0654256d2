use serde_json::{Map, Value};

use super::{Caller, password};
use crate::api::{ApiError, Parameters, text};
use crate::arguments::{Account, Chosen};
use crate::output::{self, cell, objects};

/// How an administrator is asked to confirm.
const OWN: &str = "Your password: ";

pub(super) async fn run(caller: &Caller, command: Account) -> anyhow::Result<()> {
    match command {
        Account::Create { login, name, administrator, password: from } => {
            let own = password(&from, OWN)?;
            let password = password(&from, &format!("Password for {login}: "))?;
            let mut parameters = vec![
                ("password", own.to_string()),
                ("login", login),
                ("accountPassword", password.to_string()),
                ("administrator", administrator.to_string()),
            ];
            parameters.extend(name.map(|name| ("name", name)));
            let answer = caller.api.call("users.account.CreateAccount", parameters).await?;
            output::answer(caller.output, &answer, |answer| cell(answer, "uid"))
        }
        Account::List { search } => list(caller, search.unwrap_or_default()).await,
        Account::Disable(chosen) => change(caller, &chosen, "users.account.DisableAccount").await,
        Account::Enable(chosen) => change(caller, &chosen, "users.account.EnableAccount").await,
        Account::Delete(chosen) => change(caller, &chosen, "users.account.DeleteAccount").await,
        Account::ResetTwoFactor(chosen) => change(caller, &chosen, "users.account.Reset2FA").await,
        Account::SetPassword(Chosen { login, password: from }) => {
            let own = password(&from, OWN)?;
            let password = password(&from, &format!("Password for {login}: "))?;
            let parameters = vec![
                ("uid", number(caller, &login).await?),
                ("accountPassword", password.to_string()),
                ("password", own.to_string()),
            ];
            answered(caller, "users.account.SetAccountPassword", parameters).await
        }
    }
}

/// All pages in one answer.
async fn list(caller: &Caller, search: String) -> anyhow::Result<()> {
    let accounts: Vec<Value> = found(caller, search).await?.into_iter().map(Value::from).collect();
    let answer =
        Map::from_iter([("result".to_owned(), Value::from(0)), ("accounts".to_owned(), Value::from(accounts))]);
    output::answer(caller.output, &answer, table)
}

fn table(answer: &Map<String, Value>) -> String {
    let rows = objects(answer, "accounts").into_iter().map(|account| {
        let role = if account.get("administrator") == Some(&Value::Bool(true)) { "administrator" } else { "member" };
        let state = if account.get("disabled") == Some(&Value::Bool(true)) { "disabled" } else { "active" };
        let factor = if account.get("twoFactor") == Some(&Value::Bool(true)) { "on" } else { "-" };
        let [role, state, factor] = [role, state, factor].map(str::to_owned);
        let [uid, login, name, created] = ["uid", "login", "name", "createdOn"].map(|member| cell(account, member));
        [uid, login, name, role, state, factor, created]
    });
    output::table(["number", "login", "name", "role", "state", "second factor", "created on"], rows)
}

/// What only needs to know the account, and the password of who asks.
async fn change(caller: &Caller, chosen: &Chosen, method: &str) -> anyhow::Result<()> {
    let own = password(&chosen.password, OWN)?;
    let parameters = vec![("uid", number(caller, &chosen.login).await?), ("password", own.to_string())];
    answered(caller, method, parameters).await
}

/// The number of the account that signs in so.
async fn number(caller: &Caller, login: &str) -> Result<String, ApiError> {
    let accounts = found(caller, login.to_owned()).await?;
    let account = accounts.iter().find(|account| text(account, "login") == login.to_lowercase());
    account.map(|account| cell(account, "uid")).ok_or_else(|| ApiError::NoSuchAccount(login.to_owned()))
}

async fn answered(caller: &Caller, method: &str, parameters: Parameters) -> anyhow::Result<()> {
    let answer = caller.api.call(method, parameters).await?;
    output::answer(caller.output, &answer, |_| String::new())
}

/// The accounts whose login holds a text.
async fn found(caller: &Caller, search: String) -> Result<Vec<Map<String, Value>>, ApiError> {
    let mut accounts = Vec::new();
    let mut after = 0;
    loop {
        let parameters = vec![("search", search.clone()), ("after", after.to_string())];
        let page = caller.api.call("users.account.GetAccounts", parameters).await?;
        accounts.extend(objects(&page, "accounts").into_iter().cloned());
        match page.get("next").and_then(Value::as_i64) {
            Some(next) => after = next,
            None => return Ok(accounts),
        }
    }
}
