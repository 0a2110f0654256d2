//! TLS for listeners and between services: certificates that are read anew when their files change, connections that know who is at
//! their other end, and the rule where text may be plain. It must not know what is said over a connection, nor any service.

mod certificate;
mod certificates;
mod config;
mod connector;
mod listener;
mod plain;
mod stream;

pub use certificates::Certificates;
pub use config::{ListenerConfig, MutualConfig, TlsError};
pub use connector::Connector;
pub use listener::{Incoming, Listener, accept};
pub use plain::{PlainTextError, may_connect, may_listen};
pub use stream::{Peer, Stream};
