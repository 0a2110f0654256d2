//! Copies of the data folder of `portcullis up`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::{Database, DatabaseUrl};

use crate::output;

/// The databases. That of the environments is copied first: whoever owns one of them is among the accounts then.
const ENVIRONMENTS: &str = "environment.db";
const ACCOUNTS: &str = "token.db";
/// What is there besides: keys, and what environments can run.
const FILES: [&str; 5] =
    ["signing-key.pem", "second-factor.key", "api-gateway.key", "environment-service.key", "templates.toml"];
/// What lists the rest. It is written last: a folder without it is no backup.
const MANIFEST: &str = "backup.json";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    version: String,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
}

/// Copies a data folder that may be in use into a new folder.
pub(super) async fn backup(data: &Path, to: &Path) -> anyhow::Result<()> {
    ensure!(data.join(ACCOUNTS).is_file(), "{} is no data folder: it has no {ACCOUNTS}", data.display());
    DirBuilder::new().mode(0o700).create(to).with_context(|| format!("the new folder {}", to.display()))?;
    let copied = copy(data, to).await;
    if copied.is_err() {
        // It was made here, and is worth nothing.
        let _ = fs::remove_dir_all(to);
    }
    let count = copied?;
    Ok(output::line(&format!("{count} files are in {}", to.display()))?)
}

async fn copy(data: &Path, to: &Path) -> anyhow::Result<usize> {
    for name in [ENVIRONMENTS, ACCOUNTS] {
        let copied = Database::back_up(&DatabaseUrl::sqlite(&data.join(name)), &to.join(name)).await;
        copied.with_context(|| name.to_owned())?;
    }
    let mut names = vec![ENVIRONMENTS, ACCOUNTS];
    for name in FILES {
        match fs::read(data.join(name)) {
            Ok(content) => write(&to.join(name), &content).with_context(|| name.to_owned())?,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| name.to_owned()),
        }
        names.push(name);
    }
    let entry = |name: &&str| anyhow::Ok(Entry { name: (*name).to_owned(), sha256: hash(&to.join(name))? });
    let files: Vec<Entry> = names.iter().map(entry).collect::<Result<_, _>>()?;
    let count = files.len();
    let manifest = Manifest { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), files };
    write(&to.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?).context(MANIFEST)?;
    File::open(to)?.sync_all()?;
    Ok(count)
}

/// Makes a new data folder from a backup.
pub(super) async fn restore(from: &Path, data: &Path) -> anyhow::Result<()> {
    let manifest = checked(from)?;
    match fs::read_dir(data) {
        Ok(mut entries) => ensure!(entries.next().is_none(), "{} is not empty", data.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| data.display().to_string()),
    }
    // Whole or not at all: it is made beside, and gets its name in the end.
    let beside = sibling(data)?;
    DirBuilder::new().mode(0o700).create(&beside).with_context(|| beside.display().to_string())?;
    let restored = restore_into(from, &manifest, &beside).await.and_then(|()| {
        match fs::remove_dir(data) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(fs::rename(&beside, data)?)
    });
    if restored.is_err() {
        let _ = fs::remove_dir_all(&beside);
    }
    restored.with_context(|| format!("the data folder {}", data.display()))?;
    Ok(output::line(&format!("{} is as it was", data.display()))?)
}

async fn restore_into(from: &Path, manifest: &Manifest, folder: &Path) -> anyhow::Result<()> {
    for Entry { name, .. } in &manifest.files {
        write(&folder.join(name), &fs::read(from.join(name))?).with_context(|| name.clone())?;
    }
    let accounts = token_service::Config::new(DatabaseUrl::sqlite(&folder.join(ACCOUNTS)), PathBuf::new());
    token_service::migrate(&accounts).await.context(ACCOUNTS)?;
    token_service::restored(&accounts).await.context(ACCOUNTS)?;
    Ok(File::open(folder)?.sync_all()?)
}

/// What a backup holds, if it is whole.
fn checked(from: &Path) -> anyhow::Result<Manifest> {
    let text = fs::read(from.join(MANIFEST)).with_context(|| format!("{} is no backup: {MANIFEST}", from.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text).context(MANIFEST)?;
    if manifest.format != FORMAT {
        bail!("{MANIFEST}: format {} is not known", manifest.format);
    }
    for Entry { name, sha256 } in &manifest.files {
        let known = FILES.contains(&name.as_str()) || [ENVIRONMENTS, ACCOUNTS].contains(&name.as_str());
        ensure!(known, "{MANIFEST}: {name:?} is no part of a backup");
        ensure!(hash(&from.join(name))? == *sha256, "{name} is not what was backed up");
    }
    for name in [ENVIRONMENTS, ACCOUNTS] {
        ensure!(manifest.files.iter().any(|entry| entry.name == name), "{MANIFEST}: {name} is missing");
    }
    Ok(manifest)
}

fn sibling(data: &Path) -> anyhow::Result<PathBuf> {
    let name = data.file_name().with_context(|| format!("{} is no name of a folder", data.display()))?;
    let mut name = name.to_owned();
    name.push(".restoring");
    Ok(data.with_file_name(name))
}

fn hash(file: &Path) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    let mut read = || -> io::Result<()> {
        let mut open = BufReader::new(File::open(file)?);
        loop {
            let piece = open.fill_buf()?;
            if piece.is_empty() {
                return Ok(());
            }
            hasher.update(piece);
            let length = piece.len();
            open.consume(length);
        }
    };
    read().with_context(|| file.display().to_string())?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A new file for its owner only.
fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(content)?;
    file.sync_all()
}
