use std::borrow::Cow;

use access::{Credential, CredentialKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use proto::{ErrorKind, Failure};
use zeroize::Zeroizing;

use super::form::Form;

/// A service that asks, as it shows itself: by name and service key (RFC 6749, section 2.3), or by the key alone as a bearer
/// token (RFC 6750). Whether the authority knows it is another question.
pub(super) struct Client {
    /// Empty where the key alone is shown.
    pub(super) id: String,
    pub(super) key: Credential,
}

impl Client {
    /// The client that a request shows, in one way and not in two.
    pub(super) fn shown(headers: &HeaderMap, form: &Form) -> Result<Self, Failure> {
        let (id, secret) = (form.value("client_id")?, form.value("client_secret")?);
        let mut headers = headers.get_all(AUTHORIZATION).iter();
        let (header, another) = (headers.next(), headers.next());
        if another.is_some() || (header.is_some() && secret.is_some()) {
            return Err(Failure::new(ErrorKind::InvalidParameter, "the client is authenticated in more than one way"));
        }
        let id = id.map(|id| id.to_string());
        let header = header.map(|header| header.to_str().map_err(|_| unknown())).transpose()?;
        match (header.map(|header| header.split_once(' ').unwrap_or((header, ""))), secret) {
            (Some((scheme, value)), _) if scheme.eq_ignore_ascii_case("basic") => {
                let (name, secret) = basic(value).ok_or_else(unknown)?;
                if id.is_some_and(|id| id != name) {
                    return Err(Failure::invalid("client_id", "is not the client of the header"));
                }
                Self::named(name, &secret)
            }
            (Some((scheme, value)), _) if scheme.eq_ignore_ascii_case("bearer") => {
                Ok(Self { id: id.unwrap_or_default(), key: key(value.trim())? })
            }
            (None, Some(secret)) => Self::named(id.unwrap_or_default(), &secret),
            _ => Err(unknown()),
        }
    }

    fn named(id: String, secret: &str) -> Result<Self, Failure> {
        if id.is_empty() { Err(unknown()) } else { Ok(Self { id, key: key(secret)? }) }
    }
}

/// Whether a request authenticates as RFC 6750 has it.
pub(super) fn shows_bearer(headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|header| header.split_once(' ')).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

/// The name and the secret of HTTP Basic, each encoded as in a form (RFC 6749, section 2.3.1).
fn basic(value: &str) -> Option<(String, Zeroizing<String>)> {
    let decoded = Zeroizing::new(STANDARD.decode(value.trim()).ok()?);
    let (name, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((unescaped(name)?, Zeroizing::new(unescaped(secret)?)))
}

fn unescaped(text: &str) -> Option<String> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// A service key by its form alone: nobody is asked about what can't be one.
fn key(text: &str) -> Result<Credential, Failure> {
    match Credential::parse(text) {
        Ok(key) if key.kind() == CredentialKind::Service => Ok(key),
        _ => Err(unknown()),
    }
}

fn unknown() -> Failure {
    Failure::new(ErrorKind::NotAuthenticated, "the client is not authenticated")
}
