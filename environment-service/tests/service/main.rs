//! The environment-service through its gRPC surface: with a real authority, real databases and real processes.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod authority;
mod crash;
mod grants;
mod input;
mod lifetime;
mod methods;
mod operations;
mod stage;
mod watching;
