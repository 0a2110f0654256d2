use clap::ValueEnum;

use crate::packages;
use crate::steps::Step;
use crate::tools::{Tools, run};

#[derive(clap::Args, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// How often the service is killed.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// What runs the nodes meanwhile.
    #[arg(long, value_enum, default_value_t = Driver::Process)]
    driver: Driver,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Driver {
    Process,
    Docker,
    Kubernetes,
}

impl Driver {
    /// The suite that has the test, the test's name, and what it needs.
    fn test(self) -> (&'static str, &'static str, Step) {
        match self {
            Self::Process => {
                ("service", "crash::killed_at_any_moment_it_neither_loses_nor_doubles_anything", packages::STEP)
            }
            Self::Docker => {
                ("docker", "kills::killed_at_any_moment_it_neither_loses_nor_doubles_a_container", packages::DOCKER)
            }
            Self::Kubernetes => (
                "kubernetes",
                "kills::killed_at_any_moment_it_neither_loses_nor_doubles_a_workload",
                packages::KUBERNETES,
            ),
        }
    }
}

/// The suite's own test, as often as it is told.
pub(crate) fn run_test(tools: &Tools, arguments: &Arguments) -> anyhow::Result<()> {
    let (suite, test, packages) = arguments.driver.test();
    (packages.run)(tools)?;
    let line = ["test", "-p", "environment-service", "--test", suite, "--", "--exact", test, "--nocapture"];
    run(tools.cargo(&line).env("PORTCULLIS_KILLS", arguments.kills.to_string()))
}
