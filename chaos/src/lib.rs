//! Whether what was revoked stays revoked, whatever breaks: real processes, faults between and in them, clients that call
//! with what is being revoked, and a pure checker over all that was recorded. It knows no code of the services, only their
//! surface, their logs and the authority's database.

mod admission;
mod api;
pub mod availability;
mod board;
mod caller;
pub mod check;
mod faults;
pub mod history;
mod population;
mod proxy;
pub mod report;
mod request;
mod revoker;
mod run;
mod stack;

pub use availability::{Availability, Renewal, Steady, steady};
pub use history::History;
pub use report::Report;
pub use run::{Run, run};
pub use stack::Shape;
