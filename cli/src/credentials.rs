//! The session that `signin` keeps, one for each address, in a file for its owner only.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

#[derive(Default, Deserialize, Serialize)]
struct File {
    #[serde(default)]
    session: BTreeMap<String, String>,
}

/// The credential for an address: `PORTCULLIS_TOKEN`, or else the kept session.
pub(crate) fn find(url: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
    if let Some(token) = given() {
        return Ok(Some(token));
    }
    kept(url)
}

/// Whether `PORTCULLIS_TOKEN` holds the credential.
pub(crate) fn is_given() -> bool {
    given().is_some()
}

fn given() -> Option<Zeroizing<String>> {
    std::env::var("PORTCULLIS_TOKEN").ok().filter(|token| !token.is_empty()).map(Zeroizing::new)
}

/// The kept session for an address.
pub(crate) fn kept(url: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
    Ok(read()?.session.remove(&key(url)).map(Zeroizing::new))
}

/// Keeps a session for an address, or forgets it.
pub(crate) fn keep(url: &str, session: Option<&str>) -> anyhow::Result<()> {
    let mut file = read()?;
    match session {
        Some(session) => file.session.insert(key(url), session.to_owned()),
        None => file.session.remove(&key(url)),
    };
    write(&file)
}

fn key(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

fn path() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("PORTCULLIS_CREDENTIALS") {
        return Ok(path.into());
    }
    let folders =
        directories::ProjectDirs::from("", "", "portcullis").context("there is no home folder to keep a session in")?;
    Ok(folders.config_dir().join("credentials.toml"))
}

fn read() -> anyhow::Result<File> {
    let path = path()?;
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("{} is damaged: remove it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Beside the file and then over it, so that a reader sees the one or the other.
fn write(file: &File) -> anyhow::Result<()> {
    let path = path()?;
    let text = Zeroizing::new(toml::to_string(file)?);
    let save = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let beside = path.with_extension("new");
        let mut new = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        new.write_all(text.as_bytes())?;
        std::fs::rename(beside, &path)
    };
    save().with_context(|| format!("{} cannot be written", path.display()))
}
