//! The dashboard: built by npm from its lock file, before the gateway, which takes it in.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, ensure};

use crate::steps::Step;
use crate::tools::{Tools, output, run};

pub(crate) const BUILD: Step = Step { name: "dashboard", run: build };
pub(crate) const LINTS: Step =
    Step { name: "lints of the dashboard", run: |tools| run(&mut npm(tools, &["run", "lint"])) };
pub(crate) const UNIT_TESTS: Step =
    Step { name: "tests of the dashboard", run: |tools| run(&mut npm(tools, &["run", "test:unit"])) };
/// The stories in a real browser, against the program that the step before has built.
pub(crate) const BROWSER_TESTS: Step = Step {
    name: "tests in a browser",
    run: |tools| {
        let program = Tools::program("debug", "portcullis")?;
        run(npm(tools, &["run", "test:browser"]).env("PORTCULLIS", program))
    },
};

/// What is made of these has to be made anew when one of them has changed.
const SOURCES: [&str; 7] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];
/// The contract, which the types are made from.
const CONTRACT: &str = "docs/openapi.json";
/// Made here, and no source.
const GENERATED: &str = "schema.gen.ts";

fn folder(tools: &Tools) -> PathBuf {
    tools.path("dashboard")
}

pub(crate) fn npm(tools: &Tools, arguments: &[&str]) -> std::process::Command {
    let mut npm = tools.command("npm", arguments);
    npm.current_dir(folder(tools));
    npm
}

/// Whether there is a Node that the dashboard is built with.
pub(crate) fn can_be_built(tools: &Tools) -> bool {
    output(&mut npm(tools, &["--version"])).is_ok()
}

/// Builds what is not built yet, or has changed since.
pub(crate) fn build(tools: &Tools) -> anyhow::Result<()> {
    ensure!(can_be_built(tools), "the dashboard needs Node 20 or later and npm (Debian: `nodejs`, `npm`)");
    let folder = folder(tools);
    install(tools, &folder)?;
    let sources = SOURCES.map(|name| folder.join(name)).into_iter().chain([tools.path(CONTRACT)]);
    let newest = sources.map(|path| newest(&path)).collect::<anyhow::Result<Vec<_>>>()?.into_iter().max();
    let built = fs::metadata(folder.join("dist/index.html")).and_then(|file| file.modified()).ok();
    if built.is_some() && newest <= built {
        return Ok(());
    }
    run(&mut npm(tools, &["run", "build"]))
}

/// Installs what the lock file says, where that is not there.
fn install(tools: &Tools, folder: &Path) -> anyhow::Result<()> {
    let modified = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
    let (there, wanted) = (modified("node_modules/.package-lock.json"), modified("package-lock.json"));
    if there.is_some() && wanted <= there {
        return Ok(());
    }
    run(&mut npm(tools, &["ci"]))
}

/// When the newest of a folder's files was changed, or a file itself.
fn newest(path: &Path) -> anyhow::Result<SystemTime> {
    let read = || -> std::io::Result<SystemTime> {
        let metadata = fs::metadata(path)?;
        let mut newest = metadata.modified()?;
        if metadata.is_dir() {
            for entry in fs::read_dir(path)? {
                let entry = entry?.path();
                if entry.file_name() != Some(OsStr::new(GENERATED)) {
                    newest = newest.max(self::newest(&entry).map_err(std::io::Error::other)?);
                }
            }
        }
        Ok(newest)
    };
    read().with_context(|| format!("{} cannot be looked at", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_source_counts_and_not_what_is_made_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::create_dir(folder.path().join("api")).unwrap();
        for (name, seconds) in [("api/client.ts", 300), ("main.tsx", 200), ("api/schema.gen.ts", 900)] {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(at(seconds)).unwrap();
        }
        for name in ["api", "."] {
            fs::File::open(folder.path().join(name)).unwrap().set_modified(at(100)).unwrap();
        }
        assert_eq!(newest(folder.path()).unwrap(), at(300));
        assert!(newest(&folder.path().join("none")).is_err());
    }
}
