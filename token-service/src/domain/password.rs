//! Which passwords are taken, after NIST SP 800-63B-4, section 3.1.1: long ones, of any characters, that nobody guesses first.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::Score;

/// How many characters a password has at most.
const LONGEST: usize = 1024;

/// How much of a password is looked at for being common: what is longer is common in its beginning, or not at all.
const LOOKED_AT: usize = 64;

/// The first score that is no common password's: more than a million guesses.
const UNCOMMON: Score = Score::Two;

/// A password that an account is to have, as it was chosen.
pub struct NewPassword(Zeroizing<String>);

/// A password that the rules allow.
pub(crate) struct AcceptedPassword(Zeroizing<String>);

/// What passwords have to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PasswordRules {
    /// How many characters they have at least.
    pub(crate) shortest: usize,
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("must have {shortest} to 1,024 characters")]
    Length {
        /// How many it has to have at least.
        shortest: usize,
    },
    /// It is what the account signs in with.
    #[error("must not be the login")]
    Login,
    /// It is guessed soon.
    #[error("is too common: it is among the first that are guessed")]
    Common,
}

/// The form in which passwords are hashed and compared (NFKC), whichever keyboard they were typed on.
pub(crate) fn normalized(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfkc().collect())
}

impl PasswordRules {
    /// The password, where the rules allow it for an account of this login.
    pub(crate) fn accept(self, password: &NewPassword, login: &str) -> Result<AcceptedPassword, PasswordError> {
        let text = &password.0;
        let Self { shortest } = self;
        if !(shortest..=LONGEST).contains(&text.chars().count()) {
            return Err(PasswordError::Length { shortest });
        }
        if text.to_lowercase() == login {
            return Err(PasswordError::Login);
        }
        let beginning: Zeroizing<String> = Zeroizing::new(text.chars().take(LOOKED_AT).collect());
        if zxcvbn::zxcvbn(&beginning, &[login]).score() < UNCOMMON {
            return Err(PasswordError::Common);
        }
        Ok(AcceptedPassword(text.clone()))
    }
}

impl AcceptedPassword {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for NewPassword {
    fn from(text: String) -> Self {
        Self(normalized(&Zeroizing::new(text)))
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(password: &str, login: &str) -> Result<String, PasswordError> {
        let accepted = PasswordRules { shortest: 12 }.accept(&password.to_owned().into(), login);
        accepted.map(|accepted| accepted.expose().to_owned())
    }

    #[test]
    fn a_password_is_neither_short_nor_endless_nor_printed() {
        let length = Err(PasswordError::Length { shortest: 12 });
        assert_eq!(accept("x7 q9 v4 k2", ""), length);
        assert_eq!(accept(&"x7 q9 v4 k2 ".repeat(86), ""), length);
        assert!(accept(&"x7 q9 v4 k2 ".repeat(85), "").is_ok());
        let password = NewPassword::from("correct horse battery".to_owned());
        assert!(!format!("{password:?}").contains("horse"));
    }

    #[test]
    fn what_is_guessed_first_is_refused_and_no_kinds_of_characters_are_asked_for() {
        for common in
            ["password1234", "qwertyuiop12", "aaaaaaaaaaaaaaaa", "123456789012", "P@ssw0rd1234", "iloveyou2024"]
        {
            assert_eq!(accept(common, ""), Err(PasswordError::Common), "{common}");
        }
        assert_eq!(accept("alice@example.org", "alice@example.org"), Err(PasswordError::Login));
        assert_eq!(accept("Alice@Example.ORG", "alice@example.org"), Err(PasswordError::Login));
        for taken in ["correct horse battery", "another horse battery", "wisteria pagoda", "жёлтый подсолнух"]
        {
            assert_eq!(accept(taken, "alice").as_deref(), Ok(taken));
        }
    }

    #[test]
    fn one_password_has_one_form() {
        // An accent as a letter of its own, and the ligature.
        assert_eq!(accept("cafe\u{301} \u{fb01}sh kettle", "").as_deref(), Ok("caf\u{e9} fish kettle"));
        assert_eq!(normalized("\u{212b}ngstro\u{308}m").as_str(), "\u{c5}ngstr\u{f6}m");
    }
}
