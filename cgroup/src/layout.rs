//! Which hierarchies of groups a process sees, and where in them it is: pure, from what `/proc` says.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use procfs::process::MountInfo;
use procfs::{ProcessCGroup, ProcessCGroups};

use crate::limits::Controller;

/// Version 1 has a hierarchy for each controller or some of them, version 2 one for all that version 1 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// A hierarchy that is mounted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: Version,
    /// Where it is mounted.
    point: PathBuf,
    /// Which of its groups is seen there.
    root: PathBuf,
    /// The group that this process is in.
    own: PathBuf,
    /// Those of a hierarchy of version 1. What version 2 has is told by each group.
    pub(crate) controllers: BTreeSet<Controller>,
}

impl Hierarchy {
    /// The folder of a group, of this process's where none is named; `None` where that is not seen here.
    pub(crate) fn folder(&self, group: Option<&Path>) -> Option<PathBuf> {
        let group = group.unwrap_or(&self.own);
        if group.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        group.strip_prefix(&self.root).ok().map(|below| self.point.join(below))
    }

    /// The folder of the group that this process is in.
    pub(crate) fn own_folder(&self) -> Option<PathBuf> {
        self.folder(None)
    }
}

/// The hierarchies that have a controller that limits something, and the one of version 2 in any case: it ends all of a group at once.
pub(crate) fn hierarchies(mounts: &[MountInfo], membership: &ProcessCGroups) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts {
        let Some(hierarchy) = hierarchy(mount, membership) else { continue };
        let wanted = hierarchy.version == Version::Two || !hierarchy.controllers.is_empty();
        let same = |other: &Hierarchy| other.version == hierarchy.version && other.controllers == hierarchy.controllers;
        if wanted && hierarchy.own_folder().is_some() && !found.iter().any(same) {
            found.push(hierarchy);
        }
    }
    found
}

fn hierarchy(mount: &MountInfo, membership: &ProcessCGroups) -> Option<Hierarchy> {
    let has = |name: &str| mount.super_options.contains_key(name);
    let (version, controllers): (_, BTreeSet<Controller>) = match mount.fs_type.as_str() {
        "cgroup" => (Version::One, Controller::ALL.into_iter().filter(|it| has(it.name())).collect()),
        "cgroup2" => (Version::Two, BTreeSet::new()),
        _ => return None,
    };
    let is_own = |entry: &&ProcessCGroup| match version {
        Version::One => controllers.iter().any(|it| entry.controllers.iter().any(|name| name == it.name())),
        Version::Two => entry.hierarchy == 0,
    };
    let own = PathBuf::from(&membership.0.iter().find(is_own)?.pathname);
    Some(Hierarchy { version, point: mount.mount_point.clone(), root: PathBuf::from(&mount.root), own, controllers })
}

#[cfg(test)]
mod tests {
    use procfs::FromBufRead;
    use procfs::process::MountInfos;

    use super::*;

    fn read(mounts: &str, membership: &str) -> Vec<Hierarchy> {
        let mounts = MountInfos::from_buf_read(mounts.as_bytes()).unwrap();
        hierarchies(&mounts.0, &ProcessCGroups::from_buf_read(membership.as_bytes()).unwrap())
    }

    fn folders(found: &[Hierarchy]) -> Vec<(Version, String, Vec<&'static str>)> {
        let of = |it: &Hierarchy| {
            let folder = it.own_folder().unwrap().to_str().unwrap().to_owned();
            (it.version, folder, it.controllers.iter().map(|it| it.name()).collect())
        };
        found.iter().map(of).collect()
    }

    #[test]
    fn version_two_alone() {
        let found = read(
            "24 30 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n\
             25 30 0:23 / /sys/kernel/debug rw - debugfs debugfs rw\n",
            "0::/system.slice/portcullis.service\n",
        );
        let own = "/sys/fs/cgroup/system.slice/portcullis.service".to_owned();
        assert_eq!(folders(&found), [(Version::Two, own, vec![])]);
        let other = found[0].folder(Some(Path::new("/nodes.slice"))).unwrap();
        assert_eq!(other, Path::new("/sys/fs/cgroup/nodes.slice"));
        assert_eq!(found[0].folder(Some(Path::new("/a/../../b"))), None);
    }

    #[test]
    fn version_one_with_controllers_that_share_a_hierarchy_and_the_other_version_beside() {
        let found = read(
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             34 31 0:31 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
             39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             42 31 0:30 / /mnt/again rw - cgroup cgroup rw,memory\n",
            "9:name=systemd:/a\n8:pids:/b\n5:devices:/\n4:memory:/c/d\n2:cpu,cpuacct:/\n0::/e\n",
        );
        let expected = [
            (Version::One, "/sys/fs/cgroup/cpu,cpuacct/", vec!["cpu"]),
            (Version::One, "/sys/fs/cgroup/memory/c/d", vec!["memory"]),
            (Version::One, "/sys/fs/cgroup/pids/b", vec!["pids"]),
            (Version::Two, "/sys/fs/cgroup/unified/e", vec![]),
        ];
        assert_eq!(folders(&found), expected.map(|(version, folder, of)| (version, folder.to_owned(), of)));
    }

    #[test]
    fn a_container_sees_its_own_part() {
        let membership = "4:memory:/docker/abc/inner\n";
        let found = read("33 31 0:30 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", membership);
        assert_eq!(folders(&found), [(Version::One, "/sys/fs/cgroup/memory/inner".to_owned(), vec!["memory"])]);
        assert_eq!(found[0].folder(Some(Path::new("/elsewhere"))), None, "it is not seen from here");
        let other = "33 31 0:30 /docker/xyz /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(read(other, membership), []);
        assert_eq!(read("24 30 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/../..\n"), []);
    }

    #[test]
    fn nothing_where_nothing_is_mounted() {
        assert_eq!(read("25 30 0:23 / / rw - ext4 /dev/vda rw\n", "0::/\n"), []);
        assert_eq!(read("", ""), []);
    }
}
