//! How commands end.

use std::process::ExitCode;

use crate::api::ApiError;

/// A command that was not given what it needs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) &'static str);

/// Writes an error and what may help to standard error, and answers the exit code that is documented in `--help`.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    let failure = error.downcast_ref::<ApiError>();
    if let Some(hint) = failure.and_then(hint) {
        eprintln!("hint: {hint}");
    }
    let otherwise = if error.is::<Usage>() { 2 } else { 1 };
    ExitCode::from(failure.map_or(otherwise, code))
}

/// The codes that `--help` documents.
fn code(error: &ApiError) -> u8 {
    match error {
        ApiError::NoCredential | ApiError::NoSecondFactor => 3,
        ApiError::Unreachable { .. } => 6,
        ApiError::NotTheApi { .. } => 1,
        ApiError::NoSuchAccount(_) => 5,
        ApiError::Refused { reason, .. } => match reason.as_str() {
            "WRONG_LOGIN" | "NOT_AUTHENTICATED" | "WRONG_PASSWORD" | "WRONG_SECOND_FACTOR" => 3,
            "PERMISSION_DENIED" | "MISSING_PERMISSION" => 4,
            "OBJECT_NOT_FOUND" | "ENVIRONMENT_NOT_FOUND" => 5,
            "UNAVAILABLE" | "THROTTLED" => 6,
            "INVALID_PARAMETER" | "ALREADY_EXISTS" => 7,
            "ENVIRONMENT_STATUS" => 8,
            _ => 1,
        },
    }
}

fn hint(error: &ApiError) -> Option<&'static str> {
    match error {
        ApiError::NoCredential => Some("sign in with `portcullis signin --login …`, or set PORTCULLIS_TOKEN"),
        ApiError::NoSecondFactor => Some("give the code with --code, or in PORTCULLIS_CODE"),
        ApiError::Unreachable { .. } => {
            Some("is it running? `portcullis up` starts it here; --url says where else it is")
        }
        ApiError::NoSuchAccount(_) => Some("`portcullis account list` tells the logins"),
        ApiError::NotTheApi { .. } => Some("--url must be the address of a Portcullis gateway"),
        ApiError::Refused { method, reason, .. } => match reason.as_str() {
            "NOT_AUTHENTICATED" => Some("the session or token has ended: sign in again with `portcullis signin`"),
            "WRONG_SECOND_FACTOR" => Some("each code is good once: wait for the next one, or use a recovery code"),
            "MISSING_PERMISSION" => Some("make a token that lists the method, or use a session"),
            // Where a token can, it is something else that is not allowed, and the error says it.
            "PERMISSION_DENIED" if proto::catalog().by_name(method)?.permission().is_none() => {
                Some("tokens can't do this: sign in with `portcullis signin`, and unset PORTCULLIS_TOKEN")
            }
            _ => None,
        },
    }
}
