use std::time::Duration;

use tonic::transport::Endpoint;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection may be silent before it is asked for a sign of life, and how long that may take.
const SILENCE: Duration = Duration::from_secs(10);

/// A service at an address. A call there may take its time, so what tells that the service is gone is its connection.
pub(crate) fn endpoint(url: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned()).ok()?;
    let uri = endpoint.uri();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return None;
    }
    let endpoint = endpoint.connect_timeout(CONNECT);
    Some(endpoint.http2_keep_alive_interval(SILENCE).keep_alive_timeout(SILENCE))
}
