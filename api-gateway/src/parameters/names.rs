use std::borrow::Cow;

use percent_encoding::percent_decode;
use proto::catalog::Parameter;
use proto::{ErrorKind, Failure, Method};

/// The names under which clients send their credential.
const CREDENTIAL: [&str; 2] = ["session", "token"];

/// No value holds it: neither do the texts of PostgreSQL, nor the variables of a process.
pub(super) const NUL: char = '\0';

/// How many parameters a call may have, those that nobody knows among them. In memory each takes many times the two bytes that
/// it takes in a body.
const MAX_COUNT: usize = 1000;

/// What a client sent, in its order: names as they were written, values as bytes.
#[derive(Default)]
pub(crate) struct Parameters(Vec<(Vec<u8>, Vec<u8>)>);

impl Parameters {
    /// Takes in a query or a form, `application/x-www-form-urlencoded` after the URL Standard: `+` is a space, and a `%` that
    /// is followed by no two digits stands for itself. What the bytes mean is decided where a parameter is used.
    pub(crate) fn add_encoded(&mut self, text: &[u8]) -> Result<(), Failure> {
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            self.push(unescape(name), unescape(value))?;
        }
        Ok(())
    }

    /// Takes in a part of a `multipart/form-data` body.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Failure> {
        self.push(name.as_bytes().to_vec(), value.to_vec())
    }

    fn push(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), Failure> {
        if self.0.len() == MAX_COUNT {
            return Err(Failure::new(
                ErrorKind::RequestTooLarge,
                format!("there are more than {MAX_COUNT} parameters"),
            ));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Everything that was sent.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The values that are sent for a parameter, under whatever name and case.
    pub(crate) fn values(&self, parameter: &Parameter, max_bytes: usize) -> Result<Vec<&str>, Failure> {
        let named = self.0.iter().filter(|(name, _)| str::from_utf8(name).is_ok_and(|name| parameter.is_called(name)));
        named.map(|(_, value)| text(parameter.name(), value, max_bytes)).collect()
    }

    /// The credential among the parameters; `None` where there is none, or an empty one.
    pub(crate) fn credential(&self, max_bytes: usize) -> Result<Option<&str>, Failure> {
        let named = self.0.iter().filter(|(name, _)| is_credential(name));
        // An empty one is not given.
        let given = named.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty());
        match given.collect::<Vec<&[u8]>>().as_slice() {
            [] => Ok(None),
            [value] => text("session", value, max_bytes).map(Some),
            _ => Err(Failure::invalid("session", "is given more than once (`token` is another name for it)")),
        }
    }
}

/// What a parameter of this name is for the method: one of its own, the credential or nothing.
pub(crate) fn known_name<'a>(method: &'a Method, name: &str) -> Option<&'a str> {
    let own = method.parameter(name).map(Parameter::name);
    own.or_else(|| is_credential(name.as_bytes()).then_some("session"))
}

fn is_credential(name: &[u8]) -> bool {
    CREDENTIAL.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<u8>>().into()
    } else {
        text.into()
    };
    percent_decode(&spaced).collect()
}

fn text<'a>(name: &str, value: &'a [u8], max_bytes: usize) -> Result<&'a str, Failure> {
    if value.len() > max_bytes {
        return Err(Failure::invalid(name, format!("has {} bytes, of at most {max_bytes}", value.len())));
    }
    let text = str::from_utf8(value).map_err(|_| Failure::invalid(name, "must be UTF-8"))?;
    if text.contains(NUL) { Err(Failure::invalid(name, "must not contain the character NUL")) } else { Ok(text) }
}
