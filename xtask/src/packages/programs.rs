//! Programs from the crates' registry: the machine's own where one fits, or one that is built once and kept.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::cache::{self, Scratch};
use crate::tools::{self, Tools, output};

pub(super) struct Program {
    name: &'static str,
    /// How the versions begin that do what is wanted of them here.
    series: &'static str,
    /// The one that is built.
    version: &'static str,
    /// How its crate is built.
    features: &'static [&'static str],
}

/// Of the series that reads `deny.toml` as it is written.
pub(super) const CARGO_DENY: Program =
    Program { name: "cargo-deny", series: "0.20.", version: "0.20.2", features: &[] };

/// Without the server that shows a book while it is written.
pub(super) const MDBOOK: Program =
    Program { name: "mdbook", series: "0.5.", version: "0.5.4", features: &["--no-default-features"] };

impl Program {
    /// Where it is.
    pub(super) fn path(&self, tools: &Tools) -> anyhow::Result<PathBuf> {
        let Self { name, version, .. } = self;
        let own = PathBuf::from(name);
        if self.fits(tools, &own) {
            return Ok(own);
        }
        let folder = cache::folder()?;
        let root = folder.join(format!("tools/{name}-{version}"));
        let kept = root.join("bin").join(name);
        let _lock = cache::lock(&folder)?;
        if self.fits(tools, &kept) {
            return Ok(kept);
        }
        let scratch = Scratch::new(folder.join(format!("build-{name}")))?;
        let mut cargo = tools.cargo(&["install", "--quiet", "--locked", "--version", version, name]);
        // Its own settings, and none of a build that this one is part of.
        cargo.args(self.features).arg("--root").arg(&root);
        cargo.env("CARGO_TARGET_DIR", scratch.path()).env_remove("RUSTFLAGS");
        tools::run(&mut cargo)
            .with_context(|| format!("{name} cannot be built: put {name} {version} on the path, and try again"))?;
        ensure!(self.fits(tools, &kept), "{} was not built", kept.display());
        Ok(kept)
    }

    fn fits(&self, tools: &Tools, program: &Path) -> bool {
        let told = output(tools.command_at(program).arg("--version"));
        told.is_ok_and(|told| self.is_of_series(&String::from_utf8_lossy(&told)))
    }

    fn is_of_series(&self, told: &str) -> bool {
        let version = told.trim().strip_prefix(self.name).and_then(|rest| rest.strip_prefix(' '));
        version.is_some_and(|version| version.trim_start_matches('v').starts_with(self.series))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_do_what_is_wanted_are_taken() {
        assert!(CARGO_DENY.is_of_series("cargo-deny 0.20.2\n"));
        for other in ["cargo-deny 0.19.4", "cargo-deny 0.2", "cargo 0.20.1", ""] {
            assert!(!CARGO_DENY.is_of_series(other), "{other}");
        }
        assert!(!CARGO_DENY.fits(&Tools::at(Path::new("/")), Path::new("/nowhere/cargo-deny")));
        assert!(MDBOOK.is_of_series("mdbook v0.5.4\n") && !MDBOOK.is_of_series("mdbook v0.4.52"));
    }
}
