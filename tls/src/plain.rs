//! Where text may be plain: on this machine's own addresses, and where the operator has said so.

use std::net::{IpAddr, SocketAddr};

/// An address that others can reach, or listen in on, without TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlainTextError {
    /// It would be listened on.
    #[error(
        "{key}: {address} can be reached from elsewhere, and has no TLS: give [tls], or say `allow_plaintext = true`"
    )]
    Listen {
        /// The key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// It would be connected to.
    #[error(
        "{key}: {host} is not this machine, and is reached without TLS: use https, or say `allow_plaintext = true`"
    )]
    Connect {
        /// The key.
        key: String,
        /// The host.
        host: String,
    },
    /// TLS is asked for, and nothing is given by which this service would be known.
    #[error("{key}: https needs [{section}], the certificate by which this service is known to others")]
    NoCertificate {
        /// The key.
        key: String,
        /// The section that is missing.
        section: &'static str,
    },
}

/// Whether an address may be listened on.
///
/// # Errors
/// Where it is not of the loopback, is without TLS, and was not allowed to be.
pub fn may_listen(key: &'static str, address: SocketAddr, tls: bool, allowed: bool) -> Result<(), PlainTextError> {
    let fits = tls || allowed || address.ip().to_canonical().is_loopback();
    if fits { Ok(()) } else { Err(PlainTextError::Listen { key, address }) }
}

/// Whether a service may be called at an address; `section` is where the certificate for that would be, and `tls` whether it is there.
///
/// # Errors
/// Where it is not of the loopback, is without TLS, and was not allowed to be; or is with TLS, and there is no certificate.
pub fn may_connect(
    key: &str,
    uri: &http::Uri,
    (section, tls): (&'static str, bool),
    allowed: bool,
) -> Result<(), PlainTextError> {
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") if tls => Ok(()),
        Some("https") => Err(PlainTextError::NoCertificate { key: key.to_owned(), section }),
        _ if allowed || is_loopback(host) => Ok(()),
        _ => Err(PlainTextError::Connect { key: key.to_owned(), host: host.to_owned() }),
    }
}

/// A name is another machine's for all that can be known here, but for the one that is reserved (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_listened_on_in_plain_text() {
        let listen = |address: &str, tls, allowed| may_listen("listen", address.parse().unwrap(), tls, allowed).is_ok();
        for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(listen(address, false, false), "{address}");
        }
        for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "192.0.2.1:80"] {
            assert!(!listen(address, false, false), "{address}");
            assert!(listen(address, true, false) && listen(address, false, true), "{address}");
        }
        let error = may_listen("listen", "0.0.0.0:8080".parse().unwrap(), false, false).unwrap_err().to_string();
        assert!(error.starts_with("listen: 0.0.0.0:8080") && error.contains("allow_plaintext"), "{error}");
    }

    #[test]
    fn only_the_loopback_is_called_in_plain_text() {
        let connect =
            |uri: &str, tls, allowed| may_connect("url", &uri.parse().unwrap(), ("tls", tls), allowed).is_ok();
        for uri in ["http://127.0.0.1:9001", "http://localhost:9001", "http://[::1]:9001"] {
            assert!(connect(uri, false, false) && connect(uri, true, false), "{uri}");
        }
        for uri in
            ["http://10.0.0.1:9001", "http://token-service:9001", "http://localhost.example.org", "http://[::]:1"]
        {
            assert!(!connect(uri, false, false) && !connect(uri, true, false), "{uri}");
            assert!(connect(uri, false, true), "{uri}");
        }
        assert!(connect("https://token-service:9001", true, false));
        assert!(!connect("https://token-service:9001", false, false) && !connect("https://127.0.0.1:1", false, true));
    }
}
