use super::{Caller, password};
use crate::arguments::Account;
use crate::output;

pub(super) async fn run(caller: &Caller, command: Account) -> anyhow::Result<()> {
    let Account::Create { login, name, administrator, password: from } = command;
    let password = password(&from, &format!("Password for {login}: "))?;
    let mut parameters =
        vec![("login", login), ("accountPassword", password.to_string()), ("administrator", administrator.to_string())];
    parameters.extend(name.map(|name| ("name", name)));
    let answer = caller.api.call("users.account.CreateAccount", parameters).await?;
    output::answer(caller.output, &answer, |answer| output::cell(answer, "uid"))
}
