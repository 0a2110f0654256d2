use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use procfs::process::Process;

use crate::ReadError;
use crate::group::{Group, LimitError, Part, make_folder, write_line};
use crate::layout::{Hierarchy, Version, hierarchies};
use crate::limits::{Controller, Limits};

/// A group of a name of its own, for others in it, in every hierarchy where this process may have one.
#[derive(Debug)]
pub struct Root {
    parts: Vec<Part>,
    missing: Vec<Missing>,
}

/// A limit that is not enforced here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", controller.name())]
pub struct Missing {
    /// What is not limited.
    pub controller: Controller,
    /// Why.
    pub reason: String,
}

impl Root {
    /// Makes it, or finds it again: in the group `parent`, named as `/proc/PID/cgroup` does it, or in this process's own.
    ///
    /// # Errors
    /// Where it is not known what there is. Whatever else is not possible is [missing](Self::missing).
    pub fn open(name: &str, parent: Option<&Path>) -> Result<Self, ReadError> {
        let read = |file, source| ReadError { file, source };
        let own = Process::myself().map_err(|error| read("/proc/self", error))?;
        let mounts = own.mountinfo().map_err(|error| read("/proc/self/mountinfo", error))?;
        let membership = own.cgroups().map_err(|error| read("/proc/self/cgroup", error))?;
        let mut parts = Vec::new();
        let mut reasons: BTreeMap<Controller, String> = BTreeMap::new();
        for hierarchy in hierarchies(&mounts.0, &membership) {
            match part(&hierarchy, name, parent) {
                Ok((part, lacks)) => {
                    reasons.extend(lacks);
                    parts.push(part);
                }
                Err(reason) if hierarchy.version == Version::One => {
                    reasons.extend(hierarchy.controllers.iter().map(|it| (*it, reason.clone())));
                }
                Err(reason) => {
                    for controller in Controller::ALL {
                        reasons.entry(controller).or_insert_with(|| reason.clone());
                    }
                }
            }
        }
        let enforced: BTreeSet<Controller> = parts.iter().flat_map(|part: &Part| part.controllers.clone()).collect();
        let missing = |controller| {
            let reason = reasons.get(&controller).cloned();
            Missing { controller, reason: reason.unwrap_or_else(|| "the kernel has no such control group".to_owned()) }
        };
        let missing = Controller::ALL.into_iter().filter(|it| !enforced.contains(it)).map(missing).collect();
        Ok(Self { parts, missing })
    }

    /// Whether there is any hierarchy to have groups in.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.parts.is_empty()
    }

    /// What is limited.
    #[must_use]
    pub fn enforced(&self) -> BTreeSet<Controller> {
        self.parts.iter().flat_map(|part| part.controllers.clone()).collect()
    }

    /// What is not limited.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// A group in it, there or not.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        Group(self.parts.iter().map(|part| Part { folder: part.folder.join(name), ..part.clone() }).collect())
    }

    /// Makes a group in it, limited from the beginning.
    ///
    /// # Errors
    /// Where it is not there, or not limited. Nothing is left of it then.
    pub fn make(&self, name: &str, limits: Limits) -> Result<Group, LimitError> {
        let group = self.group(name);
        let failed =
            |error| LimitError::Write(self.parts.first().map(|it| it.folder.join(name)).unwrap_or_default(), error);
        let made = group.make().map_err(failed).and_then(|()| group.limit(limits));
        if made.is_err() {
            drop(group.remove());
        }
        made.map(|()| group)
    }

    /// The names of the groups in it.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn names(&self) -> io::Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for part in &self.parts {
            for entry in fs::read_dir(&part.folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    names.extend(entry.file_name().into_string());
                }
            }
        }
        Ok(names)
    }

    /// Removes it where it is empty. It is made anew by the next [`open`](Self::open).
    pub fn remove(&self) {
        for part in &self.parts {
            drop(fs::remove_dir(&part.folder));
        }
    }
}

/// The root in one hierarchy, and what that does not limit, with the reasons.
fn part(
    hierarchy: &Hierarchy,
    name: &str,
    parent: Option<&Path>,
) -> Result<(Part, BTreeMap<Controller, String>), String> {
    let outer = hierarchy.folder(parent).ok_or("the group that it is to be in is not seen from here")?;
    if !outer.is_dir() {
        return Err(format!("there is no {}", outer.display()));
    }
    let folder = outer.join(name);
    let mut lacks = BTreeMap::new();
    if hierarchy.version == Version::Two {
        lacks = delegate(hierarchy, &outer, name);
    }
    make_folder(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    if hierarchy.version == Version::Two {
        let given = words(&folder.join("cgroup.controllers"));
        for controller in Controller::ALL.into_iter().filter(|it| given.contains(it.name())) {
            if let Err(error) = write_line(&folder.join("cgroup.subtree_control"), &format!("+{}", controller.name())) {
                lacks.insert(controller, format!("{} does not give it on: {error}", folder.display()));
            }
        }
    }
    let trial = Part { version: hierarchy.version, folder: folder.join("trial"), controllers: BTreeSet::new() };
    let tried = Group(vec![trial]);
    let controllers = tried.make().and_then(|()| tried.door()).map(|_| {
        let has = |it: &Controller| tried.0[0].folder.join(it.file(hierarchy.version)).exists();
        Controller::ALL.into_iter().filter(has).collect()
    });
    drop(tried.remove());
    match controllers {
        Ok(controllers) => Ok((Part { version: hierarchy.version, folder, controllers }, lacks)),
        Err(error) => {
            drop(fs::remove_dir(&folder));
            Err(format!("{} cannot be used: {error}", folder.display()))
        }
    }
}

/// Has a group of version 2 give its controllers to those in it. It must hold no process then: where this one is alone in it, it goes
/// into a group beside the new one.
fn delegate(hierarchy: &Hierarchy, outer: &Path, name: &str) -> BTreeMap<Controller, String> {
    let mut lacks = BTreeMap::new();
    let (there, given) = (words(&outer.join("cgroup.controllers")), words(&outer.join("cgroup.subtree_control")));
    for controller in Controller::ALL.into_iter().filter(|it| !given.contains(it.name())) {
        if !there.contains(controller.name()) {
            lacks.insert(controller, format!("{} does not have it", outer.display()));
            continue;
        }
        let give = || write_line(&outer.join("cgroup.subtree_control"), &format!("+{}", controller.name()));
        let mut gave = give();
        if gave.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
            && hierarchy.own_folder().as_deref() == Some(outer)
            && step_aside(outer, name)
        {
            gave = give();
        }
        if let Err(error) = gave {
            lacks.insert(controller, format!("{} does not give it to groups in it: {error}", outer.display()));
        }
    }
    lacks
}

/// Goes out of the own group into one in it, if no other process is there.
fn step_aside(outer: &Path, name: &str) -> bool {
    let own = std::process::id().to_string();
    let alone = words(&outer.join("cgroup.procs")) == BTreeSet::from([own]);
    let aside = outer.join(format!("{name}-service"));
    alone && make_folder(&aside).is_ok() && write_line(&aside.join("cgroup.procs"), "0").is_ok()
}

fn words(file: &Path) -> BTreeSet<String> {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}
