//! Real parts for tests: PostgreSQL clusters, SQLite files, service processes. All of it ends with the test process, however
//! that ends.

mod databases;
mod interrupt;
mod metrics;
mod postgres;
mod probe;
mod process;

pub use databases::{TestDatabase, databases};
pub use interrupt::until_interrupted;
pub use metrics::Metrics;
pub use postgres::Postgres;
pub use probe::{eventually, free_port, kill_processes_of, process_alive, process_children, processes_in_group};
pub use process::{ExitCode, ServiceProcess, binary};
pub use rustix::process::Signal;
