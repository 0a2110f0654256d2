//! Whether what the authority has acknowledged is there after a kill: writers change tokens, the service or its database is
//! killed at random moments, and a pure checker compares what is found with what was done. It knows no code of the service,
//! only its surface and its database.

pub mod check;
pub mod history;
mod observer;
mod run;
mod writer;

pub use check::Report;
pub use run::{Run, Victim, run};
