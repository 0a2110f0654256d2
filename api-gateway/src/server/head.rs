use std::collections::VecDeque;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode;
use proto::{ErrorKind, Failure};

use crate::answer::Form;
use crate::http_request::MAX_FIELDS;

/// The largest head of a request, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// A longer name is none that could be told.
const MAX_NAME_BYTES: usize = 64;
/// The longest `Accept` that is looked at.
const MAX_ACCEPT_BYTES: usize = 1024;
const ACCEPT_FIELD: &[u8] = b"accept:";

/// How many heads are read before the first of them is answered. What comes behind them is not told by its names.
const MAX_AHEAD: usize = 16;

/// The head that the HTTP server reads, and those that were sent behind it.
#[derive(Default)]
pub(super) struct Heads {
    current: Head,
    ahead: VecDeque<Head>,
}

impl Heads {
    /// Takes in what comes next.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut rest = self.ahead.back_mut().unwrap_or(&mut self.current).read(bytes);
        while !rest.is_empty() && self.ahead.len() < MAX_AHEAD {
            let mut head = Head::default();
            rest = head.read(rest);
            self.ahead.push_back(head);
        }
    }

    /// How many bytes the head that is being read may still have, at least one.
    pub(super) fn room(&self) -> usize {
        let last = self.ahead.back().unwrap_or(&self.current);
        let bytes = if last.is_complete() { 0 } else { last.bytes };
        MAX_HEAD_BYTES.saturating_sub(bytes).max(1)
    }

    /// So many of them have become calls.
    pub(super) fn advance(&mut self, calls: usize) {
        for _ in 0..calls {
            self.current = self.ahead.pop_front().unwrap_or_default();
        }
    }

    /// The one that the HTTP server has not answered yet.
    pub(super) fn take_current(&mut self) -> Head {
        std::mem::take(&mut self.current)
    }
}

/// The parts of a head (RFC 9112, section 3).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Method,
    Path,
    Name,
    Value,
    Version,
    LineStart,
    Field,
    End,
}

/// Reads along with the HTTP server, so that a refused head can be told by the name of the parameter that is wrong. Of what is
/// sent it keeps two names of parameters and `Accept`, and no value.
#[derive(Default)]
pub(super) struct Head {
    part: Part,
    bytes: usize,
    fields: usize,
    fields_bytes: usize,
    method: Vec<u8>,
    version_bytes: usize,
    parameter: Parameter,
    longest: Parameter,
    unescaped: Option<Place>,
    field: Option<Vec<u8>>,
    accept: Option<HeaderValue>,
}

#[derive(Clone, Default)]
struct Parameter {
    name: Vec<u8>,
    bytes: usize,
}

/// Where a byte stands that no URL may have.
enum Place {
    Path,
    Parameter(Parameter),
}

impl Head {
    /// Takes in what comes next, and answers what comes after its end.
    pub(super) fn read<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while !self.is_complete()
            && let Some((byte, rest)) = bytes.split_first()
        {
            self.step(*byte);
            bytes = self.skip(rest);
        }
        bytes
    }

    /// Passes over bytes of which only the number counts: most of a value, and of a field that is not `Accept`.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%+".contains(byte);
        let (counted, end) = match self.part {
            Part::Value => (&mut self.parameter.bytes, bytes.iter().position(|byte| !plain(byte))),
            Part::Field if self.field.is_none() => {
                (&mut self.fields_bytes, bytes.iter().position(|byte| *byte == b'\n'))
            }
            _ => return bytes,
        };
        let (skipped, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        *counted += skipped.len();
        self.bytes += skipped.len();
        rest
    }

    pub(super) fn is_complete(&self) -> bool {
        self.part == Part::End
    }

    /// Whether it asks for the head of an answer only.
    pub(super) fn is_of_head(&self) -> bool {
        self.method == b"HEAD"
    }

    /// How its sender wants to be told of a failure.
    pub(super) fn form(&self) -> Form {
        Form::accepted(&HeaderMap::from_iter(self.accept.clone().map(|value| (ACCEPT, value))))
    }

    /// What is wrong with a head that the HTTP server refuses with this status.
    pub(super) fn failure(&self, status: StatusCode) -> Failure {
        if status == StatusCode::BAD_REQUEST { self.malformed() } else { self.too_large() }
    }

    fn too_large(&self) -> Failure {
        let longest = if self.parameter.bytes > self.longest.bytes { &self.parameter } else { &self.longest };
        if longest.bytes > self.fields_bytes.max(MAX_HEAD_BYTES / 2)
            && let Some(name) = longest.shown()
        {
            let problem = format!("is too long: the head of a request has at most {MAX_HEAD_BYTES} bytes");
            return Failure::invalid(&name, problem);
        }
        let bound = if self.bytes < MAX_HEAD_BYTES && self.fields > MAX_FIELDS {
            format!("{MAX_FIELDS} fields")
        } else {
            format!("{MAX_HEAD_BYTES} bytes")
        };
        Failure::new(ErrorKind::RequestTooLarge, format!("the head of the request has more than {bound}"))
    }

    fn malformed(&self) -> Failure {
        let malformed = |text: &str| Failure::new(ErrorKind::InvalidParameter, text);
        match &self.unescaped {
            Some(Place::Parameter(parameter)) => match parameter.shown() {
                Some(name) => Failure::invalid(&name, "must be percent-encoded"),
                None => malformed("the query must be percent-encoded"),
            },
            Some(Place::Path) => malformed("the path must be percent-encoded"),
            None => malformed("the head of the request is malformed"),
        }
    }

    fn step(&mut self, byte: u8) {
        // Empty lines before a request are none of it (RFC 9112, section 2.2).
        if self.bytes == 0 && matches!(byte, b'\r' | b'\n') {
            return;
        }
        self.bytes += 1;
        self.fields_bytes += usize::from(matches!(self.part, Part::LineStart | Part::Field));
        match (self.part, byte) {
            (Part::Field, b'\n') => self.end_field(),
            (Part::LineStart, b'\n') => self.part = Part::End,
            (_, b'\n') => self.enter(Part::LineStart),
            (Part::Method, b' ') => self.enter(Part::Path),
            (Part::Method, _) => push(&mut self.method, byte, MAX_NAME_BYTES),
            (Part::Path | Part::Name | Part::Value, b' ') => self.enter(Part::Version),
            (Part::Path, b'?') | (Part::Name | Part::Value, b'&') => self.enter(Part::Name),
            (Part::Name, b'=') => self.part = Part::Value,
            (Part::Path | Part::Name | Part::Value, _) => self.target(byte),
            (Part::Version, _) => self.version(byte),
            (Part::LineStart, b'\r') | (Part::End, _) => {}
            (Part::LineStart, _) => {
                self.fields += 1;
                self.part = Part::Field;
                self.field = Some(Vec::new());
                self.push_field(byte);
            }
            (Part::Field, _) => self.push_field(byte),
        }
    }

    /// Goes on to another part. A parameter stays the last one until another begins: a blank in its value looks like its end,
    /// until no version follows.
    fn enter(&mut self, part: Part) {
        if part == Part::Name {
            let last = std::mem::take(&mut self.parameter);
            if last.bytes > self.longest.bytes {
                self.longest = last;
            }
        }
        self.part = part;
    }

    fn target(&mut self, byte: u8) {
        if self.part == Part::Name {
            push(&mut self.parameter.name, byte, MAX_NAME_BYTES + 1);
        } else if self.part == Part::Value {
            self.parameter.bytes += 1;
        }
        let in_path = self.part == Part::Path;
        let refused = if in_path { b'`' } else { b'"' };
        if byte == refused || matches!(byte, 0..=0x0c | 0x0e..=b' ' | b'<' | b'>' | 0x7f..=0xff) {
            self.unescaped(in_path);
        }
    }

    fn version(&mut self, byte: u8) {
        if b"HTTP/".get(self.version_bytes).is_some_and(|expected| *expected != byte) {
            self.unescaped(self.parameter.name.is_empty());
        }
        self.version_bytes += 1;
    }

    fn unescaped(&mut self, in_path: bool) {
        let place = || if in_path { Place::Path } else { Place::Parameter(self.parameter.clone()) };
        self.unescaped.get_or_insert_with(place);
    }

    /// Keeps a field as long as it may be `Accept`.
    fn push_field(&mut self, byte: u8) {
        let Some(field) = &mut self.field else { return };
        let other = ACCEPT_FIELD.get(field.len()).is_some_and(|letter| !letter.eq_ignore_ascii_case(&byte));
        if other || field.len() == MAX_ACCEPT_BYTES {
            self.field = None;
        } else {
            field.push(byte);
        }
    }

    fn end_field(&mut self) {
        let field = self.field.take().unwrap_or_default();
        if let Some(value) = field.get(ACCEPT_FIELD.len()..).filter(|_| self.accept.is_none()) {
            self.accept = HeaderValue::from_bytes(value.trim_ascii()).ok();
        }
        self.part = Part::LineStart;
    }
}

impl Parameter {
    /// Its name, if it can be one; what may hold a credential is not told.
    fn shown(&self) -> Option<String> {
        let name = String::from_utf8(percent_decode(&self.name).collect()).ok()?;
        let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-[]".contains(letter));
        let fits = !name.is_empty() && self.name.len() <= MAX_NAME_BYTES;
        (fits && plain && !name.to_ascii_lowercase().contains("pcl_")).then_some(name)
    }
}

fn push(text: &mut Vec<u8>, byte: u8, max: usize) {
    if text.len() < max {
        text.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(bytes: &[u8]) -> Head {
        let mut head = Head::default();
        head.read(bytes);
        head
    }

    fn refused(status: StatusCode, bytes: &[u8]) -> String {
        head(bytes).failure(status).message().to_owned()
    }

    #[test]
    fn the_longest_parameter_is_named_where_it_is_too_long() {
        let long = "x".repeat(MAX_HEAD_BYTES);
        let third = "x".repeat(MAX_HEAD_BYTES / 3);
        let size = "the head of the request has more than 65536 bytes";
        let named = "`envName` is too long: the head of a request has at most 65536 bytes";
        for (target, text) in [
            (format!("/?session=s&envName={long}&a=b"), named),
            (format!("/?env%4eame={long}"), named),
            (format!("/?a={third}&b={third}&envName={long}{long}"), named),
            (format!("/?a={third}&b={third}&c={third}&d={third}"), size),
            (format!("/?{long}"), size),
            (format!("/?a{long}=b"), size),
            (format!("/?pcl_pat_abc={long}"), size),
            (format!("/?={long}"), size),
            (format!("/?<b>={long}"), size),
            (format!("/{long}?a=b"), size),
            (format!("/?envName={third}{third} HTTP/1.1\r\nx: {long}"), size),
        ] {
            for end in ["", " HTTP/1.1\r\nhost: x\r\n\r\n"] {
                let head = format!("\r\nGET {target}{end}");
                assert_eq!(refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, head.as_bytes()), text);
            }
        }
        let fields = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        let text = refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, fields.as_bytes());
        assert_eq!(text, "the head of the request has more than 100 fields");
    }

    #[test]
    fn what_no_url_may_have_is_told_by_its_place() {
        let path = "the path must be percent-encoded";
        for (head, text) in [
            ("GET /<x>?a=b HTTP/1.1\r\n\r\n", path),
            ("GET /\u{1}", path),
            ("GET /a b HTTP/1.1\r\n\r\n", path),
            ("GET /?a=b&envName=<x>&c=d HTTP/1.1\r\n\r\n", "`envName` must be percent-encoded"),
            ("GET /?a=b&envName=x y HTTP/1.1\r\n\r\n", "`envName` must be percent-encoded"),
            ("GET /?a=b&pcl_pat_x=\" HTTP/1.1\r\n\r\n", "the query must be percent-encoded"),
            ("GET /?a=b HTTP/1.1\r\nx y: z\r\n\r\n", "the head of the request is malformed"),
            ("nonsense\r\n\r\n", "the head of the request is malformed"),
        ] {
            assert_eq!(refused(StatusCode::BAD_REQUEST, head.as_bytes()), text, "{head:?}");
        }
    }

    #[test]
    fn heads_follow_each_other() {
        let mut heads = Heads::default();
        heads.read(b"GET /<x> HTTP/1.1\r\nACCEPT: application/problem+json\r\nacc: x\r\n\r\nHEAD / HTTP/1.1\n\n\r\nGET /?a=<x>");
        heads.read(b"&b HTTP/1.1\r\n\r\n");
        assert_eq!((heads.current.is_complete(), heads.current.form()), (true, Form::Problem));
        assert_eq!(heads.current.failure(StatusCode::BAD_REQUEST).message(), "the path must be percent-encoded");
        heads.advance(1);
        assert!(heads.current.is_complete() && heads.current.is_of_head());
        assert_eq!(heads.current.form(), Form::Platform);
        heads.advance(1);
        assert_eq!(heads.take_current().failure(StatusCode::BAD_REQUEST).message(), "`a` must be percent-encoded");
    }

    proptest! {
        #[test]
        fn little_is_kept_of_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..4096), cut in 0..4096_usize) {
            let (first, rest) = bytes.split_at(cut.min(bytes.len()));
            let mut head = head(first);
            head.read(rest);
            let kept = head.method.len() + head.parameter.name.len() + head.longest.name.len();
            prop_assert!(kept <= 3 * (MAX_NAME_BYTES + 1));
            prop_assert!(head.field.as_ref().is_none_or(|field| field.len() <= MAX_ACCEPT_BYTES));
            let _ = (head.form(), head.failure(StatusCode::BAD_REQUEST), head.failure(StatusCode::URI_TOO_LONG));
        }
    }
}
