//! The dashboard's own requests, and the session that its browser keeps in a cookie: no script ever sees it, and no other site can
//! have it used. A cookie counts only beside the proof that the page itself asks: by POST, from the gateway's own origin. Whatever
//! else comes with one is a request without a credential.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::header::{COOKIE, HOST, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderName, Method as Verb};
use url::Url;
use zeroize::Zeroizing;

/// The cookie. Browsers take one of such a name only with `Secure`, for the whole site, and from no other host.
const NAME: &str = "__Host-portcullis";
/// By this header, with the value `cookie`, the page asks for a session as a cookie in place of the answer's member.
const WISH: HeaderName = HeaderName::from_static("portcullis-session");
/// What browsers say of where a request comes from (Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a call has to do with the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CookieUse {
    /// Its credential is the session in the cookie.
    pub(crate) shown: bool,
    /// The session that it opens is for the cookie.
    pub(crate) wanted: bool,
}

/// Where the page is.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// As it is known outside, where the operator has said it.
    public: Option<Url>,
}

impl Page {
    pub(crate) fn new(public: Option<Url>) -> Self {
        Self { public }
    }

    /// Whether a request is the page's own.
    pub(crate) fn asks(&self, parts: &Parts) -> bool {
        if parts.method != Verb::POST || one(parts, &SITE).is_some_and(|site| site != Some("same-origin")) {
            return false;
        }
        // Every browser says it of a POST.
        let Some(Some(origin)) = one(parts, &ORIGIN) else { return false };
        let Some(origin) = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return false;
        };
        if let Some(public) = self.public.as_ref().filter(|public| public.authority() == origin.authority()) {
            return public.origin() == origin.origin();
        }
        let host = parts.uri.authority().map(http::uri::Authority::as_str).or_else(|| one(parts, &HOST).flatten());
        let host = host.and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok());
        host.is_some_and(|host| host.origin() == origin.origin())
    }

    /// The session in the cookie of a request of the page's.
    pub(crate) fn session(&self, parts: &Parts) -> Option<Zeroizing<String>> {
        if !self.asks(parts) {
            return None;
        }
        let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|text| Cookie::parse(text.trim()).ok());
        let session = cookies.find(|cookie| cookie.name() == NAME)?;
        Some(Zeroizing::new(session.value().to_owned())).filter(|value| !value.is_empty())
    }

    /// Whether the page asks for a session as a cookie.
    pub(crate) fn wants_cookie(&self, parts: &Parts) -> bool {
        one(parts, &WISH) == Some(Some("cookie")) && self.asks(parts)
    }
}

/// The value of a header; `Some(None)` where it is there and none that could be right.
fn one<'a>(parts: &'a Parts, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = parts.headers.get_all(name).iter();
    let first = values.next()?;
    Some(first.to_str().ok().filter(|_| values.next().is_none()))
}

/// `Set-Cookie` for a session: as long as the browser runs, unless it ends before.
pub(crate) fn kept(session: &str) -> Option<HeaderValue> {
    written(&cookie(session))
}

/// `Set-Cookie` by which a browser forgets it.
pub(crate) fn forgotten() -> Option<HeaderValue> {
    let mut gone = cookie("");
    gone.set_max_age(cookie::time::Duration::try_from(Duration::ZERO).ok());
    written(&gone)
}

fn cookie(value: &str) -> Cookie<'_> {
    Cookie::build((NAME, value)).secure(true).http_only(true).same_site(SameSite::Strict).path("/").build()
}

fn written(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(verb: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(verb).uri("/1.0/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const HOST: (&str, &str) = ("host", "api.example.org:8443");
    const ORIGIN: (&str, &str) = ("origin", "https://api.example.org:8443");
    const KEPT: (&str, &str) = ("cookie", "a=b; __Host-portcullis=pcl_ses_x; c=d");

    fn session(public: Option<&str>, verb: &str, headers: &[(&str, &str)]) -> bool {
        let page = Page::new(public.map(|url| url.parse().unwrap()));
        let session = page.session(&parts(verb, headers));
        assert!(session.as_ref().is_none_or(|session| session.as_str() == "pcl_ses_x"));
        session.is_some()
    }

    #[test]
    fn the_page_is_known_by_its_origin() {
        assert!(session(None, "POST", &[HOST, ORIGIN, KEPT]));
        assert!(session(None, "POST", &[HOST, ORIGIN, KEPT, ("sec-fetch-site", "same-origin")]));
        assert!(!session(None, "POST", &[HOST, ORIGIN]), "there is none");
        assert!(!session(None, "POST", &[HOST, ORIGIN, ("cookie", "__Host-portcullis=")]));
        assert!(!session(None, "POST", &[HOST, ORIGIN, ("cookie", "portcullis=pcl_ses_x")]));
    }

    #[test]
    fn a_cookie_does_nothing_for_anybody_else() {
        assert!(!session(None, "GET", &[HOST, ORIGIN, KEPT]));
        assert!(!session(None, "POST", &[HOST, KEPT]), "no browser leaves it out");
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!session(None, "POST", &[HOST, ORIGIN, KEPT, ("sec-fetch-site", site)]), "{site}");
        }
        for origin in [
            "https://evil.example.org",
            "https://api.example.org",
            "https://api.example.org:8443.evil.example.org",
            "https://evil.example.org#api.example.org:8443",
            "null",
            "",
            "file://api.example.org:8443",
        ] {
            assert!(!session(None, "POST", &[HOST, KEPT, ("origin", origin)]), "{origin}");
        }
        assert!(!session(None, "POST", &[HOST, ORIGIN, ("origin", "https://evil.example.org"), KEPT]), "two are none");
        assert!(!session(None, "POST", &[ORIGIN, KEPT]), "of no host");
    }

    #[test]
    fn behind_a_proxy_the_public_address_counts_and_its_scheme() {
        let public = Some("https://portcullis.example.org");
        let origin = ("origin", "https://portcullis.example.org");
        assert!(session(public, "POST", &[HOST, origin, KEPT]));
        assert!(!session(public, "POST", &[HOST, ("origin", "http://portcullis.example.org"), KEPT]));
        let host = ("host", "portcullis.example.org");
        assert!(!session(public, "POST", &[host, ("origin", "http://portcullis.example.org"), KEPT]));
        assert!(session(public, "POST", &[HOST, ORIGIN, KEPT]), "by its own address as well");
    }

    #[test]
    fn no_script_sees_it_and_no_other_site_sends_it() {
        let kept = kept("pcl_ses_x").unwrap();
        assert_eq!(kept, "__Host-portcullis=pcl_ses_x; HttpOnly; SameSite=Strict; Secure; Path=/");
        assert!(!format!("{kept:?}").contains("pcl_ses_x"));
        let forgotten = forgotten().unwrap();
        assert_eq!(forgotten, "__Host-portcullis=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0");
    }
}
