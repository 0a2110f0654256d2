//! The environment-service with a real Docker engine, through its gRPC surface.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

#[path = "../common/authority.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod authority;
mod compose;
mod host;
#[path = "../common/killing.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod killing;
mod kills;
mod nodes;
mod operations;
mod outages;
#[path = "../common/stage.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod stage;
