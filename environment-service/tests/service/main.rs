//! The environment-service through its gRPC surface: with a real authority, real databases and real processes.

mod authority;
mod crash;
mod grants;
mod input;
mod lifetime;
mod operations;
mod stage;
