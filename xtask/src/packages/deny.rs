use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::cache::{self, Scratch};
use crate::tools::{self, Tools, output};

/// The versions of cargo-deny that read `deny.toml` as it is written, and the one that is built.
const SERIES: &str = "0.20.";
const VERSION: &str = "0.20.2";

/// Where cargo-deny is: the machine's own, or one that is built once and kept.
pub(super) fn program(tools: &Tools) -> anyhow::Result<PathBuf> {
    let own = PathBuf::from("cargo-deny");
    if fits(tools, &own) {
        return Ok(own);
    }
    let folder = cache::folder()?;
    let root = folder.join(format!("tools/cargo-deny-{VERSION}"));
    let kept = root.join("bin/cargo-deny");
    let _lock = cache::lock(&folder)?;
    if fits(tools, &kept) {
        return Ok(kept);
    }
    let scratch = Scratch::new(folder.join("build-cargo-deny"))?;
    let mut cargo = tools.cargo(&["install", "--quiet", "--locked", "--version", VERSION, "cargo-deny", "--root"]);
    // Its own settings, and none of a build that this one is part of.
    cargo.arg(&root).env("CARGO_TARGET_DIR", scratch.path()).env_remove("RUSTFLAGS");
    tools::run(&mut cargo)
        .with_context(|| format!("cargo-deny cannot be built: put cargo-deny {VERSION} on the path, and try again"))?;
    ensure!(fits(tools, &kept), "{} was not built", kept.display());
    Ok(kept)
}

fn fits(tools: &Tools, program: &Path) -> bool {
    let told = output(tools.command_at(program).arg("--version"));
    told.is_ok_and(|told| is_of_series(&String::from_utf8_lossy(&told)))
}

fn is_of_series(told: &str) -> bool {
    told.trim().strip_prefix("cargo-deny ").is_some_and(|version| version.starts_with(SERIES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_read_our_file_are_taken() {
        assert!(is_of_series("cargo-deny 0.20.2\n"));
        for other in ["cargo-deny 0.19.4", "cargo-deny 0.2", "cargo 0.20.1", ""] {
            assert!(!is_of_series(other), "{other}");
        }
        assert!(!fits(&Tools::at(Path::new("/")), Path::new("/nowhere/cargo-deny")));
    }
}
