//! The gateway over real sockets, between a client and gRPC services that the tests hold in their hands: what they say, when
//! they say it and whether they are there at all.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod answers;
mod authority;
mod calls;
mod client;
mod connections;
mod floods;
mod leases;
mod load;
mod logs;
mod metrics;
mod outages;
mod rate_limits;
mod raw;
mod refused_heads;
mod requests;
mod slow_clients;
mod stage;
mod standards;
mod streams;
mod tls;
mod upstream;
