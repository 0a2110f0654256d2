//! The same parameters in each of the forms that clients send them in.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// Names and values, in their order.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What no value is expected to hold.
const BOUNDARY: &str = "the-boundary-of-a-fuzzer";

/// A form with all characters escaped.
pub(crate) fn encoded(pairs: &Pairs) -> String {
    let escaped = |text: &[u8]| percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// As the query of a GET; nothing where it is too long for one.
pub(crate) fn in_query(path: &str, pairs: &Pairs) -> Option<Request<Bytes>> {
    Request::get(format!("{path}?{}", encoded(pairs))).body(Bytes::new()).ok()
}

/// As a form in the body of a POST.
pub(crate) fn in_form(path: &str, pairs: &Pairs) -> Option<Request<Bytes>> {
    let post = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8");
    post.body(encoded(pairs).into()).ok()
}

/// As `multipart/form-data`; nothing where a name would have to be escaped there.
pub(crate) fn in_parts(path: &str, pairs: &Pairs) -> Option<Request<Bytes>> {
    let mut body = Vec::new();
    for (name, value) in pairs {
        let name = str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let form = format!("multipart/form-data; boundary={BOUNDARY}");
    Request::post(path).header(CONTENT_TYPE, form).body(body.into()).ok()
}
