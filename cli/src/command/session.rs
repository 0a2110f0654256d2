use super::{Caller, password};
use crate::api::{Api, ApiError, text};
use crate::arguments::Signin;
use crate::{credentials, output};

pub(super) async fn signin(caller: &Caller, options: Signin) -> anyhow::Result<()> {
    let password = password(&options.password, &format!("Password of {}: ", options.login))?;
    let parameters = vec![("login", options.login), ("password", password.to_string())];
    let mut answer = caller.api.call_public("users.authentication.Signin", parameters).await?;
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
