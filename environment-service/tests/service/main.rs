//! The environment-service through its gRPC surface: with a real authority, real databases and real processes.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

#[path = "../common/authority.rs"]
mod authority;
mod bounds;
mod crash;
mod departed;
mod grants;
mod input;
#[path = "../common/killing.rs"]
mod killing;
mod lifetime;
mod methods;
mod operations;
#[path = "../common/stage.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod stage;
mod watching;
