//! Three processes, their databases, and everything that their users do with them.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bad_input;
mod book;
mod calling;
mod confinement;
mod credential_use;
mod departures;
mod direct;
mod edits_at_once;
mod faults;
mod floods;
mod matrix;
mod page_session;
mod parameters;
mod secrets;
mod signing_keys;
mod standards;
mod story;
mod telemetry;
mod throttle;
mod tls;
mod two_factor;
mod watching;
