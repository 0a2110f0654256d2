//! How a process lives: signals, drain, tracked tasks, health, clock. It knows no service and no protocol.

mod clock;
mod health;
mod stages;
mod tasks;

pub use clock::{Clock, ManualClock};
pub use health::{Health, HealthHandle, NotReady};
pub use stages::{Lifecycle, Undrained};
