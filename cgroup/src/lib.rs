//! The kernel's control groups, of version 1, of version 2, and of both at once: found, made, limited, entered by a program before
//! it begins, emptied and removed. It must not know what is run in them, or why.

mod door;
mod group;
mod layout;
mod limits;
mod root;

pub use door::Door;
pub use group::{Group, LimitError};
pub use limits::{Controller, Limits};
pub use root::{Missing, Root};

/// Why control groups cannot be looked for.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be read")]
pub struct ReadError {
    /// The file that says what there is.
    pub file: &'static str,
    /// What is wrong.
    pub source: procfs::ProcError,
}
