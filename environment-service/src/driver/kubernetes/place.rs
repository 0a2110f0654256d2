//! Where workloads are, and how that is written down.

use std::fmt;
use std::str::FromStr;

use super::Adoptable;
use super::workload::Kind;

/// The label of all that is made here: the environment's identity.
pub(super) const ENVIRONMENT: &str = "portcullis.dev/environment";

/// A workload, as it is recorded. It is looked up in the configuration at each use: what is not configured any more is out of reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) home: Home,
    pub(super) kind: Kind,
    pub(super) name: String,
}

/// Whose a workload is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Home {
    /// It was made here, in this namespace.
    Own(String),
    /// It was there before, and belongs to the configured environment of this name.
    Adopted(String),
}

/// Objects of a namespace that are within reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) namespace: String,
    /// Their labels.
    pub(super) labels: String,
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it names no workload")]
pub(super) struct InvalidPlace;

impl Scope {
    /// What is made here.
    pub(super) fn own(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), labels: ENVIRONMENT.to_owned() }
    }

    /// What was there before, and never what is made here.
    pub(super) fn adopted(environment: &Adoptable) -> Self {
        let not_own = format!("!{ENVIRONMENT}");
        let labels = match &environment.selector {
            Some(selector) => format!("{not_own},{selector}"),
            None => not_own,
        };
        Self { namespace: environment.namespace.clone(), labels }
    }
}

impl Place {
    /// The key of a node that was there before.
    pub(super) fn adopted(environment: &str, kind: Kind, name: &str) -> Self {
        Self { home: Home::Adopted(environment.to_owned()), kind, name: name.to_owned() }
    }

    /// The same as a node's key, which is the text without its first word.
    pub(super) fn key(&self) -> String {
        let (Home::Own(home) | Home::Adopted(home)) = &self.home;
        format!("{home}/{}/{}", self.kind.word(), self.name)
    }

    /// From a node's key.
    pub(super) fn from_key(key: &str) -> Result<Self, InvalidPlace> {
        format!("adopted/{key}").parse()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if matches!(self.home, Home::Own(_)) { "own" } else { "adopted" };
        write!(f, "{word}/{}", self.key())
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let parts: Vec<&str> = text.split('/').collect();
        let [word, home, kind, name] = parts[..] else { return Err(InvalidPlace) };
        let home = match word {
            "own" => Home::Own(home.to_owned()),
            "adopted" => Home::Adopted(home.to_owned()),
            _ => return Err(InvalidPlace),
        };
        let kind = Kind::from_word(kind).ok_or(InvalidPlace)?;
        if name.is_empty() { Err(InvalidPlace) } else { Ok(Self { home, kind, name: name.to_owned() }) }
    }
}
