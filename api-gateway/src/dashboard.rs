//! The dashboard's files, as the build of `dashboard/` has left them: in the binary, each under the policies of the page. Without
//! that build the gateway says how to get it.

use std::borrow::Cow;
use std::fmt::Write;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, Method as Verb, StatusCode};
use rust_embed::{Embed, EmbeddedFile};
use uuid::Uuid;

/// What the build has made; nothing where it was not run.
#[derive(Embed)]
#[folder = "../dashboard/dist"]
#[allow_missing = true]
struct Files;

/// The page itself, which is completed for each request.
const PAGE: &str = "index.html";
/// What stands in it for the nonce.
const NONCE: &str = "%NONCE%";
/// The places within the page that have an address.
const PLACES: [&str; 3] = ["/environments", "/settings", "/docs"];
/// Files under these names have others' names as soon as they change.
const HASHED: &str = "assets/";

const ABSENT: &str = "\
This gateway was built without the dashboard. `cargo xtask up` builds both; by itself the dashboard is built by
`npm ci && npm run build` in the folder `dashboard`, with Node 20 or later, before the gateway.

The API is at /1.0/, its description at /openapi.json.
";

/// The compressions that files are there in, the better first: how they are called, and how the files end.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The answer to a request of the page or of one of its files; nothing where it is of neither.
pub(crate) fn answer(request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Verb::GET | Verb::HEAD) {
        return None;
    }
    let path = request.uri().path();
    if is_place(path) {
        return Some(page(Files::get(PAGE)));
    }
    // The page's own text has no sense as a file.
    let name = path.trim_start_matches('/');
    let hidden = name == PAGE || name.starts_with('.') || ENCODINGS.iter().any(|(_, end)| name.ends_with(end));
    let file = if hidden { None } else { Files::get(name) }?;
    Some(asset(name, file, request.headers(), Files::get))
}

fn is_place(path: &str) -> bool {
    let within = |place: &&str| path.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == "/" || PLACES.iter().any(within)
}

fn page(file: Option<EmbeddedFile>) -> Response {
    let Some(text) = file.and_then(|file| String::from_utf8(file.data.into_owned()).ok()) else {
        let mut absent = response(StatusCode::NOT_FOUND, Body::from(ABSENT), "text/plain; charset=utf-8");
        absent.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return absent;
    };
    let nonce = Uuid::new_v4().simple().to_string();
    let mut page = response(StatusCode::OK, Body::from(text.replace(NONCE, &nonce)), "text/html; charset=utf-8");
    let headers = page.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::try_from(policy(&nonce)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    );
    page
}

/// Nothing but the page's own files, and the styles that its components make, which know the nonce.
fn policy(nonce: &str) -> String {
    let mut policy = String::from("default-src 'none'; script-src 'self'; connect-src 'self'; font-src 'self'; ");
    let Ok(()) = write!(policy, "img-src 'self' data:; style-src 'self' 'nonce-{nonce}'; ") else {
        unreachable!("a String takes all")
    };
    policy + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

/// A file, compressed where it is there so and its reader takes it.
fn asset(name: &str, file: EmbeddedFile, headers: &HeaderMap, get: impl Fn(&str) -> Option<EmbeddedFile>) -> Response {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let compressed = ENCODINGS.iter().find_map(|(encoding, end)| {
        accepts(accepted, encoding).then(|| get(&format!("{name}{end}")))?.map(|file| (*encoding, file))
    });
    let kind = file.metadata.mimetype().to_owned();
    let (encoding, file) = compressed.map_or((None, file), |(encoding, file)| (Some(encoding), file));
    let tag = tag(&file);
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| value.as_bytes() == tag.as_bytes());
    let body = |data: Cow<'static, [u8]>| match data {
        Cow::Borrowed(data) => Body::from(data),
        Cow::Owned(data) => Body::from(data),
    };
    let (status, body) =
        if known { (StatusCode::NOT_MODIFIED, Body::empty()) } else { (StatusCode::OK, body(file.data)) };
    let mut response = response(status, body, &kind);
    let headers = response.headers_mut();
    let lasting = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(lasting));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn tag(file: &EmbeddedFile) -> String {
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        let Ok(()) = write!(tag, "{byte:02x}") else { unreachable!("a String takes all") };
    }
    tag + "\""
}

/// Whether an encoding is named among those that are accepted, and not as one that is not (`q=0`).
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32));
        named && !parts.any(refused)
    })
}

fn response(status: StatusCode, body: Body, kind: &str) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(data: &'static str) -> EmbeddedFile {
        let hash = [u8::try_from(data.len()).unwrap(); 32];
        let metadata = rust_embed::Metadata::__rust_embed_new(hash, None, None, "text/css");
        EmbeddedFile { data: Cow::Borrowed(data.as_bytes()), metadata }
    }

    #[test]
    fn a_place_of_the_page_is_the_page() {
        for path in ["/", "/environments", "/environments/shop", "/settings/tokens", "/docs"] {
            assert!(is_place(path), "{path}");
        }
        for path in ["", "/environmentsx", "/1.0/environment", "/index.html", "/docs.json"] {
            assert!(!is_place(path), "{path}");
        }
    }

    #[tokio::test]
    async fn each_page_has_a_nonce_of_its_own_and_no_other_script_or_style() {
        let mut nonces = Vec::new();
        for _ in 0..2 {
            let page = page(Some(file("<meta content=\"%NONCE%\">")));
            let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
            let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
            assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
            let body = axum::body::to_bytes(page.into_body(), 1000).await.unwrap();
            assert_eq!(body, format!("<meta content=\"{nonce}\">"));
            nonces.push(nonce);
        }
        assert_ne!(nonces[0], nonces[1]);
    }

    #[tokio::test]
    async fn without_the_build_it_is_told_how_to_get_it() {
        let page = page(None);
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        let body = axum::body::to_bytes(page.into_body(), 10_000).await.unwrap();
        assert!(str::from_utf8(&body).unwrap().contains("npm ci && npm run build"));
    }

    #[test]
    fn a_file_is_sent_once_and_as_small_as_its_reader_takes_it() {
        let answer = |name: &str, headers: &[(HeaderName, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            asset(name, file("body{}"), &headers, |name| name.ends_with(".br").then(|| file("small")))
        };
        let plain = answer("assets/a.css", &[]);
        assert_eq!(plain.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!((plain.status(), plain.headers().get(CONTENT_ENCODING)), (StatusCode::OK, None));
        assert_eq!(plain.headers()[CONTENT_TYPE], "text/css");
        assert_eq!(answer("favicon.svg", &[]).headers()[CACHE_CONTROL], "no-cache");
        for (accepted, encoding) in
            [("gzip, br", Some("br")), ("br;q=0", None), ("gzip", None), ("BR;q=0.5", Some("br"))]
        {
            let answer = answer("assets/a.css", &[(ACCEPT_ENCODING, accepted)]);
            let told = answer.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(told, encoding, "{accepted}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "text/css");
        }
        let tag = plain.headers()[ETAG].to_str().unwrap();
        assert_eq!(answer("assets/a.css", &[(IF_NONE_MATCH, tag)]).status(), StatusCode::NOT_MODIFIED);
        let other = answer("assets/a.css", &[(IF_NONE_MATCH, tag), (ACCEPT_ENCODING, "br")]);
        assert_eq!(other.status(), StatusCode::OK, "another form of it is another");
    }
}
