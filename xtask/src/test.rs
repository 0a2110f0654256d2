use crate::packages;
use crate::source;
use crate::steps::Step;
use crate::tools::run;

#[derive(clap::Args, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Only the tests on a real Docker engine.
    #[arg(long)]
    docker: bool,
    /// Only the tests on a real Kubernetes API server.
    #[arg(long)]
    kubernetes: bool,
    /// Only the tests with real clients of others.
    #[arg(long)]
    clients: bool,
}

// The end-to-end tests start the binaries, which `cargo test` alone would not build.
const EVERYTHING: &[Step] = &[packages::ALL, source::FORMAT, source::LINTS, source::BINARIES, source::ALL_TESTS];

const DOCKER: Step = Step {
    name: "tests on Docker",
    run: |tools| run(&mut tools.cargo(&["test", "-p", "environment-service", "--test", "docker"])),
};
const KUBERNETES: Step = Step {
    name: "tests on Kubernetes",
    run: |tools| {
        // The driver by itself, and through the service.
        run(&mut tools.cargo(&["test", "-p", "environment-service", "--lib", "driver::kubernetes"]))?;
        run(&mut tools.cargo(&["test", "-p", "environment-service", "--test", "kubernetes"]))
    },
};
const CLIENTS: Step = Step {
    name: "tests with clients",
    run: |tools| run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "clients"])),
};

/// Everything, or the parts that were asked for and no more.
pub(crate) fn steps(arguments: &Arguments) -> Vec<Step> {
    let parts = [
        (arguments.docker, packages::DOCKER, DOCKER),
        (arguments.kubernetes, packages::KUBERNETES, KUBERNETES),
        (arguments.clients, packages::CLIENTS, CLIENTS),
    ];
    let asked: Vec<_> = parts.into_iter().filter(|(asked, ..)| *asked).collect();
    if asked.is_empty() {
        return EVERYTHING.to_vec();
    }
    let packages = asked.iter().map(|(_, packages, _)| *packages);
    let tests = asked.iter().map(|(.., tests)| *tests);
    packages.chain([source::BINARIES]).chain(tests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &Arguments) -> Vec<&'static str> {
        steps(arguments).iter().map(|step| step.name).collect()
    }

    #[test]
    fn a_part_needs_its_packages_and_no_others() {
        let everything = names(&Arguments::default());
        assert_eq!(everything, ["packages", "format", "lints", "binaries", "tests"]);
        let clients = Arguments { clients: true, ..Arguments::default() };
        assert_eq!(names(&clients), ["packages for clients", "binaries", "tests with clients"]);
        let two = Arguments { docker: true, kubernetes: true, clients: false };
        let both = ["packages for Docker", "packages for Kubernetes", "binaries"];
        assert_eq!(names(&two), [&both[..], &["tests on Docker", "tests on Kubernetes"]].concat());
    }
}
