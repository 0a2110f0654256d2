//! What the first start makes, so that there is something to try: an account, an environment, a token.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use token_service::{Login, NewAccount, NewPassword, Role};
use zeroize::Zeroizing;

use super::{DataFolder, System};
use crate::api::{Api, ApiError, text};
use crate::arguments::Up;
use crate::output;

/// How long the system may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the example is called.
const EXAMPLE: &str = "my-project";

/// What the example's token is called.
const TOKEN: &str = "first steps";

/// Who the account is where nobody says.
const LOGIN: &str = "admin";

/// The account that was just made.
pub(super) struct FirstAccount {
    login: Login,
    password: Zeroizing<String>,
}

/// Makes the account of the first start, and prints its password this once. A first start that was cut short is taken up
/// again: its account gets another password, since nobody may have seen the first one. Later starts make no account.
pub(super) async fn account(options: &Up, system: &System, data: &DataFolder) -> anyhow::Result<Option<FirstAccount>> {
    let (begun, made) = (data.first_start()?, system.has_accounts().await?);
    let password = options.password.clone().map_or_else(random_password, Zeroizing::new);
    let new_password = || NewPassword::from(password.to_string());
    let login = match begun {
        None if made => {
            note_unused(options);
            return Ok(None);
        }
        Some(login) if made => {
            system.set_password(&login, new_password()).await?;
            login
        }
        _ => {
            let login: Login = options.login.as_deref().unwrap_or(LOGIN).parse().context("--login")?;
            data.begin_first_start(&login)?;
            let name = options.login.clone().unwrap_or_else(|| login.to_string());
            let account =
                NewAccount { login: login.clone(), name, password: new_password(), role: Role::Administrator };
            system.create_account(account).await?;
            login
        }
    };
    output::line(&format!("account   {login}"))?;
    if options.password.is_none() {
        output::line(&format!("password  {}   (shown only this once)", password.as_str()))?;
    }
    Ok(Some(FirstAccount { login, password }))
}

/// Says what was given in vain.
fn note_unused(options: &Up) {
    let given = match (&options.login, &options.password) {
        (None, None) => return,
        (Some(_), None) => "--login is",
        (None, Some(_)) => "--password is",
        (Some(_), Some(_)) => "--login and --password are",
    };
    eprintln!(
        "note: {given} not used: there is an account already; `portcullis account create` makes another, \
         `portcullis account set-password` gives one another password"
    );
}

/// Twenty letters and digits: some 119 random bits.
fn random_password() -> Zeroizing<String> {
    use rand::distr::{Alphanumeric, SampleString};
    Zeroizing::new(Alphanumeric.sample_string(&mut rand::rng(), 20))
}

/// Waits until calls can be served, makes the example where this is the first start, and prints what to try.
pub(super) async fn prepare(url: &str, account: Option<FirstAccount>, data: &DataFolder) -> anyhow::Result<()> {
    until_ready(url).await?;
    let token = match &account {
        Some(account) => Some(example(url, account).await.context("the example environment")?),
        None => None,
    };
    output::line(&format!("api       {url}/1.0/"))?;
    output::line(&format!("ready     {url}/readyz"))?;
    let path = "1.0/environment/control/rest/stopenv";
    let token = token.as_ref().map_or("$TOKEN", |token| token.as_str());
    output::line(&format!("try       curl -H 'Authorization: Bearer {token}' '{url}/{path}?envName={EXAMPLE}'"))?;
    if account.is_some() {
        data.complete_first_start()?;
    }
    Ok(())
}

/// Asks `/readyz`, as whoever runs the system would.
async fn until_ready(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = client.get(format!("{url}/readyz")).send().await;
        let missing = match answer {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.without_url().to_string(),
        };
        if tokio::time::Instant::now() >= deadline {
            anyhow::bail!("the system does not get ready: {missing}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes the environment and a token that can list, inspect, start and stop it, through the API like anybody.
async fn example(url: &str, account: &FirstAccount) -> anyhow::Result<Zeroizing<String>> {
    let (login, password) = (account.login.to_string(), account.password.to_string());
    let signin = vec![("login", login), ("password", password.clone())];
    let session = Api::new(url, None)?.call_public("users.authentication.Signin", signin).await?;
    let api = Api::new(url, Some(Zeroizing::new(text(&session, "session").to_owned())))?;

    let nodes = json!([{ "nodeType": "web", "nodeGroup": "cp" }, { "nodeType": "worker", "nodeGroup": "worker" }]);
    let environment = json!({ "shortdomain": EXAMPLE, "displayName": "My project" });
    let create = vec![("env", environment.to_string()), ("nodes", nodes.to_string())];
    run_example(&api, &create).await?;
    delete_tokens_of_before(&api, &password).await?;
    let create =
        vec![("description", TOKEN.to_owned()), ("tokenTemplate", "IDE Plugins".to_owned()), ("password", password)];
    let token = api.call("users.authentication.CreateToken", create).await?;
    api.call("users.authentication.Signout", Vec::new()).await?;
    Ok(Zeroizing::new(text(&output::object(&token, "token"), "key").to_owned()))
}

/// Makes the environment, or sees to it that the one runs that an earlier first start, which was cut short, has begun to make.
async fn run_example(api: &Api, create: &[(&'static str, String)]) -> Result<(), ApiError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let refused = |error: &ApiError, reasons: &[&str]| match error {
        ApiError::Refused { reason, .. } => reasons.contains(&reason.as_str()),
        _ => false,
    };
    loop {
        match api.call("environment.control.CreateEnvironment", create.to_vec()).await {
            Err(error) if refused(&error, &["ALREADY_EXISTS"]) => {}
            made => return made.map(drop),
        }
        let start = vec![("envName", EXAMPLE.to_owned())];
        match api.call("environment.control.StartEnv", start).await {
            // It is still being made; or that has failed, and it is gone again.
            Err(error)
                if refused(&error, &["ENVIRONMENT_STATUS", "ENVIRONMENT_NOT_FOUND"])
                    && tokio::time::Instant::now() < deadline => {}
            started => return started.map(drop),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An earlier first start that was cut short may have made one, whose value nobody has.
async fn delete_tokens_of_before(api: &Api, password: &str) -> Result<(), ApiError> {
    let tokens = api.call("users.authentication.GetTokens", Vec::new()).await?;
    let tokens = output::objects(&tokens, "apiTokens");
    let ids = tokens.into_iter().filter(|token| text(token, "description") == TOKEN);
    let ids: Vec<String> = ids.map(|token| output::cell(token, "id")).collect();
    if !ids.is_empty() {
        let delete = vec![("ids", ids.join(",")), ("password", password.to_owned())];
        api.call("users.authentication.DeleteTokens", delete).await?;
    }
    Ok(())
}
