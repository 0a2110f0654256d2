use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::Engine;

/// Where a database is: `sqlite:///var/lib/x.db`, `postgres://user:password@host/name`. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    engine: Engine,
    text: String,
}

/// Why a text is no such address. It never holds the text, which can hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another scheme.
    #[error("must begin with `sqlite:`, `postgres:` or `postgresql:`")]
    Scheme,
    /// SQLite without a file.
    #[error("must name a file: `sqlite:///var/lib/x.db`")]
    File,
}

impl DatabaseUrl {
    /// The SQLite file at a path.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self { engine: Engine::Sqlite, text: format!("sqlite://{}", path.display()) }
    }

    /// Which engine it is of.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The whole address, with the password.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> Option<&Path> {
        let path = self.text.strip_prefix("sqlite://").or_else(|| self.text.strip_prefix("sqlite:"))?;
        Some(Path::new(path.split_once('?').map_or(path, |(path, _)| path)))
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        let engine = match scheme {
            Some("sqlite") => Engine::Sqlite,
            Some("postgres" | "postgresql") => Engine::Postgres,
            _ => return Err(DatabaseUrlError::Scheme),
        };
        let url = Self { engine, text: text.to_owned() };
        // Two connections to a database in memory would see two databases.
        let nowhere = |file: &Path| file.as_os_str().is_empty() || file == Path::new(":memory:");
        if url.file().is_some_and(nowhere) { Err(DatabaseUrlError::File) } else { Ok(url) }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.text.split_once('?').map_or(self.text.as_str(), |(shown, _)| shown);
        let Some((scheme, rest)) = shown.split_once("://") else { return f.write_str(shown) };
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split_once(':').map_or(user, |(user, _)| user);
                write!(f, "{scheme}://{user}@{host}")
            }
            None => f.write_str(shown),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        for (text, shown) in [
            ("postgres://alice:s3cret@db/tokens", "postgres://alice@db/tokens"),
            ("postgres://alice:p@ss@db/tokens", "postgres://alice@db/tokens"),
            ("postgresql://db/tokens?password=s3cret", "postgresql://db/tokens"),
            ("sqlite:///var/lib/x.db?mode=rwc", "sqlite:///var/lib/x.db"),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn only_databases_that_can_be_opened_are_named() {
        assert_eq!("mysql://x".parse::<DatabaseUrl>(), Err(DatabaseUrlError::Scheme));
        assert_eq!("".parse::<DatabaseUrl>(), Err(DatabaseUrlError::Scheme));
        assert_eq!("sqlite::memory:".parse::<DatabaseUrl>(), Err(DatabaseUrlError::File));
        assert_eq!("sqlite://".parse::<DatabaseUrl>(), Err(DatabaseUrlError::File));
        assert_eq!("sqlite:x.db".parse::<DatabaseUrl>().unwrap().file(), Some(Path::new("x.db")));
    }
}
