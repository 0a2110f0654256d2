use std::fmt;
use std::str::FromStr;

use access::AccountId;
use jiff::Timestamp;

use super::NewPassword;

/// What an account may do beyond using the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing beyond.
    Member,
    /// Makes accounts.
    Administrator,
}

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountState {
    /// It can.
    Active,
    /// An administrator has closed it.
    Disabled,
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) state: AccountState,
}

/// An account as administrators see it.
#[derive(Clone, Debug)]
pub(crate) struct AccountInfo {
    pub(crate) id: AccountId,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) state: AccountState,
    /// Whether its sign-ins need one.
    pub(crate) second_factor: bool,
    pub(crate) created_at: Timestamp,
}

/// What is done to an account from outside. Each ends all of its sessions.
pub(crate) enum AccountChange {
    /// Nobody can sign in, and its tokens open nothing.
    Disable,
    /// It is as it was before it was disabled, with its tokens.
    Enable,
    /// It is gone, and its tokens with it.
    Delete,
    /// It has another password.
    Password {
        /// PHC string of argon2id.
        hash: String,
    },
    /// Its sign-ins need no second factor: its owner has lost it.
    ResetSecondFactor,
}

impl AccountChange {
    /// What the audit log calls it.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Disable => "account.disable",
            Self::Enable => "account.enable",
            Self::Delete => "account.delete",
            Self::Password { .. } => "password.set",
            Self::ResetSecondFactor => "second_factor.reset",
        }
    }

    /// Whether nobody can sign in afterwards.
    pub(crate) fn shuts(&self) -> bool {
        matches!(self, Self::Disable | Self::Delete)
    }
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount {
    /// What it signs in with.
    pub login: Login,
    /// Its name for people.
    pub name: String,
    /// The password that it signs in with.
    pub password: NewPassword,
    /// What it may do.
    pub role: Role,
}

/// What an account signs in with, in lower case: a mail address or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login(String);

/// Why a text is no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a mail address or a name of 1 to {} printable characters without white space", Login::MOST_CHARACTERS)]
pub struct LoginError;

impl Login {
    /// The most characters of a login.
    pub(crate) const MOST_CHARACTERS: usize = 255;

    /// The login, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Login {
    type Err = LoginError;

    fn from_str(text: &str) -> Result<Self, LoginError> {
        let printable = |letter: char| !letter.is_whitespace() && !letter.is_control();
        if text.is_empty() || text.chars().count() > Self::MOST_CHARACTERS || !text.chars().all(printable) {
            return Err(LoginError);
        }
        Ok(Self(text.to_lowercase()))
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_one_word_in_lower_case() {
        assert_eq!("Alice@Example.org".parse::<Login>().unwrap().as_str(), "alice@example.org");
        for wrong in ["", " ", "a b", "a\u{0}b", &"a".repeat(256)] {
            assert_eq!(wrong.parse::<Login>(), Err(LoginError), "{wrong:?}");
        }
        assert!("é".repeat(255).parse::<Login>().is_ok());
    }
}
