//! The whole system as its users have it: three processes of their own, reached over HTTP and gRPC. Only for tests.

mod client;
mod stack;

pub use client::{Answer, Client};
pub use stack::{LOGIN, PASSWORD, Stack, gone, stacks};
