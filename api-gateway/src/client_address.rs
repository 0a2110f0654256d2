//! The address that a call comes from. A proxy is believed only where the configuration says so.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies note whom they stand for, each at the end of what came to it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whose word about a caller's address counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The caller's address: the connection's other end, or, as long as that is a trusted proxy, whom it stands for.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        let mut noted = values.iter().flat_map(|value| value.split(',')).rev();
        while self.trusts(client) {
            // What is no address was written by nobody who is trusted: the proxy that passed it on is all that is known.
            let Some(Ok(next)) = noted.next().map(|text| text.trim().parse::<IpAddr>()) else { break };
            client = next.to_canonical();
        }
        client
    }

    /// Whether somebody is one of them.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR.parse().unwrap(), value.parse().unwrap()));
        proxies.client(peer.parse().unwrap(), &headers.collect()).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_the_configuration_says_so() {
        assert_eq!(client(&[], "10.0.0.1", &["203.0.113.9"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_stands_for_the_last_that_it_noted() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(client(&proxies, "::ffff:10.0.0.1", &["198.51.100.7, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&proxies, "10.0.0.1", &["198.51.100.7", "203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(client(&proxies, "2001:db8::1", &["2001:db9::7"]), "2001:db9::7");
        assert_eq!(client(&proxies, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(&proxies, "10.0.0.1", &["203.0.113.9, nonsense"]), "10.0.0.1");
        assert_eq!(client(&proxies, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }
}
