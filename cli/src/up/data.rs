use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use access::{Credential, CredentialHash, CredentialKind, SigningKey};
use anyhow::{Context, bail};
use environment_service::{NodeLimits, Template};
use serde::Deserialize;
use storage::DatabaseUrl;
use token_service::{Login, SecondFactorKey};
use zeroize::Zeroizing;

/// What the first start offers to run. Whoever runs the system adds to the file.
const TEMPLATES: &str = r#"# What environments can run. A node names a template; it never brings a command of its own.
#
# Programs that may be run in nodes (`portcullis env exec`), as this system's own user: none.
# exec_commands = ["/bin/ls"]
#
# Variables that owners of nodes may set are listed by a template: `variables = ["APP_*"]`. All, `["*"]`, would give owners this
# system's own user.
#
# Whether nodes are held to their cloudlets: "auto" (as far as the machine lets this system), "required" or "off".
# node_limits = { enforce = "required" }

[[template]]
name = "web"
variables = ["APP_*"]
command = ["/bin/sh", "-c", "echo serving; while :; do sleep 5; echo still serving; done"]

[[template]]
name = "worker"
variables = ["APP_*"]
command = ["/bin/sh", "-c", "echo working; while :; do sleep 5; echo still working; done"]
"#;

/// How long the lock is waited for that another system has on the folder, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// There while the first start is not complete: it holds the login of its account.
const FIRST_START: &str = "first-start";

/// The folder in which everything is kept, locked against a second system in it.
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Templates {
    /// The programs that may be run in nodes.
    #[serde(default)]
    pub(super) exec_commands: Vec<String>,
    /// How nodes are held to their cloudlets.
    #[serde(default)]
    pub(super) node_limits: NodeLimits,
    /// What nodes can run.
    #[serde(default)]
    pub(super) template: Vec<Template>,
}

impl DataFolder {
    /// Opens the folder, and makes it where it is not there.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let make = || -> io::Result<(PathBuf, File)> {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            let path = path.canonicalize()?;
            let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(path.join("lock"))?;
            Ok((path, lock))
        };
        let (path, lock) = make().with_context(|| format!("the data folder {}", path.display()))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        let mut locked = lock.try_lock();
        // A process that one which was killed had just begun to launch has its lock for a moment longer.
        while matches!(locked, Err(TryLockError::WouldBlock)) && Instant::now() < deadline {
            std::thread::sleep(LOCK_RETRY);
            locked = lock.try_lock();
        }
        match locked {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another `portcullis up` runs on {}", path.display()),
            Err(TryLockError::Error(error)) => Err(error).context("the data folder's lock"),
        }
    }

    pub(super) fn database(&self, name: &str) -> DatabaseUrl {
        DatabaseUrl::sqlite(&self.path.join(name))
    }

    /// Where nodes have their own folders.
    pub(super) fn nodes(&self) -> PathBuf {
        self.path.join("nodes")
    }

    /// The authority's signing key, made at the first start.
    pub(super) fn signing_key(&self) -> anyhow::Result<PathBuf> {
        self.secret("signing-key.pem", || SigningKey::generate(&mut rand::rng()).to_pem())
    }

    /// The key that seals the secrets of second factors, made at the first start that finds none.
    pub(super) fn second_factor_key(&self) -> anyhow::Result<PathBuf> {
        self.secret("second-factor.key", || SecondFactorKey::generate(&mut rand::rng()).to_base64())
    }

    /// A service's key, made at the first start: its file, and the hash that the authority knows it by.
    pub(super) fn service_key(&self, service: &str) -> anyhow::Result<(PathBuf, CredentialHash)> {
        let path = self.secret(&format!("{service}.key"), || {
            let key = Credential::generate(CredentialKind::Service, &mut rand::rng());
            Zeroizing::new(key.expose().to_owned())
        })?;
        let text = Zeroizing::new(std::fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        let key = Credential::parse(text.trim()).with_context(|| format!("what {} holds", path.display()))?;
        Ok((path, key.hash()))
    }

    /// What environments can run.
    pub(super) fn templates(&self) -> anyhow::Result<Templates> {
        let path = self.secret("templates.toml", || Zeroizing::new(TEMPLATES.to_owned()))?;
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The login of the account whose first start has begun and is not complete.
    pub(super) fn first_start(&self) -> anyhow::Result<Option<Login>> {
        let path = self.path.join(FIRST_START);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        text.trim().parse().map(Some).with_context(|| path.display().to_string())
    }

    /// Notes, before anything is made, that the first start has begun.
    pub(super) fn begin_first_start(&self, login: &Login) -> anyhow::Result<()> {
        self.write(FIRST_START, login.as_str()).with_context(|| FIRST_START.to_owned())
    }

    /// Notes, after everything is made and told, that the first start is complete.
    pub(super) fn complete_first_start(&self) -> anyhow::Result<()> {
        let remove = || -> io::Result<()> {
            std::fs::remove_file(self.path.join(FIRST_START))?;
            File::open(&self.path)?.sync_all()
        };
        remove().with_context(|| FIRST_START.to_owned())
    }

    /// A file for the owner only, filled when it is made.
    fn secret(&self, name: &str, content: impl FnOnce() -> Zeroizing<String>) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        if !path.exists() {
            self.write(name, &content()).with_context(|| path.display().to_string())?;
        }
        Ok(path)
    }

    /// Writes a file for the owner only: whole or not at all.
    fn write(&self, name: &str, content: &str) -> io::Result<()> {
        let beside = self.path.join(format!("{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(beside, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }
}
