use std::fs::{create_dir_all, remove_dir_all, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::{Package, cache};
use crate::tools::{self, Tools, output};

/// Without the first, an environment can be made but nothing installed in it.
pub(super) const PACKAGES: &[Package] = &[Package {
    name: "python3-venv",
    is_there: |tools| output(&mut tools.command("python3", &["-c", "import ensurepip, venv"])).is_ok(),
}];

/// A client that others have written.
struct Client {
    name: &'static str,
    version: &'static str,
    /// What it is imported by.
    module: &'static str,
    /// What it needs in versions that it works with, where it says too little of them.
    pins: &'static [&'static str],
}

const CLIENTS: [Client; 3] = [
    Client { name: "jelapi", version: "0.1.1", module: "jelapi", pins: &["httpx==0.28.1"] },
    Client {
        name: "jelastic-client",
        version: "8.1.1.1",
        module: "jelastic_client",
        pins: &["httpx==0.28.1", "marshmallow==3.26.2"],
    },
    Client {
        name: "openapi-spec-validator",
        version: "0.9.0",
        module: "openapi_spec_validator",
        pins: &["openapi-schema-validator==0.9.0", "jsonschema==4.26.0"],
    },
];

/// Sees to the clients, each in an environment of its own.
pub(super) fn clients(tools: &Tools) -> anyhow::Result<()> {
    let folder = cache::folder()?;
    let _lock = cache::lock(&folder)?;
    for client in CLIENTS {
        let python = python_client(tools, &folder, &client)?;
        output(Command::new(python).args(["-I", "-c", &format!("import {}", client.module)]))
            .with_context(|| format!("{} {} cannot be imported", client.name, client.version))?;
    }
    Ok(())
}

/// Installs a client where it is not there yet, in `clients/<name>-<version>`, and says where its interpreter is.
fn python_client(tools: &Tools, cache: &Path, client: &Client) -> anyhow::Result<PathBuf> {
    let Client { name, version, .. } = client;
    let folder = cache.join("clients").join(format!("{name}-{version}"));
    let python = folder.join("bin/python");
    // Written last: an environment cannot be moved into its place.
    let complete = folder.join("complete");
    if complete.exists() && python.exists() {
        return Ok(python);
    }
    let _ = remove_dir_all(&folder);
    create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.to_str().context("the cache folder's name is not UTF-8")?;
    tools::run(&mut tools.command("python3", &["-m", "venv", path]))?;
    let wanted = format!("{name}=={version}");
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", &wanted];
    tools::run(Command::new(&python).args(pip).args(client.pins))
        .with_context(|| format!("the client {name} {version} cannot be installed in {path}"))?;
    write(&complete, "").with_context(|| format!("{} cannot be written", complete.display()))?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_environment_is_left_alone() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("clients/some-1.0");
        create_dir_all(folder.join("bin")).unwrap();
        write(folder.join("bin/python"), "").unwrap();
        write(folder.join("complete"), "").unwrap();
        let client = Client { name: "some", version: "1.0", module: "some", pins: &[] };
        let python = python_client(&Tools::at(cache.path()), cache.path(), &client).unwrap();
        assert_eq!(python, folder.join("bin/python"));
    }
}
