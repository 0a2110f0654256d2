//! The control groups of nodes: what holds them to their cloudlets, and what nothing of a node gets out of, daemon or not.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cgroup::{Controller, Group, LimitError, Limits, Root};
use uuid::Uuid;

use super::OpenError;
use super::table::{Entry, Table};
use crate::domain::{Cloudlets, LaunchId};
use crate::driver::EndError;

/// A cloudlet's memory.
const MEMORY: u64 = 128 << 20;
/// A cloudlet's share of the processors: 400 MHz of a core, which counts as 2.4 GHz; in thousandths of a core, six times over.
const SIXTH: u64 = 1000;

/// How long a group of which all has ended may refuse to be removed: until the kernel has let go of the last of it.
const REMOVAL: Duration = Duration::from_secs(2);
const REMOVAL_RETRY: Duration = Duration::from_millis(5);

/// Whether nodes are held to their cloudlets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounding {
    WherePossible,
    Required,
    Off,
}

/// How nodes are held to their cloudlets.
#[derive(Clone, Debug)]
pub(crate) struct BoundingSettings {
    pub(crate) bounding: Bounding,
    /// The group in which nodes have theirs; this process's own where none is named.
    pub(crate) parent: Option<PathBuf>,
    /// How many processes and threads a node may have.
    pub(crate) processes: u64,
}

/// Where nodes have their groups, if they have any.
#[derive(Debug)]
pub(super) struct Bounds {
    root: Option<Root>,
    processes: u64,
}

impl Bounds {
    /// Finds out what this machine permits, and tells it.
    pub(super) fn open(settings: &BoundingSettings, data_dir: &Path) -> Result<Self, OpenError> {
        let root = match settings.bounding {
            Bounding::Off => None,
            bounding => Self::root(bounding, settings.parent.as_deref(), data_dir)?,
        };
        match &root {
            None => tracing::info!("cloudlets of nodes that are processes are not enforced"),
            Some(root) => {
                let enforced: Vec<&str> = root.enforced().into_iter().map(Controller::name).collect();
                tracing::info!(enforced = enforced.join(", "), "nodes that are processes have control groups");
            }
        }
        Ok(Self { root, processes: settings.processes })
    }

    fn root(bounding: Bounding, parent: Option<&Path>, data_dir: &Path) -> Result<Option<Root>, OpenError> {
        let id = own_id(data_dir).map_err(|error| OpenError::Folder(data_dir.to_owned(), error))?;
        let root = match Root::open(&format!("portcullis-{}", id.simple()), parent) {
            Ok(root) => root,
            Err(error) if bounding == Bounding::Required => return Err(OpenError::Bounds(error)),
            Err(error) => {
                tracing::warn!(%error, cause = %error.source, "cloudlets of nodes that are processes are not enforced");
                return Ok(None);
            }
        };
        if bounding == Bounding::Required && !root.missing().is_empty() {
            let reasons: Vec<String> = root.missing().iter().map(ToString::to_string).collect();
            root.remove();
            return Err(OpenError::Unbounded(reasons.join("; ")));
        }
        for missing in root.missing() {
            let limit = missing.controller.name();
            tracing::warn!(limit, reason = missing.reason, "a limit of nodes that are processes is not enforced");
        }
        Ok(root.is_usable().then_some(root))
    }

    /// Makes the group of a launch. `None` where nodes have none.
    pub(super) fn make(&self, launch: LaunchId, cloudlets: Cloudlets) -> Result<Option<Group>, LimitError> {
        let Some(root) = &self.root else { return Ok(None) };
        root.make(&name(launch), self.limits(cloudlets)).map(Some)
    }

    /// The group of a launch, where it has one.
    pub(super) fn of(&self, launch: LaunchId) -> Option<Group> {
        let group = self.root.as_ref()?.group(&name(launch));
        group.exists().then_some(group)
    }

    /// Makes a launch as large as this.
    pub(super) fn resize(&self, launch: LaunchId, cloudlets: Cloudlets) -> Result<(), LimitError> {
        self.of(launch).map_or(Ok(()), |group| group.limit(self.limits(cloudlets)))
    }

    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        self.root.is_some()
    }

    #[cfg(test)]
    pub(super) fn enforces(&self, controller: Controller) -> bool {
        self.root.as_ref().is_some_and(|root| root.enforced().contains(&controller))
    }

    fn limits(&self, cloudlets: Cloudlets) -> Limits {
        let cloudlets = u64::from(cloudlets.flexible().unsigned_abs());
        Limits { memory: cloudlets * MEMORY, millicpus: cloudlets * SIXTH / 6, pids: self.processes }
    }

    /// The launches that have a group and are not among these.
    pub(super) fn others(&self, recorded: &HashSet<LaunchId>) -> Vec<LaunchId> {
        let names = self.root.as_ref().and_then(|root| root.names().ok()).unwrap_or_default();
        let launches = names.iter().filter_map(|name| Uuid::try_parse(name).ok()).map(LaunchId);
        launches.filter(|launch| !recorded.contains(launch)).collect()
    }
}

impl Drop for Bounds {
    fn drop(&mut self) {
        // What nodes are in stays.
        if let Some(root) = &self.root {
            root.remove();
        }
    }
}

fn name(launch: LaunchId) -> String {
    launch.0.simple().to_string()
}

/// What tells this service's groups from another's: made once, kept in the data folder, which is one service's at a time.
fn own_id(data_dir: &Path) -> io::Result<Uuid> {
    let file = data_dir.join("id");
    match fs::read_to_string(&file) {
        Ok(text) => Uuid::try_parse(text.trim()).map_err(|error| io::Error::other(format!("the file `id`: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Uuid::new_v4();
            let made = data_dir.join("id.new");
            fs::write(&made, id.simple().to_string())?;
            fs::rename(made, file)?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

/// What of a table is in a group. The group is read after the table, so that whoever has a number in it since is not mistaken for whoever
/// had it then: the entry's start tells them apart when it is signalled.
pub(super) fn members(group: &Group, table: &Table) -> io::Result<(Vec<Entry>, BTreeSet<i32>)> {
    let pids = group.processes()?;
    Ok((table.of_pids(&pids).copied().collect(), pids))
}

/// Removes the group of a launch of which all has ended.
pub(super) async fn remove(group: Group) -> Result<(), EndError> {
    let deadline = Instant::now() + REMOVAL;
    while let Err(error) = group.remove() {
        if Instant::now() >= deadline {
            return Err(EndError::Failed("its control group is not empty".to_owned(), error.into()));
        }
        tokio::time::sleep(REMOVAL_RETRY).await;
    }
    Ok(())
}
