use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::process::geteuid;

use crate::steps::Step;
use crate::tools::{self, Tools, output};

pub(crate) const STEP: Step = Step { name: "packages", run };

/// Sees to what the steps need besides Rust's standard tools.
pub(crate) fn run(tools: &Tools) -> anyhow::Result<()> {
    output(&mut tools.command("rustfmt", &["--version"]))
        .and_then(|_| output(&mut tools.cargo(&["clippy", "--version"])))
        .context("rustfmt or clippy is missing: run `rustup component add rustfmt clippy`")?;
    output(&mut tools.command("git", &["--version"])).context("git is missing: install the package `git`")?;
    if !postgres_is_there() {
        install_postgres(tools)?;
        ensure!(postgres_is_there(), "the package `postgresql` is installed, but has no `initdb`");
    }
    Ok(())
}

/// Sees to what the benchmarks need besides. What cannot be had costs them some numbers, and no more.
pub(crate) fn for_benchmarks(tools: &Tools) -> anyhow::Result<()> {
    run(tools)?;
    if !on_path(&std::env::var_os("PATH").unwrap_or_default(), "wrk")
        && let Err(error) = install(tools, "wrk")
    {
        eprintln!("warning: the load generator `wrk` cannot be installed: {error:#}");
    }
    Ok(())
}

fn install_postgres(tools: &Tools) -> anyhow::Result<()> {
    install(tools, "postgresql").context(
        "PostgreSQL is missing: install the package `postgresql` \
         (Debian, Ubuntu: `sudo apt-get install postgresql`) and try again",
    )
}

fn install(tools: &Tools, package: &str) -> anyhow::Result<()> {
    let debian = on_path(&std::env::var_os("PATH").unwrap_or_default(), "apt-get");
    ensure!(geteuid().is_root() && debian, "only root on Debian may install packages here");
    let apt =
        |arguments: &[&str]| tools::run(tools.command("apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update"]).and_then(|()| apt(&["install", "-y", "--no-install-recommends", package]))
}

/// The tests start servers of their own; they look in the same places.
fn postgres_is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    on_path(&path, "initdb") || in_versions(Path::new("/usr/lib/postgresql"), "initdb")
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
}
