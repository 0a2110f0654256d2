use std::net::IpAddr;

use prost::Message;
use proto::token::v1::Origin as WireOrigin;

/// The gRPC metadata in which a gateway says where a call came in. It counts beside the key of a service only.
pub const ORIGIN_HEADER: &str = "portcullis-origin-bin";

/// The gRPC metadata in which a gateway shows its own service key beside an origin, where `authorization` is the key of the
/// service for which it asks.
pub const GATEWAY_KEY_HEADER: &str = "portcullis-gateway-key";

/// How much of a program's name for itself is kept, in characters.
const USER_AGENT: usize = 255;

/// Where a call came in: for limits, for the account's owner and for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// What the caller's program calls itself.
    pub user_agent: String,
    /// The call's name in logs.
    pub request_id: String,
}

impl Origin {
    /// An origin, with the program's name cut to what is kept and without control characters.
    #[must_use]
    pub fn new(address: Option<IpAddr>, user_agent: &str, request_id: &str) -> Self {
        let printable = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(USER_AGENT).collect();
        Self {
            address: address.map(|address| address.to_canonical()),
            user_agent: printable(user_agent),
            request_id: printable(request_id),
        }
    }

    /// For [`ORIGIN_HEADER`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = WireOrigin {
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            user_agent: self.user_agent.clone(),
            request_id: self.request_id.clone(),
        };
        wire.encode_to_vec()
    }

    /// From [`ORIGIN_HEADER`]; `None` where it cannot be read.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = WireOrigin::decode(bytes).ok()?;
        Some(Self::new(wire.address.parse().ok(), &wire.user_agent, &wire.request_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_holds_nothing_endless() {
        let origin = Origin::new(Some("::ffff:10.0.0.1".parse().unwrap()), &"x\n".repeat(300), "id");
        assert_eq!(origin.address, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(origin.user_agent, "x".repeat(255));
        assert_eq!(Origin::from_bytes(&origin.to_bytes()), Some(origin));
        assert_eq!(Origin::from_bytes(b"\xff\xff"), None);
    }
}
