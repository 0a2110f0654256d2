//! The whole system as its users have it: three processes of their own, reached over HTTP and gRPC; or the
//! authority alone. Only for tests and benchmarks.

mod authority;
mod certificates;
mod client;
mod events;
mod stack;

pub use authority::{Authority, AuthorityClient, with_grant};
pub use certificates::{Certificates, SERVICES};
pub use client::{Answer, Client};
pub use events::Events;
pub use stack::{CLIENT_NAME, LOGIN, PASSWORD, Setting, Stack, gone, run, stacks};
