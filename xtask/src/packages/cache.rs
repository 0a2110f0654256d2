use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The project's folder for what takes long to get: it outlives cargo's. The testkit looks in the same place.
pub(super) fn folder() -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("portcullis"))
}

/// Waits until nobody else changes the folder, which it makes. The lock is held as long as the file is open.
pub(super) fn lock(folder: &Path) -> anyhow::Result<File> {
    let told = || format!("{} cannot be written", folder.display());
    create_dir_all(folder).with_context(told)?;
    let file = File::create(folder.join("lock")).with_context(told)?;
    file.lock().with_context(told)?;
    Ok(file)
}

/// A folder that is gone when this is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder, whatever was there.
    pub(super) fn new(folder: PathBuf) -> anyhow::Result<Self> {
        // Left by one who was killed.
        let _ = std::fs::remove_dir_all(&folder);
        create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("warning: {} cannot be removed: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_begins_empty_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build");
        create_dir_all(path.join("old")).unwrap();
        let scratch = Scratch::new(path.clone()).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn one_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(&folder.path().join("new")).unwrap();
        let other = File::open(folder.path().join("new/lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        other.try_lock().unwrap();
    }
}
