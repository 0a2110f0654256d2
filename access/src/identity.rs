use std::fmt;

use proto::token::v1::CredentialKind as WireKind;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// An account's number.
    AccountId
}
number! {
    /// A place in the order in which credentials were changed.
    Revision
}

/// The kinds of credential that a grant can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantedKind {
    /// A session: it may do what its account may.
    Session,
    /// A personal access token: it may call the methods that it lists.
    Token,
}

impl GrantedKind {
    /// As messages have it.
    #[must_use]
    pub fn to_wire(self) -> WireKind {
        match self {
            Self::Session => WireKind::Session,
            Self::Token => WireKind::Token,
        }
    }

    /// From a message; `None` where it says nothing.
    #[must_use]
    pub fn from_wire(kind: WireKind) -> Option<Self> {
        match kind {
            WireKind::Unspecified => None,
            WireKind::Session => Some(Self::Session),
            WireKind::Token => Some(Self::Token),
        }
    }
}

/// A credential: its kind, and its number within the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId {
    /// The kind.
    pub kind: GrantedKind,
    /// The number.
    pub number: i64,
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            GrantedKind::Session => "session",
            GrantedKind::Token => "token",
        };
        write!(f, "{kind} {}", self.number)
    }
}
