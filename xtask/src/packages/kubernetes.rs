use std::fs::{copy, create_dir, create_dir_all, remove_dir_all, rename, write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::cache::{self, Scratch};
use super::{Package, apt_get, may_install, on_path, search_path, sources};
use crate::tools::{self, Tools, output};

/// Names a folder with the programs, where they are not to be built.
const OVERRIDE: &str = "PORTCULLIS_KUBERNETES_BIN";

const PROGRAMS: [&str; 2] = ["kube-apiserver", "kube-controller-manager"];

/// Of the release whose sources are built, and which compiler they take.
const SUITE: &str = "bookworm";
const COMPILER: &str = "/usr/lib/go-1.19/bin";

const ETCD: Package = Package { name: "etcd-server", is_there: |_| on_path(&search_path(), "etcd") };

/// It tells what `deploy/kubernetes` is by Kustomize.
const CLIENT: Package = Package { name: "kubernetes-client", is_there: |_| on_path(&search_path(), "kubectl") };

/// What the build needs, and the tests do not.
const BUILD: [Package; 5] = [
    Package { name: "dpkg-dev", is_there: |_| on_path(&search_path(), "dpkg-source") },
    Package { name: "gcc", is_there: |_| on_path(&search_path(), "gcc") },
    Package { name: "golang-1.19-go", is_there: |_| on_path(COMPILER.as_ref(), "go") },
    Package { name: "make", is_there: |_| on_path(&search_path(), "make") },
    Package { name: "rsync", is_there: |_| on_path(&search_path(), "rsync") },
];

pub(super) fn packages() -> Vec<Package> {
    // Where that cannot be said, the build will say why.
    let built = programs().is_ok_and(|programs| programs.is_some());
    [ETCD, CLIENT].into_iter().chain(BUILD.into_iter().filter(|_| !built)).collect()
}

/// Builds the programs from Debian's sources where they are not there yet.
pub(super) fn build(tools: &Tools) -> anyhow::Result<()> {
    if programs()?.is_some() {
        return Ok(());
    }
    let cache = cache::folder()?;
    let _lock = cache::lock(&cache)?;
    // Somebody else may have built them meanwhile.
    if in_cache(&cache).is_some() {
        return Ok(());
    }
    build_in(tools, &cache).with_context(|| {
        format!(
            "Kubernetes is missing and cannot be built: put {} of one release into a folder, name it in {OVERRIDE}, and try again",
            PROGRAMS.join(" and ")
        )
    })
}

fn build_in(tools: &Tools, cache: &Path) -> anyhow::Result<()> {
    let scratch = Scratch::new(cache.join("build"))?;
    let (version, source) = fetch(tools, &scratch.path().join("src/k8s.io"))?;
    let mut path = std::env::join_paths([COMPILER]).context("a plain path")?;
    path.push(":");
    path.push(search_path());
    let targets = format!("WHAT={}", PROGRAMS.map(|program| format!("cmd/{program}")).join(" "));
    let mut make = tools.command("make", &[&targets]);
    make.current_dir(&source).env("PATH", path).env("GOPATH", scratch.path()).env("GO111MODULE", "off");
    tools::run(make.env("GOCACHE", scratch.path().join("cache")).env_remove("GOFLAGS").env_remove("GOROOT"))?;
    let made = scratch.path().join("made");
    create_dir(&made)?;
    for program in PROGRAMS {
        let built = source.join("_output/bin").join(program);
        copy(&built, made.join(program)).with_context(|| format!("{} was not built", built.display()))?;
    }
    let place = cache.join(version);
    // What is there is not complete.
    let _ = remove_dir_all(&place);
    rename(&made, &place).with_context(|| format!("{} cannot be made", place.display()))
}

/// Gets the sources: `kubernetes-<version>`, and where they are. Go looks for them by that name.
fn fetch(tools: &Tools, folder: &Path) -> anyhow::Result<(String, PathBuf)> {
    create_dir_all(folder)?;
    let known = |tools: &Tools| {
        output(&mut tools.command("apt-cache", &["showsrc", "--only-source", "kubernetes"]))
            .is_ok_and(|told| !told.is_empty())
    };
    if !known(tools) {
        may_install().context("apt knows no sources of the package `kubernetes`")?;
        let apt = Path::new("/etc/apt");
        let entry = sources::of_machine(apt, SUITE)?;
        let file = apt.join("sources.list.d").join(entry.file_name("portcullis-source"));
        write(&file, entry.text()).with_context(|| format!("{} cannot be written", file.display()))?;
        apt_get(tools, &["update"])?;
        ensure!(known(tools), "the mirror in {} has no sources of the package `kubernetes`", file.display());
    }
    tools::run(tools.command("apt-get", &["source", "--only-source", "kubernetes"]).current_dir(folder))?;
    let names = std::fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir());
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let Some(version) = names.find(|name| name.starts_with("kubernetes-")) else {
        bail!("the package `kubernetes` has no sources in it")
    };
    let source = folder.join("kubernetes");
    rename(folder.join(&version), &source)?;
    Ok((version, source))
}

/// Where the programs are, by the same rules as the testkit's.
fn programs() -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = std::env::var_os(OVERRIDE).map(PathBuf::from) {
        ensure!(complete(&folder), "{OVERRIDE} names a folder without {}: {}", PROGRAMS.join(" or "), folder.display());
        return Ok(Some(folder));
    }
    Ok(in_cache(&cache::folder()?))
}

fn in_cache(cache: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let ours = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("kubernetes-"));
    ours.map(|folder| folder.path()).filter(|folder| complete(folder)).max()
}

fn complete(folder: &Path) -> bool {
    PROGRAMS.iter().all(|program| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_folder_is_taken() {
        let cache = tempfile::tempdir().unwrap();
        for (folder, programs) in [
            ("kubernetes-1.19", 2),
            ("kubernetes-1.20", 2),
            ("kubernetes-1.21", 1),
            ("build", 2),
            ("kubernetes-1.22", 0),
        ] {
            create_dir(cache.path().join(folder)).unwrap();
            for program in PROGRAMS.iter().take(programs) {
                write(cache.path().join(folder).join(program), "").unwrap();
            }
        }
        assert_eq!(in_cache(cache.path()), Some(cache.path().join("kubernetes-1.20")));
        assert_eq!(in_cache(&cache.path().join("nowhere")), None);
    }
}
