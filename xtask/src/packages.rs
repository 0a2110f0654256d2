mod browser;
mod cache;
mod docker;
mod kubernetes;
mod programs;
mod python;
mod sources;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rustix::process::geteuid;

use crate::steps::Step;
use crate::tools::{self, Tools, output};

/// What the checks and most tests need.
pub(crate) const STEP: Step = Step { name: "packages", run };

/// What all tests need.
pub(crate) const ALL: Step = Step { name: "packages", run: all };

pub(crate) const DOCKER: Step = Step { name: "packages for Docker", run: |tools| install(tools, docker::PACKAGES) };
pub(crate) const COMPOSE: Step =
    Step { name: "packages for Compose", run: |tools| install(tools, &[&[POSTGRES], docker::PACKAGES].concat()) };
pub(crate) const KUBERNETES: Step = Step {
    name: "packages for Kubernetes",
    run: |tools| install(tools, &kubernetes::packages()).and_then(|()| kubernetes::build(tools)),
};
pub(crate) const BROWSER: Step =
    Step { name: "packages for a browser", run: |tools| install(tools, browser::PACKAGES) };
pub(crate) const CLIENTS: Step = Step {
    name: "packages for clients",
    run: |tools| install(tools, python::PACKAGES).and_then(|()| python::clients(tools)),
};

/// A package of Debian, and how it is seen that what it has is there, whoever brought it.
#[derive(Clone, Copy)]
struct Package {
    name: &'static str,
    is_there: fn(&Tools) -> bool,
}

/// The tests start servers of their own; they look in the same places.
const POSTGRES: Package = Package {
    name: "postgresql",
    is_there: |_| on_path(&search_path(), "initdb") || in_versions(Path::new("/usr/lib/postgresql"), "initdb"),
};

/// Parts of what is compiled for fuzzing are C++.
const CPP: Package = Package { name: "g++", is_there: |_| on_path(&search_path(), "c++") };

/// Sees to what the steps need besides Rust's standard tools.
pub(crate) fn run(tools: &Tools) -> anyhow::Result<()> {
    standard_tools(tools)?;
    install(tools, &[POSTGRES])
}

fn all(tools: &Tools) -> anyhow::Result<()> {
    standard_tools(tools)?;
    let packages =
        [&[POSTGRES, CPP], browser::PACKAGES, docker::PACKAGES, &kubernetes::packages(), python::PACKAGES].concat();
    install(tools, &packages)?;
    kubernetes::build(tools)?;
    python::clients(tools)
}

/// Sees to what fuzzing needs.
pub(crate) fn for_fuzzing(tools: &Tools) -> anyhow::Result<()> {
    install(tools, &[CPP])
}

/// Where cargo-deny is, which is built where it is not there.
pub(crate) fn cargo_deny(tools: &Tools) -> anyhow::Result<PathBuf> {
    programs::CARGO_DENY.path(tools)
}

/// Where mdBook is, likewise.
pub(crate) fn mdbook(tools: &Tools) -> anyhow::Result<PathBuf> {
    programs::MDBOOK.path(tools)
}

/// Sees to what the benchmarks need besides. What cannot be had costs them some numbers, and no more.
pub(crate) fn for_benchmarks(tools: &Tools) -> anyhow::Result<()> {
    const WRK: Package = Package { name: "wrk", is_there: |_| on_path(&search_path(), "wrk") };
    run(tools)?;
    if let Err(error) = install(tools, &[WRK]) {
        eprintln!("warning: no load generator: {error:#}");
    }
    if let Err(error) = install(tools, docker::PACKAGES) {
        eprintln!("warning: no Docker engine: {error:#}");
    }
    if let Err(error) = install(tools, browser::PACKAGES) {
        eprintln!("warning: no browser: {error:#}");
    }
    Ok(())
}

fn standard_tools(tools: &Tools) -> anyhow::Result<()> {
    output(&mut tools.command("rustfmt", &["--version"]))
        .and_then(|_| output(&mut tools.cargo(&["clippy", "--version"])))
        .context("rustfmt or clippy is missing: run `rustup component add rustfmt clippy`")?;
    output(&mut tools.command("git", &["--version"])).context("git is missing: install the package `git`")?;
    Ok(())
}

/// Installs those that are missing, all at once.
fn install(tools: &Tools, packages: &[Package]) -> anyhow::Result<()> {
    let missing = missing(tools, packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    may_install()
        .and_then(|()| apt_get(tools, &["update"]))
        .and_then(|()| apt_get(tools, &[&["install", "-y", "--no-install-recommends"], &missing[..]].concat()))
        .with_context(|| {
            format!("missing: {names}; install what is in these packages (Debian: `sudo apt-get install {names}`) and try again")
        })?;
    let missing = self::missing(tools, packages);
    if !missing.is_empty() {
        bail!("the packages are installed, but the programs are not found: {}", missing.join(" "));
    }
    Ok(())
}

fn missing(tools: &Tools, packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|package| !(package.is_there)(tools)).map(|package| package.name).collect()
}

fn may_install() -> anyhow::Result<()> {
    ensure!(geteuid().is_root() && on_path(&search_path(), "apt-get"), "only root on Debian may install packages here");
    Ok(())
}

fn apt_get(tools: &Tools, arguments: &[&str]) -> anyhow::Result<()> {
    tools::run(tools.command("apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Where programs are, the system's too, which are not everybody's.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into);
    std::env::join_paths(std::env::split_paths(&path).chain(system)).unwrap_or(path)
}

fn on_path(path: &OsStr, program: &str) -> bool {
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

/// Debian keeps its programs in a folder for each version, which is not on the path.
fn in_versions(versions: &Path, program: &str) -> bool {
    let versions = std::fs::read_dir(versions).into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin").join(program).is_file())
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    #[test]
    fn programs_are_found_on_the_path_and_among_versions() {
        let folder = tempfile::tempdir().unwrap();
        let path = std::env::join_paths([folder.path().join("nowhere"), folder.path().join("15/bin")]).unwrap();
        let found = || (on_path(&path, "initdb"), in_versions(folder.path(), "initdb"));
        create_dir_all(folder.path().join("15/bin")).unwrap();
        create_dir_all(folder.path().join("16")).unwrap();
        assert_eq!(found(), (false, false));
        write(folder.path().join("15/bin/initdb"), "").unwrap();
        assert_eq!(found(), (true, true));
        assert!(!in_versions(&folder.path().join("nowhere"), "initdb"));
    }

    #[test]
    fn only_what_is_missing_is_named() {
        let tools = Tools::at(Path::new("/"));
        let there = Package { name: "there", is_there: |_| true };
        let gone = Package { name: "gone", is_there: |_| false };
        assert_eq!(missing(&tools, &[there, gone, there]), ["gone"]);
        install(&tools, &[there]).unwrap();
    }
}
