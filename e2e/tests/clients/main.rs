//! Clients that others have written, as they are, against the running system: each in a Python environment of its own, with a
//! script for each story. A script tells what it saw as JSON; what is right is said here.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod client;
mod jelapi;
mod jelastic_client;
mod openapi;
mod place;
