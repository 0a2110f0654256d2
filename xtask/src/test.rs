use crate::book;
use crate::dashboard;
use crate::fuzz;
use crate::packages;
use crate::security;
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
    /// Only the tests of `docker-compose.yml`, on a real Docker engine.
    #[arg(long)]
    compose: bool,
    /// Only the tests with real clients of others.
    #[arg(long)]
    clients: bool,
    /// Only the tests of the dashboard, in a real browser.
    #[arg(long)]
    browser: bool,
    /// Only the tests of what is told by OTLP.
    #[arg(long)]
    telemetry: bool,
    /// Only the tests of TLS and of the keys that grants are signed with.
    #[arg(long)]
    tls: bool,
}

// The end-to-end tests start the binaries, which `cargo test` alone would not build.
const EVERYTHING: &[Step] = &[
    packages::ALL,
    source::FORMAT,
    security::STEP,
    book::STEP,
    // The gateway takes it in.
    dashboard::BUILD,
    source::LINTS,
    source::BINARIES,
    dashboard::LINTS,
    dashboard::UNIT_TESTS,
    dashboard::BROWSER_TESTS,
    source::ALL_TESTS,
    fuzz::STEP,
];

const DOCKER: Step = Step {
    name: "tests on Docker",
    run: |tools| run(&mut tools.cargo(&["test", "-p", "environment-service", "--test", "docker"])),
};
const KUBERNETES: Step = Step {
    name: "tests on Kubernetes",
    run: |tools| {
        // The driver by itself, and through the service.
        run(&mut tools.cargo(&["test", "-p", "environment-service", "--lib", "driver::kubernetes"]))?;
        run(&mut tools.cargo(&["test", "-p", "environment-service", "--test", "kubernetes"]))?;
        run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "deploy", "cluster::"]))
    },
};
const COMPOSE: Step = Step {
    name: "tests of the Compose file",
    run: |tools| {
        run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "deploy", "configurations::"]))?;
        run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "compose"]))
    },
};
const CLIENTS: Step = Step {
    name: "tests with clients",
    run: |tools| run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "clients"])),
};
const TELEMETRY: Step = Step {
    name: "tests of the telemetry",
    run: |tools| run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "system", "telemetry::"])),
};

const TLS: Step = Step {
    name: "tests of TLS",
    run: |tools| {
        run(&mut tools.cargo(&["test", "-p", "tls"]))?;
        run(&mut tools.cargo(&["test", "-p", "storage", "--test", "engines", "tls::"]))?;
        run(&mut tools.cargo(&["test", "-p", "api-gateway", "--test", "gateway", "tls::"]))?;
        run(&mut tools.cargo(&["test", "-p", "cli", "--test", "terminal", "--", "certs::", "keys::"]))?;
        run(&mut tools.cargo(&["test", "-p", "e2e", "--test", "system", "--", "tls::", "signing_keys::"]))
    },
};

/// Everything, or the parts that were asked for and no more.
pub(crate) fn steps(arguments: &Arguments) -> Vec<Step> {
    let parts = [
        (arguments.docker, packages::DOCKER, DOCKER),
        (arguments.kubernetes, packages::KUBERNETES, KUBERNETES),
        (arguments.compose, packages::COMPOSE, COMPOSE),
        (arguments.clients, packages::CLIENTS, CLIENTS),
        (arguments.browser, packages::BROWSER, dashboard::BROWSER_TESTS),
        (arguments.telemetry, packages::STEP, TELEMETRY),
        (arguments.tls, packages::STEP, TLS),
    ];
    let asked: Vec<_> = parts.into_iter().filter(|(asked, ..)| *asked).collect();
    if asked.is_empty() {
        return EVERYTHING.to_vec();
    }
    let packages = asked.iter().map(|(_, packages, _)| *packages);
    let tests = asked.iter().map(|(.., tests)| *tests);
    let built = [dashboard::BUILD, source::BINARIES];
    let built = if arguments.browser { &built[..] } else { &built[1..] };
    packages.chain(built.iter().copied()).chain(tests).collect()
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
        let of_dashboard = ["lints of the dashboard", "tests of the dashboard", "tests in a browser"];
        let first = ["packages", "format", "security", "book", "dashboard", "lints", "binaries"];
        assert_eq!(everything, [&first[..], &of_dashboard, &["tests", "fuzz"]].concat());
        let telemetry = Arguments { telemetry: true, ..Arguments::default() };
        assert_eq!(names(&telemetry), ["packages", "binaries", "tests of the telemetry"]);
        let tls = Arguments { tls: true, ..Arguments::default() };
        assert_eq!(names(&tls), ["packages", "binaries", "tests of TLS"]);
        let browser = Arguments { browser: true, ..Arguments::default() };
        assert_eq!(names(&browser), ["packages for a browser", "dashboard", "binaries", "tests in a browser"]);
        let clients = Arguments { clients: true, ..Arguments::default() };
        assert_eq!(names(&clients), ["packages for clients", "binaries", "tests with clients"]);
        let compose = Arguments { compose: true, ..Arguments::default() };
        assert_eq!(names(&compose), ["packages for Compose", "binaries", "tests of the Compose file"]);
        let two = Arguments { docker: true, kubernetes: true, ..Arguments::default() };
        let both = ["packages for Docker", "packages for Kubernetes", "binaries"];
        assert_eq!(names(&two), [&both[..], &["tests on Docker", "tests on Kubernetes"]].concat());
    }
}
