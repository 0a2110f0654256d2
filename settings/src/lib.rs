//! How a service reads its configuration: a TOML file, the environment over it, secrets from files of their own. It must not
//! know what any service is configured with.

mod finding;
mod schema;

pub use finding::Finding;
pub use schema::{AddressesText, DurationText, RateText, TextOrFileText};

use std::fmt::{self, Display};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Why a configuration was not read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("there is no configuration file {}", .0.display())]
    Missing(PathBuf),
    /// The file or the environment does not fit the configuration.
    #[error("the configuration is malformed")]
    Malformed(#[from] Box<figment::Error>),
}

/// Reads a TOML file, and over it the variables of the environment that begin with a prefix (`__` goes one level down). What
/// the configuration does not know is an error where its type denies unknown fields.
///
/// # Errors
/// Where there is no file, or a key is unknown, missing or of another type; the error names the key.
pub fn load<T: DeserializeOwned>(file: &Path, prefix: &str) -> Result<T, LoadError> {
    if !file.is_file() {
        return Err(LoadError::Missing(file.to_owned()));
    }
    let figment = Figment::from(Toml::file_exact(file)).merge(Env::prefixed(prefix).split("__"));
    Ok(figment.extract().map_err(Box::new)?)
}

/// Reads a secret that stands alone in a file, without the white space around it.
///
/// # Errors
/// Where the file cannot be read as text.
pub fn read_secret(file: &Path) -> io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read_to_string(file)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Reads a value that is written as a text, or stands alone in a file: `"…"`, or `{ file = "/run/secrets/…" }`. An error holds no
/// more of the text than the value's own.
///
/// # Errors
/// Where it is something else, the file cannot be read, or the text is no such value.
pub fn text_or_file<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(TextOrFile(PhantomData))
}

struct TextOrFile<T>(PhantomData<T>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    file: PathBuf,
}

impl<'de, T: FromStr<Err: Display>> Visitor<'de> for TextOrFile<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or `{ file = \"/run/secrets/…\" }`, the file that holds it")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let InFile { file } = InFile::deserialize(MapAccessDeserializer::new(map))?;
        let told = |problem: &dyn Display| serde::de::Error::custom(format!("{}: {problem}", file.display()));
        let text = read_secret(&file).map_err(|error| told(&error))?;
        text.parse().map_err(|error| told(&error))
    }
}

/// Reads a duration: numbers with units, `500ms`, `90s`, `15min`, `24h`, `7d` or `1h 30min`. A day is 24 hours, a week 7 of them.
///
/// # Errors
/// Where it is something else, months or a number without a unit for two; the error says what it has to be.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = SignedDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"500ms\", \"90s\", \"15min\", \"24h\" or \"7d\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SignedDuration, E> {
        let parsed = text.parse().or_else(|_| {
            let span: Span = text.parse()?;
            span.to_duration(SpanRelativeTo::days_are_24_hours())
        });
        parsed.map_err(|_: jiff::Error| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// The addresses of a service's replicas: one text, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Addresses(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Addresses {
    /// Each of them, as it was written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<OneOrMore> for Addresses {
    fn from(addresses: OneOrMore) -> Self {
        match addresses {
            OneOrMore::One(address) => Self(vec![address]),
            OneOrMore::More(addresses) => Self(addresses),
        }
    }
}

impl From<String> for Addresses {
    fn from(address: String) -> Self {
        Self(vec![address])
    }
}

impl From<Vec<String>> for Addresses {
    fn from(addresses: Vec<String>) -> Self {
        Self(addresses)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        name: String,
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        count: u32,
    }

    fn load_text(text: &str) -> Result<Settings, LoadError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, text).expect("the folder can be written");
        load(&file, "PORTCULLIS_SETTINGS_TEST__")
    }

    #[test]
    fn a_file_is_read_and_what_is_wrong_is_named() {
        let read = load_text("name = \"a\"\n[inner]\ncount = 3\n").expect("it is well-formed");
        assert_eq!((read.name.as_str(), read.inner.count), ("a", 3));
        for (text, named) in
            [("name = \"a\"\ninner = {count = 3}\nother = 1\n", "other"), ("name = \"a\"\n", "inner"), ("=", "")]
        {
            match load_text(text) {
                Err(LoadError::Malformed(error)) => assert!(error.to_string().contains(named), "{error}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(load::<Settings>(Path::new("/no/such/file"), "X"), Err(LoadError::Missing(_))));
    }

    #[derive(Debug, Deserialize)]
    struct Patience {
        #[serde(deserialize_with = "duration")]
        patience: SignedDuration,
    }

    fn patience(value: &str) -> Result<SignedDuration, String> {
        let read = Figment::from(Toml::string(&format!("patience = {value}"))).extract::<Patience>();
        read.map(|read| read.patience).map_err(|error| error.to_string())
    }

    #[test]
    fn a_duration_has_units_up_to_weeks() {
        let hours = SignedDuration::from_hours;
        for (text, read) in [
            ("500ms", SignedDuration::from_millis(500)),
            ("90s", SignedDuration::from_secs(90)),
            ("15min", SignedDuration::from_mins(15)),
            ("1h 30m", SignedDuration::from_mins(90)),
            ("PT60S", SignedDuration::from_secs(60)),
            ("168h", hours(168)),
            ("7d", hours(168)),
            ("1w 1d", hours(192)),
            ("7 days", hours(168)),
            ("0s", SignedDuration::ZERO),
        ] {
            assert_eq!(patience(&format!("{text:?}")), Ok(read), "{text}");
        }
        for wrong in ["\"1mo\"", "\"1y\"", "\"soon\"", "\"7\"", "\"\"", "7", "true"] {
            let error = patience(wrong).unwrap_err();
            assert!(
                error.contains("such as") && error.contains("\"7d\"") && error.contains("patience"),
                "{wrong}: {error}"
            );
        }
    }
    #[derive(Debug, Deserialize)]
    struct Place {
        #[serde(deserialize_with = "text_or_file")]
        port: u16,
    }

    fn port(value: &str) -> Result<u16, String> {
        let read = Figment::from(Toml::string(&format!("port = {value}"))).extract::<Place>();
        read.map(|read| read.port).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_can_stand_in_a_file_of_its_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("port");
        std::fs::write(&file, " 8080\n").expect("the folder can be written");
        let in_file = format!("{{ file = {file:?} }}");
        assert_eq!((port("\"80\""), port(&in_file)), (Ok(80), Ok(8080)));
        std::fs::write(&file, "s3cret").expect("the folder can be written");
        for (wrong, named) in [
            (in_file.as_str(), "invalid digit"),
            ("{ file = \"/no/such/file\" }", "/no/such/file: No such file"),
            ("{ path = \"/x\" }", "path"),
            ("80", "a text, or"),
        ] {
            let error = port(wrong).unwrap_err();
            assert!(error.contains(named) && error.contains("port") && !error.contains("s3cret"), "{wrong}: {error}");
        }
    }
}
