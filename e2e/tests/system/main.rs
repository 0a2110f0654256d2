//! Three processes, their databases, and everything that their users do with them.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bad_input;
mod calling;
mod direct;
mod faults;
mod matrix;
mod secrets;
mod standards;
mod story;
