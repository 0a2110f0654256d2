//! How calls fail: one kind per meaning, and one table — in `error.proto` — that says how each looks in gRPC and in REST.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, Value};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use crate::api::v1::ErrorKind;
use crate::catalog::POOL;

/// The `domain` of every `google.rpc.ErrorInfo` that the platform sends.
const DOMAIN: &str = "portcullis";

/// The most bytes of a failure's text. In gRPC it travels in a header, there up to three times as long and once more in the
/// details, and headers of more than 16 KiB break the call. Texts that repeat what was sent would be as long as that was.
const MOST_TEXT: usize = 1024;

/// How a kind of failure looks in each protocol.
#[derive(Debug)]
struct Row {
    reason: String,
    result: i32,
    code: Code,
    http: u16,
    documentation: String,
}

static TABLE: LazyLock<HashMap<ErrorKind, Row>> = LazyLock::new(|| read_table(&POOL));

fn read_table(pool: &DescriptorPool) -> HashMap<ErrorKind, Row> {
    let kinds = pool.get_enum_by_name("portcullis.api.v1.ErrorKind").expect("error.proto declares ErrorKind");
    let rule = pool.get_extension_by_name("portcullis.api.v1.error").expect("error.proto declares the option");
    kinds
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| {
            let kind = ErrorKind::try_from(value.number()).expect("generated from the same file");
            let options = value.options();
            let Value::Message(rule) = options.get_extension(&rule).into_owned() else {
                unreachable!("the option is a message")
            };
            let rule: crate::api::v1::ErrorRule = rule.transcode_to().expect("generated from the same file");
            let row = Row {
                reason: value.name().trim_start_matches("ERROR_KIND_").to_owned(),
                result: rule.result,
                code: code_by_name(&rule.code),
                http: u16::try_from(rule.http).unwrap_or(500),
                documentation: crate::catalog::documentation(&value.parent_enum().parent_file(), value.path()),
            };
            (kind, row)
        })
        .collect()
}

/// gRPC's codes by the names of its specification; a name that is none of them is `Unknown`, which a test looks for.
fn code_by_name(name: &str) -> Code {
    (0..17).map(Code::from_i32).find(|code| code_name(*code) == name).unwrap_or(Code::Unknown)
}

/// `INVALID_ARGUMENT` for `Code::InvalidArgument`.
fn code_name(code: Code) -> String {
    let camel = format!("{code:?}");
    camel.char_indices().fold(String::new(), |mut name, (at, letter)| {
        if letter.is_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
        name
    })
}

impl ErrorKind {
    /// Every kind, by its REST result.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut kinds: Vec<Self> = TABLE.keys().copied().collect();
        kinds.sort_by_key(|kind| kind.result());
        kinds
    }

    /// A kind that is not in the table is a fault of our own, and looks like one.
    fn row(self) -> &'static Row {
        TABLE.get(&self).unwrap_or_else(|| &TABLE[&Self::Internal])
    }

    /// The stable name of the meaning: `reason` of `google.rpc.ErrorInfo` and of a REST answer.
    #[must_use]
    pub fn reason(self) -> &'static str {
        &self.row().reason
    }

    /// `result` of a REST answer; never 0.
    #[must_use]
    pub fn result(self) -> i32 {
        self.row().result
    }

    /// The gRPC status code.
    #[must_use]
    pub fn code(self) -> Code {
        self.row().code
    }

    /// The gRPC status code by the name in gRPC's specification.
    #[must_use]
    pub fn code_name(self) -> String {
        code_name(self.code())
    }

    /// The HTTP status where a caller wants the true one.
    #[must_use]
    pub fn http_status(self) -> http::StatusCode {
        http::StatusCode::from_u16(self.row().http).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What the contract says of it.
    #[must_use]
    pub fn documentation(self) -> &'static str {
        &self.row().documentation
    }

    fn by_reason(reason: &str) -> Option<Self> {
        TABLE.iter().find(|(_, row)| row.reason == reason).map(|(kind, _)| *kind)
    }
}

/// Why a call failed: what its caller is told, and what only the log is told.
pub struct Failure {
    kind: ErrorKind,
    message: String,
    details: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The details of a failure that have a name in the contract.
const DETAILS: [&str; 4] = ["confinement", "parameter", "permission", "retryAfter"];

impl Failure {
    /// A failure whose text is for its caller: a sentence without a full stop, and without a secret.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: shortened(message.into()), details: Vec::new(), source: None }
    }

    /// A bad parameter. The text reads after its name: `` `envName` must … ``.
    #[must_use]
    pub fn invalid(parameter: &str, problem: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidParameter, format!("`{parameter}` {problem}")).with("parameter", parameter)
    }

    /// A fault of our own: its caller learns nothing but that there is one.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "internal error").because(source)
    }

    /// An outage of the named part of the platform.
    #[must_use]
    pub fn unavailable(part: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unavailable, format!("{part} is unavailable, try again")).because(source)
    }

    /// Says which parameter, permission or confinement it is about, or after how many seconds to try again, for programs.
    #[must_use]
    pub fn with(mut self, detail: &'static str, value: impl Into<String>) -> Self {
        debug_assert!(DETAILS.contains(&detail), "{detail} is no detail of the contract");
        self.details.push((detail, value.into()));
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The meaning.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A detail for programs: `parameter`, `permission`, `confinement`, `retryAfter`.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|(detail, _)| *detail == name).map(|(_, value)| value.as_str())
    }

    /// The details for programs, by name.
    pub fn details(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.details.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.kind.reason())
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The text without its middle, where it is too long: what is wrong stands at its ends.
fn shortened(text: String) -> String {
    if text.len() <= MOST_TEXT {
        return text;
    }
    const GAP: &str = " … ";
    let half = (MOST_TEXT - GAP.len()) / 2;
    let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    format!("{}{GAP}{}", &text[..head], &text[tail..])
}

/// The only place where a `Status` is made of a failure. The cause stays here.
impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let metadata: HashMap<String, String> =
            failure.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let details = ErrorDetails::with_error_info(failure.kind.reason(), DOMAIN, metadata);
        Self::with_error_details(failure.kind.code(), failure.message, details)
    }
}

/// Reads what another service answered. A status that is not ours says what happened to the connection, and nothing of
/// its text is shown to a caller.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let ours = status
            .get_details_error_info()
            .filter(|info| info.domain == DOMAIN)
            .and_then(|info| ErrorKind::by_reason(&info.reason).map(|kind| (kind, info.metadata)));
        let Some((kind, metadata)) = ours else {
            return match status.code() {
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                    Self::unavailable("a part of the platform", status)
                }
                Code::ResourceExhausted => {
                    Self::new(ErrorKind::Unavailable, "the platform is busy, try again").because(status)
                }
                // What tonic answers to a message over the service's limit.
                Code::OutOfRange => {
                    Self::new(ErrorKind::RequestTooLarge, "the request is larger than the service takes")
                        .because(status)
                }
                _ => Self::internal(status),
            };
        };
        let details =
            DETAILS.iter().filter_map(|name| metadata.get(*name).map(|value| (*name, value.clone()))).collect();
        Self { kind, message: status.message().to_owned(), details, source: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_table_under_numbers_of_its_own() {
        let kinds = ErrorKind::all();
        assert_eq!(kinds.len(), 21);
        let mut results: Vec<i32> = kinds.iter().map(|kind| kind.result()).collect();
        results.dedup();
        assert_eq!(results.len(), kinds.len(), "each result once");
        for kind in kinds {
            assert_ne!(kind.result(), 0, "{kind:?}");
            assert!(!matches!(kind.code(), Code::Ok | Code::Unknown), "{kind:?} names a gRPC code");
            assert!(kind.http_status().as_u16() >= 400, "{kind:?}");
            assert!(!kind.documentation().is_empty(), "{kind:?} is documented");
        }
    }

    #[test]
    fn a_failure_survives_the_way_through_a_status() {
        let failure = Failure::invalid("envName", "must not be empty").because("the log only");
        let status = Status::from(failure);
        assert_eq!(status.code(), Code::InvalidArgument);
        let failure = Failure::from(status);
        assert_eq!(failure.kind(), ErrorKind::InvalidParameter);
        assert_eq!(failure.message(), "`envName` must not be empty");
        assert_eq!(failure.detail("parameter"), Some("envName"));
    }

    #[test]
    fn a_text_that_repeats_too_much_keeps_its_ends() {
        for (letter, length) in [("x", 60_000), ("ä", 30_000), ("𝄞", 15_000), ("x", MOST_TEXT)] {
            let failure = Failure::invalid("apiList", format!("holds `{}`, which is none", letter.repeat(length)));
            let message = failure.message();
            assert!(message.len() <= MOST_TEXT && message.len() > MOST_TEXT - 10, "{}", message.len());
            assert!(message.starts_with("`apiList` holds `") && message.ends_with("`, which is none"), "{message}");
            assert!(message.contains(" … "), "{message}");
        }
        let whole = "x".repeat(MOST_TEXT);
        assert_eq!(Failure::new(ErrorKind::InvalidParameter, whole.clone()).message(), whole);
    }

    #[test]
    fn a_foreign_status_is_an_outage_or_an_internal_error_and_keeps_its_text_to_itself() {
        for (code, kind) in [
            (Code::Unavailable, ErrorKind::Unavailable),
            (Code::DeadlineExceeded, ErrorKind::Unavailable),
            (Code::ResourceExhausted, ErrorKind::Unavailable),
            (Code::OutOfRange, ErrorKind::RequestTooLarge),
            (Code::Unauthenticated, ErrorKind::Internal),
            (Code::Unknown, ErrorKind::Internal),
        ] {
            let failure = Failure::from(Status::new(code, "10.0.0.7:5432 refused"));
            assert_eq!(failure.kind(), kind);
            assert!(!failure.message().contains("10.0.0.7"));
        }
    }
}
