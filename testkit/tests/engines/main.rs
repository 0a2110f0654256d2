//! Engines for tests do what the machine's own would do, next to each other, and nothing of them is left.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod docker;
mod kubernetes;
mod victim;
