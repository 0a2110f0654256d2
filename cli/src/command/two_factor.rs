use std::io::IsTerminal;

use anyhow::Context;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Caller, line, password};
use crate::api::{ApiError, Parameters, text};
use crate::arguments::{Code, Output, TwoFactor};
use crate::output::{self, cell};

/// How often a code is asked for before a command gives up.
const TRIES: usize = 3;

pub(super) async fn run(caller: &Caller, command: TwoFactor) -> anyhow::Result<()> {
    match command {
        TwoFactor::Status => {
            let answer = caller.api.call("users.account.Get2FAStatus", Vec::new()).await?;
            output::answer(caller.output, &answer, status)
        }
        TwoFactor::Enable { password: from } => {
            let password = password(&from, "Password: ")?;
            let parameters = vec![("password", password.to_string())];
            let answer = caller.api.call("users.account.Enable2FA", parameters).await?;
            enabled(caller, &answer).await
        }
        TwoFactor::Confirm { code } => confirm(caller, &code).await,
        TwoFactor::Disable { password: from, code } => {
            let password = password(&from, "Password: ")?;
            let parameters = vec![("password", password.to_string())];
            let answer = with_code(caller, "users.account.Disable2FA", parameters, &code).await?;
            output::answer(caller.output, &answer, |_| String::new())
        }
        TwoFactor::RecoveryCodes { password: from, code } => {
            let password = password(&from, "Password: ")?;
            let parameters = vec![("password", password.to_string())];
            let answer = with_code(caller, "users.account.RegenerateRecoveryCodes", parameters, &code).await?;
            told(caller, &answer)
        }
    }
}

fn status(answer: &Map<String, Value>) -> String {
    if answer.get("enabled") == Some(&Value::Bool(true)) {
        format!("on, {} recovery codes left", cell(answer, "recoveryCodesLeft"))
    } else {
        "off".to_owned()
    }
}

/// Shows the secret; where somebody sits at a terminal, goes on with the first code.
async fn enabled(caller: &Caller, answer: &Map<String, Value>) -> anyhow::Result<()> {
    if caller.output == Output::Json || !std::io::stdin().is_terminal() {
        output::answer(caller.output, answer, |answer| {
            format!("secret  {}\nuri     {}", text(answer, "secret"), text(answer, "uri"))
        })?;
        eprintln!("hint: it is on after `portcullis two-factor confirm` with the authenticator's first code");
        return Ok(());
    }
    eprintln!("{}", qr(text(answer, "uri"), std::env::var_os("NO_COLOR").is_none())?);
    eprintln!("Scan it with an authenticator, or type in the secret: {}", text(answer, "secret"));
    confirm(caller, &Code { code: None }).await
}

async fn confirm(caller: &Caller, code: &Code) -> anyhow::Result<()> {
    let answer = with_code(caller, "users.account.Confirm2FA", Vec::new(), code).await?;
    told(caller, &answer)
}

/// Prints recovery codes, this once.
fn told(caller: &Caller, answer: &Map<String, Value>) -> anyhow::Result<()> {
    output::answer(caller.output, answer, |answer| {
        let codes = answer.get("recoveryCodes").and_then(Value::as_array);
        codes.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    })?;
    eprintln!(
        "Keep the recovery codes: each stands once in place of the authenticator's, and they are not shown again."
    );
    Ok(())
}

/// Completes a sign-in that waits for the second factor.
pub(super) async fn verify(caller: &Caller, session: &str, code: &Code) -> anyhow::Result<Map<String, Value>> {
    let parameters = || vec![("session", session.to_owned())];
    until_right(code, async |code| {
        caller.api.call_public("users.authentication.Verify2FACode", shown(parameters(), code)).await
    })
    .await
}

async fn with_code(
    caller: &Caller,
    method: &str,
    parameters: Parameters,
    code: &Code,
) -> anyhow::Result<Map<String, Value>> {
    until_right(code, async |code| caller.api.call(method, shown(parameters.clone(), code)).await).await
}

fn shown(mut parameters: Parameters, code: &str) -> Parameters {
    parameters.push(("code", code.to_owned()));
    parameters
}

/// Calls with the code that is given; else asks for it, and again where it is mistyped.
async fn until_right(
    given: &Code,
    call: impl AsyncFn(&str) -> Result<Map<String, Value>, ApiError>,
) -> anyhow::Result<Map<String, Value>> {
    if let Some(code) = given.code.as_ref().filter(|code| !code.is_empty()) {
        return Ok(call(code).await?);
    }
    let mut tries = 1;
    loop {
        match call(&ask()?).await {
            Err(ApiError::Refused { reason, error, .. }) if tries < TRIES && is_about_the_code(&reason, &error) => {
                eprintln!("{error}");
                tries += 1;
            }
            answered => return Ok(answered?),
        }
    }
}

/// Whether another code may help.
fn is_about_the_code(reason: &str, error: &str) -> bool {
    reason == "WRONG_SECOND_FACTOR" || (reason == "INVALID_PARAMETER" && error.starts_with("`code`"))
}

/// A code is good once and for a minute: it may be seen while it is typed.
fn ask() -> anyhow::Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(ApiError::NoSecondFactor.into());
    }
    eprint!("Code of the second factor: ");
    line()
}

/// A QR code of half blocks, black on white where colours may be used, else for a dark terminal.
fn qr(uri: &str, colours: bool) -> anyhow::Result<String> {
    let code = QrCode::with_error_correction_level(uri, EcLevel::L).context("the QR code")?;
    let mut renderer = code.render::<Dense1x2>();
    if colours {
        let image = renderer.build();
        let lines = image.lines().map(|line| format!("\x1b[30;107m{line}\x1b[0m"));
        return Ok(lines.collect::<Vec<_>>().join("\n"));
    }
    Ok(renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_drawn_for_either_terminal() {
        let uri = "otpauth://totp/Portcullis:admin?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Portcullis";
        let (coloured, plain) = (qr(uri, true).unwrap(), qr(uri, false).unwrap());
        assert_eq!(coloured.lines().count(), plain.lines().count());
        assert!(coloured.lines().all(|line| line.starts_with("\x1b[30;107m") && line.ends_with("\x1b[0m")));
        assert!(!plain.contains('\x1b') && plain.lines().next().unwrap().chars().all(|block| block == '█'));
    }
}
