//! Real parts for tests: PostgreSQL clusters, SQLite files, Docker engines, Kubernetes API servers, service processes. All of it
//! ends with the test process, however that ends.

mod databases;
mod docker;
pub mod http2;
mod interrupt;
mod kubernetes;
mod metrics;
mod postgres;
mod probe;
mod process;
mod workplace;

pub use databases::{TestDatabase, databases};
pub use docker::DockerEngine;
pub use interrupt::until_interrupted;
pub use kubernetes::{KubernetesApi, KubernetesSetup};
pub use metrics::Metrics;
pub use postgres::Postgres;
pub use probe::{eventually, free_port, kill_processes_of, process_alive, process_children, processes_in_group};
pub use process::{ExitCode, ServiceProcess, binary};
pub use rustix::process::Signal;
