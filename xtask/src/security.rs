//! What is known of the dependencies: whether their licences, sources and versions are allowed, and what was reported of them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::dashboard;
use crate::packages;
use crate::steps::Step;
use crate::tools::{self, Tools};

pub(crate) const STEP: Step = Step { name: "security", run };

/// Enforces `deny.toml`, and reports advisories where they can be had: nobody's change is at fault that one appears.
fn run(tools: &Tools) -> anyhow::Result<()> {
    let program = packages::cargo_deny(tools)?;
    tools::run(deny(tools, &program).args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))
        .context("a dependency is not allowed by deny.toml")?;
    crates(tools, &program)?;
    packages_of_dashboard(tools);
    Ok(())
}

fn deny(tools: &Tools, program: &Path) -> Command {
    let mut deny = tools.command_at(program);
    // A server that does not answer is out of reach; nobody is asked for a password.
    deny.envs([("GIT_HTTP_LOW_SPEED_LIMIT", "1000"), ("GIT_HTTP_LOW_SPEED_TIME", "20"), ("GIT_TERMINAL_PROMPT", "0")]);
    deny
}

/// The advisories of RustSec, which cargo-audit reads too.
fn crates(tools: &Tools, program: &Path) -> anyhow::Result<()> {
    if let Err(error) = tools::output(deny(tools, program).args(["fetch", "db"])) {
        skipped("the crates' advisories", "the advisory database is out of reach", &format!("{error:#}"));
        return Ok(());
    }
    let known = ["check", "--hide-inclusion-graph", "advisories"];
    if let Err(error) = tools::run(deny(tools, program).args(known)) {
        eprintln!("warning: there are advisories about crates: {error:#}");
    }
    // Who has taken a version back has done it for all.
    let taken_back = ["--allow", "vulnerability", "--allow", "unmaintained", "--allow", "unsound", "--allow", "notice"];
    let mut yanked = deny(tools, program);
    yanked.args(known).args(taken_back).args(["--deny", "yanked"]);
    tools::run(&mut yanked).context("a version was taken back by its author: `cargo update` takes another")
}

/// What the registry of npm knows of what the dashboard ships.
fn packages_of_dashboard(tools: &Tools) {
    let audit = ["audit", "--omit=dev", "--fetch-retries=0", "--fetch-timeout=20000"];
    let told = dashboard::npm(tools, &audit).arg("--json").stderr(Stdio::null()).output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    match told {
        Ok(told) if is_report(&told) => {
            if let Err(error) = tools::run(&mut dashboard::npm(tools, &audit)) {
                eprintln!("warning: there are advisories about packages of the dashboard: {error:#}");
            }
        }
        Ok(told) => skipped("the dashboard's advisories", "the registry answers no audits", reason(&told)),
        Err(error) => skipped("the dashboard's advisories", "there is no npm", &error.to_string()),
    }
}

/// An audit that took place says so, whatever it has found.
fn is_report(told: &str) -> bool {
    told.contains("\"auditReportVersion\"")
}

/// What npm says of an audit that did not take place.
fn reason(told: &str) -> &str {
    let message = told.lines().find_map(|line| line.trim().strip_prefix("\"message\": \""));
    message.and_then(|message| message.split('"').next()).unwrap_or("npm does not say why")
}

fn skipped(what: &str, why: &str, cause: &str) {
    eprintln!("  skipped: {what}: {why}");
    for line in cause.lines().map(str::trim).filter(|line| !line.is_empty()) {
        eprintln!("    {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_is_told_from_one_that_was_not_answered() {
        assert!(is_report("{\n  \"auditReportVersion\": 2,\n  \"vulnerabilities\": {}\n}"));
        let refused = "{\n  \"message\": \"405 Method Not Allowed - POST /audits\",\n  \"method\": \"POST\"\n}";
        assert!(!is_report(refused));
        assert_eq!(reason(refused), "405 Method Not Allowed - POST /audits");
        assert_eq!(reason(""), "npm does not say why");
    }
}
