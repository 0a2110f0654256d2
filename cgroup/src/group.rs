use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::door::Door;
use crate::layout::Version;
use crate::limits::{Controller, Limits, Need, lines};

/// A group: a folder in each hierarchy.
#[derive(Clone, Debug)]
pub struct Group(pub(crate) Vec<Part>);

/// A group in one hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) version: Version,
    pub(crate) folder: PathBuf,
    pub(crate) controllers: BTreeSet<Controller>,
}

/// Why a group's limits are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// More memory is in use.
    #[error("more memory is in use")]
    InUse,
    /// A line was not taken.
    #[error("{0} was not written")]
    Write(PathBuf, #[source] io::Error),
}

impl Group {
    /// Whether there is something of it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.0.iter().any(|part| part.folder.exists())
    }

    /// Makes its folders, where they are not there yet.
    pub(crate) fn make(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|part| make_folder(&part.folder))
    }

    /// Limits it, from now on. The memory comes first: where more of it is in use, nothing is changed.
    ///
    /// # Errors
    /// Where a limit is not in force.
    pub fn limit(&self, limits: Limits) -> Result<(), LimitError> {
        for controller in Controller::ALL {
            for part in self.0.iter().filter(|part| part.controllers.contains(&controller)) {
                part.limit(controller, limits)?;
            }
        }
        Ok(())
    }

    /// The way in.
    ///
    /// # Errors
    /// Where this process may put none in.
    pub fn door(&self) -> io::Result<Door> {
        let folders: Vec<_> = self.0.iter().map(|part| part.folder.clone()).collect();
        Door::open(&folders)
    }

    /// The processes in it, and in groups that they have made in it. What is not there has none.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn processes(&self) -> io::Result<BTreeSet<i32>> {
        let mut found = BTreeSet::new();
        for part in &self.0 {
            for folder in tree(&part.folder)? {
                let text = unless_gone(fs::read_to_string(folder.join("cgroup.procs")))?.unwrap_or_default();
                found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
            }
        }
        Ok(found)
    }

    /// Kills all in it at once where the kernel does that (version 2, Linux 5.14), and else lets it have no further process, so that
    /// whoever kills them one by one comes to an end.
    ///
    /// # Errors
    /// Where neither is possible.
    pub fn kill(&self) -> io::Result<()> {
        for part in &self.0 {
            let line = match part.version {
                Version::Two => write_line(&part.folder.join("cgroup.kill"), "1"),
                Version::One if part.controllers.contains(&Controller::Pids) => {
                    write_line(&part.folder.join("pids.max"), "0")
                }
                Version::One => continue,
            };
            unless_gone(line)?;
        }
        Ok(())
    }

    /// Removes it, once nothing is in it.
    ///
    /// # Errors
    /// Where something is, or it may not be removed.
    pub fn remove(&self) -> io::Result<()> {
        for part in &self.0 {
            for folder in tree(&part.folder)?.into_iter().rev() {
                unless_gone(fs::remove_dir(folder))?;
            }
        }
        Ok(())
    }

    /// How many of its processes were killed since there was no memory left for them.
    #[must_use]
    pub fn killed_for_memory(&self) -> u64 {
        let of = |part: &Part| {
            let file = match part.version {
                Version::One => "memory.oom_control",
                Version::Two => "memory.events",
            };
            number(&fs::read_to_string(part.folder.join(file)).ok()?, "oom_kill")
        };
        let limited = self.0.iter().filter(|part| part.controllers.contains(&Controller::Memory));
        limited.filter_map(of).sum()
    }
}

impl Part {
    fn limit(&self, controller: Controller, limits: Limits) -> Result<(), LimitError> {
        if controller == Controller::Memory && self.version == Version::Two && self.held() > limits.memory {
            // The kernel would kill at once. Version 1 refuses by itself.
            return Err(LimitError::InUse);
        }
        for line in lines(controller, self.version, limits) {
            let file = self.folder.join(line.file);
            match write_line(&file, &line.text) {
                Ok(()) => {}
                Err(_) if line.need == Need::Try => {}
                Err(error) if line.need == Need::IfThere && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => return Err(LimitError::InUse),
                Err(error) => return Err(LimitError::Write(file, error)),
            }
        }
        Ok(())
    }

    /// The bytes that cannot be taken back from its processes.
    fn held(&self) -> u64 {
        fs::read_to_string(self.folder.join("memory.stat")).ok().and_then(|text| number(&text, "anon")).unwrap_or(0)
    }
}

/// Writes a line to a file that is there: one that is not there is not made.
pub(crate) fn write_line(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// A folder and all below it, the outer ones first; none where it is not there.
fn tree(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Some(entries) = unless_gone(fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let Some(entry) = unless_gone(entry)? else { continue };
            if unless_gone(entry.file_type())?.is_some_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
        found.push(folder);
    }
    Ok(found)
}

/// A group that ends while it is looked at holds nothing (`ENOENT`, `ENODEV`).
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number after a name, in a file of such lines.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_after_a_name_is_that_of_the_whole_name() {
        let text = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(number(text, "oom_kill"), Some(2));
        assert_eq!(number(text, "oom"), Some(3));
        assert_eq!(number(text, "max"), None);
        assert_eq!(number("oom_kill_disable 0\nunder_oom 0\noom_kill 1", "oom_kill"), Some(1));
    }

    #[test]
    fn what_is_not_there_holds_nothing_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("none");
        let part = Part { version: Version::Two, folder, controllers: BTreeSet::new() };
        let group = Group(vec![part]);
        assert!(!group.exists());
        assert_eq!(group.processes().unwrap(), BTreeSet::new());
        group.kill().unwrap();
        group.remove().unwrap();
        assert!(group.door().is_err());
    }
}
