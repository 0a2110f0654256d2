use serde_json::{Map, Value};

use super::{Caller, password, two_factor};
use crate::api::{Api, ApiError, text};
use crate::arguments::{Password, Session, Signin};
use crate::credentials;
use crate::output::{self, cell, objects};

pub(super) async fn run(caller: &Caller, command: Session) -> anyhow::Result<()> {
    match command {
        Session::List => {
            let answer = caller.api.call("users.authentication.GetSessions", Vec::new()).await?;
            output::answer(caller.output, &answer, list)
        }
        Session::Signout { ids, all } => {
            let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
            let ids = if all { "*".to_owned() } else { ids.join(",") };
            let answer = caller.api.call("users.authentication.SignoutSessions", vec![("ids", ids)]).await?;
            output::answer(caller.output, &answer, |_| String::new())
        }
    }
}

fn list(answer: &Map<String, Value>) -> String {
    let rows = objects(answer, "sessions").into_iter().map(|session| {
        let current = if session.get("current") == Some(&Value::Bool(true)) { "this one" } else { "" };
        let id = cell(session, "id");
        let (from, with) = (cell(session, "host"), cell(session, "userAgent"));
        [id, from, with, cell(session, "createdOn"), cell(session, "lastAccess"), current.to_owned()]
    });
    output::table(["id", "from", "with", "created on", "last access", ""], rows)
}

pub(super) async fn change_password(caller: &Caller, from: &Password) -> anyhow::Result<()> {
    let before = password(from, "Password: ")?;
    let wanted = password(from, "New password: ")?;
    let parameters = vec![("password", before.to_string()), ("newPassword", wanted.to_string())];
    let answer = caller.api.call("users.account.ChangePassword", parameters).await?;
    output::answer(caller.output, &answer, |_| String::new())
}

pub(super) async fn signin(caller: &Caller, options: Signin) -> anyhow::Result<()> {
    let password = password(&options.password, &format!("Password of {}: ", options.login))?;
    let parameters = vec![("login", options.login), ("password", password.to_string())];
    let mut answer = caller.api.call_public("users.authentication.Signin", parameters).await?;
    if answer.get("isTwoFactorRequired") == Some(&Value::Bool(true)) {
        answer = two_factor::verify(caller, text(&answer, "session"), &options.code).await?;
    }
    credentials::keep(&caller.url, Some(text(&answer, "session")))?;
    // It is kept; it need not stand in a terminal's history as well.
    answer.remove("session");
    output::answer(caller.output, &answer, |answer| format!("signed in as {}", text(answer, "name")))
}

/// Ends the kept session; one that has ended already is forgotten as well.
pub(super) async fn signout(url: &str) -> anyhow::Result<()> {
    let Some(session) = credentials::kept(url)? else { return Err(ApiError::NoCredential.into()) };
    let ended = Api::new(url, Some(session))?.call("users.authentication.Signout", Vec::new()).await;
    match ended {
        Ok(_) => {}
        Err(ApiError::Refused { reason, .. }) if reason == "NOT_AUTHENTICATED" => {}
        Err(error) => return Err(error.into()),
    }
    credentials::keep(url, None)
}
