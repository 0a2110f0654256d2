use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, de};
use url::Url;

use crate::Engine;

/// Where a database is: `sqlite:///var/lib/x.db`, `postgres://user:password@host/name`. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Place);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Server(Url),
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
    /// SQLite with parameters.
    #[error("must have no parameters for SQLite but `mode=rwc`, which is what is done anyway")]
    Parameter,
    /// No URL.
    #[error("must be a URL: `postgres://user:password@host/name`")]
    Url,
}

/// Everything in a path that a URL could take for something else.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl DatabaseUrl {
    /// The SQLite file at a path.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self(Place::File(path.to_owned()))
    }

    /// Which engine it is of.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0 {
            Place::File(_) => Engine::Sqlite,
            Place::Server(_) => Engine::Postgres,
        }
    }

    /// Whether there is such a file. A server may be there or not: only a question to it can tell.
    #[must_use]
    pub(crate) fn is_there(&self) -> bool {
        match &self.0 {
            Place::File(path) => path.is_file(),
            Place::Server(_) => true,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        match text.split_once(':') {
            Some(("sqlite", rest)) => file(rest).map(Place::File).map(Self),
            Some(("postgres" | "postgresql", _)) => {
                text.parse().map(Place::Server).map(Self).map_err(|_| DatabaseUrlError::Url)
            }
            _ => Err(DatabaseUrlError::Scheme),
        }
    }
}

/// `//relative/path`, `///absolute/path`, or either without its `//`.
fn file(rest: &str) -> Result<PathBuf, DatabaseUrlError> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if !matches!(parameters, "" | "mode=rwc") {
        return Err(DatabaseUrlError::Parameter);
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| DatabaseUrlError::File)?;
    // Two connections to a database in memory would see two databases.
    if path.is_empty() || path.ends_with('/') || path == ":memory:" || path.contains('\0') {
        return Err(DatabaseUrlError::File);
    }
    Ok(PathBuf::from(path.as_ref()))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => write!(f, "sqlite://{}", utf8_percent_encode(&path.to_string_lossy(), PATH)),
            Place::Server(url) => {
                let mut shown = url.clone();
                // A parameter can be a password too.
                shown.set_query(None);
                shown.set_fragment(None);
                // Only an address that cannot have a password refuses to lose it.
                let _ = shown.set_password(None);
                f.write_str(shown.as_str())
            }
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

    fn parse(text: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
        text.parse()
    }

    #[test]
    fn passwords_are_not_printed() {
        for (text, shown) in [
            ("postgres://alice:s3cret@db/tokens", "postgres://alice@db/tokens"),
            ("postgres://alice:s3:cr@et@db:5433/tokens", "postgres://alice@db:5433/tokens"),
            ("postgresql://db/tokens?password=s3cret", "postgresql://db/tokens"),
            ("postgres://alice:s3%40cret@db", "postgres://alice@db"),
            ("postgres:alice:s3cret@db", "postgres:alice:s3cret@db"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("DatabaseUrl({shown})"));
        }
    }

    #[test]
    fn a_file_is_named_in_each_way_that_is_in_use() {
        for (text, path) in [
            ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
            ("sqlite:/var/lib/x.db", "/var/lib/x.db"),
            ("sqlite://folder/x.db", "folder/x.db"),
            ("sqlite:x.db?mode=rwc", "x.db"),
            ("sqlite:///a%3Fb%20c/x.db", "/a?b c/x.db"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url, DatabaseUrl::sqlite(Path::new(path)));
            assert_eq!(parse(&url.to_string()), Ok(url), "what is printed can be read");
        }
    }

    #[test]
    fn what_is_no_address_of_a_database_is_refused() {
        for (text, error) in [
            ("", DatabaseUrlError::Scheme),
            ("mysql://x", DatabaseUrlError::Scheme),
            ("/var/lib/x.db", DatabaseUrlError::Scheme),
            ("sqlite:", DatabaseUrlError::File),
            ("sqlite://", DatabaseUrlError::File),
            ("sqlite:///var/lib/", DatabaseUrlError::File),
            ("sqlite::memory:", DatabaseUrlError::File),
            ("sqlite://:memory:", DatabaseUrlError::File),
            ("sqlite:///x%00.db", DatabaseUrlError::File),
            ("sqlite:///x.db?mode=memory", DatabaseUrlError::Parameter),
            ("sqlite:///x.db?immutable=1", DatabaseUrlError::Parameter),
            ("postgres://host:port/name", DatabaseUrlError::Url),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
