//! The files of a node: those in its own folder, and nothing that a path or a link leads to from there.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::driver::{LogFile, NodeError, Window};

/// Removes a folder, and those in it that their owner took himself the permission for.
pub(super) async fn remove_unwritable(folder: &Path) -> io::Result<()> {
    let folder = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || {
        open_up(&folder)?;
        std::fs::remove_dir_all(&folder)
    });
    removed.await?
}

/// Lets the service look into a folder and those in it, and change them. What links lead to is left alone.
fn open_up(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// The logs of a node.
pub(super) fn logs(folder: &Path) -> Result<Vec<LogFile>, NodeError> {
    let mut logs = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(logs),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !is_log(&name) {
            continue;
        }
        // A link or a folder of such a name is none, and one that was put aside meanwhile is gone.
        let file = match open(folder, &name) {
            Err(NodeError::NoFile) => continue,
            file => file?,
        };
        let about = file.metadata().map_err(failed)?;
        let modified_at = about.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        logs.push(LogFile { path: name, size: about.len(), modified_at });
    }
    logs.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(logs)
}

/// Whether a file in a node's folder is a log, by its name.
fn is_log(name: &str) -> bool {
    name.contains(".log") && !name.contains('/')
}

/// A part of a log: of nothing that [`logs`] would not list.
pub(super) fn read_log(folder: &Path, path: &str, window: Window) -> Result<Vec<u8>, NodeError> {
    let name = path.trim_start_matches('/');
    if is_log(name) { read(folder, name, window) } else { Err(NodeError::NoFile) }
}

/// A part of a file.
fn read(folder: &Path, path: &str, window: Window) -> Result<Vec<u8>, NodeError> {
    let mut file = open(folder, path)?;
    let size = file.metadata().map_err(failed)?.len();
    let count = u64::try_from(window.count).unwrap_or(u64::MAX);
    let from = window.from.unwrap_or_else(|| size.saturating_sub(count));
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A whole file, if it is no larger than this.
pub(super) fn read_whole(folder: &Path, path: &str, most: usize) -> Result<Vec<u8>, NodeError> {
    let bytes = read(folder, path, Window { from: Some(0), count: most.saturating_add(1) })?;
    if bytes.len() > most {
        return Err(NodeError::Refused(format!("the file is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// Opens a regular file below a folder. The system itself sees to it that no part of the path leads out of it: neither `..` nor
/// a link, whoever makes one meanwhile.
fn open(folder: &Path, path: &str) -> Result<File, NodeError> {
    let inside = Path::new(path.trim_start_matches('/'));
    let root = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NodeError::NoFile),
        root => root.map_err(failed)?,
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(&root, inside, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        // What leads out is not there, as far as the caller is concerned; nor is what cannot be a path.
        Err(_) => return Err(NodeError::NoFile),
    };
    if file.metadata().map_err(failed)?.is_file() { Ok(file) } else { Err(NodeError::NoFile) }
}

fn failed(error: io::Error) -> NodeError {
    NodeError::Failed(error.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ALL: Window = Window { from: Some(0), count: 1000 };

    #[test]
    fn what_its_owner_has_shut_is_opened_to_be_removed_and_nothing_outside() {
        let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let (node, outside) = (folder.path().join("node"), folder.path().join("outside"));
        let inner = node.join("shut/inner");
        for made in [&inner, &outside] {
            std::fs::create_dir_all(made).unwrap();
        }
        symlink(&outside, node.join("shut/link")).unwrap();
        for shut in [&outside, &inner, &node.join("shut"), &node] {
            std::fs::set_permissions(shut, Permissions::from_mode(0o500)).unwrap();
        }
        open_up(&node).unwrap();
        assert_eq!([&node, &node.join("shut"), &inner].map(|path| mode(path)), [0o700; 3]);
        assert_eq!(mode(&outside), 0o500, "a link leads there");
    }

    #[test]
    fn nothing_outside_of_the_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("node");
        std::fs::create_dir_all(node.join("sub")).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(node.join("sub/inside"), "inside").unwrap();
        std::fs::write(node.join("stdout.log"), "log").unwrap();
        symlink(folder.path().join("secret"), node.join("link.log")).unwrap();
        symlink("../secret", node.join("sub/link")).unwrap();
        symlink(folder.path(), node.join("up")).unwrap();
        symlink("sub/inside", node.join("harmless")).unwrap();
        for path in ["/sub/inside", "sub/inside", "sub/../sub/inside"] {
            assert_eq!(read(&node, path, ALL).unwrap(), b"inside", "{path}");
        }
        let absolute = folder.path().join("secret").display().to_string();
        for path in [
            "../secret",
            "/../secret",
            "link.log",
            "sub/link",
            "up/secret",
            "harmless",
            "sub",
            "",
            "/",
            ".",
            "nothing",
            "a\0b",
            "/proc/self/environ",
            "stdout.log/",
            absolute.as_str(),
            "sub/../../secret",
        ] {
            assert!(matches!(read(&node, path, ALL), Err(NodeError::NoFile)), "{path:?}");
        }
        assert!(matches!(read(&folder.path().join("none"), "a", ALL), Err(NodeError::NoFile)));
    }

    #[test]
    fn a_part_is_read_from_a_place_or_up_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stdout.log"), "0123456789").unwrap();
        let part = |from, count| read(folder.path(), "stdout.log", Window { from, count }).unwrap();
        assert_eq!(part(Some(2), 3), b"234");
        assert_eq!(part(Some(20), 3), b"");
        assert_eq!(part(None, 4), b"6789");
        assert_eq!(part(None, 40), b"0123456789");
        assert_eq!(read_whole(folder.path(), "stdout.log", 10).unwrap(), b"0123456789");
        assert!(matches!(read_whole(folder.path(), "stdout.log", 9), Err(NodeError::Refused(_))));
        let logs = logs(folder.path()).unwrap();
        assert_eq!((logs.len(), logs[0].path.as_str(), logs[0].size), (1, "stdout.log", 10));
    }
}
