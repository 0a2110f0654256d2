//! Logs that have become large are put aside, beside the nodes that write them: those hold their files open, so the beginning is
//! taken away under them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

/// How often logs are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// What is taken away from the beginning of a file has to be whole blocks of the file system; this is a multiple of all that are
/// in use.
const BLOCK: u64 = 64 * 1024;

/// The logs of a node.
const LOGS: [&str; 2] = ["stdout.log", "stderr.log"];

/// How long logs become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogLimits {
    /// How large one may become.
    pub(crate) bytes: u64,
    /// How many that were put aside are kept.
    pub(crate) files: u32,
}

/// Looks after the logs of all nodes until the service ends.
pub(super) async fn keep(environments: PathBuf, limits: LogLimits, lifecycle: lifecycle::Lifecycle) {
    let mut tick = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = lifecycle.draining() => return,
            _ = tick.tick() => (),
        }
        let folder = environments.clone();
        drop(tokio::task::spawn_blocking(move || look(&folder, limits)).await);
    }
}

fn look(environments: &Path, limits: LogLimits) {
    for environment in folders(environments) {
        for node in folders(&environment) {
            for name in LOGS {
                if let Err(error) = rotate(&node, name, limits) {
                    tracing::warn!(folder = %node.display(), name, %error, "a log was not put aside");
                }
            }
        }
    }
}

fn folders(of: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Puts a log aside if it has become too large. A node can make anything of its folder, a link too: no link is followed.
fn rotate(folder: &Path, name: &str, limits: LogLimits) -> io::Result<bool> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let open = OpenOptions::new().read(true).write(true).custom_flags(no_follow).open(folder.join(name));
    let mut log = match open {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        open => open?,
    };
    let about = log.metadata()?;
    if !about.is_file() || about.len() <= limits.bytes {
        return Ok(false);
    }
    let aside = |number: u32| folder.join(format!("{name}.{number}"));
    if limits.files == 0 {
        log.set_len(0)?;
        return Ok(true);
    }
    for number in (1..limits.files).rev() {
        match std::fs::rename(aside(number), aside(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
    }
    drop(std::fs::remove_file(aside(1)));
    let whole = about.len() / BLOCK * BLOCK;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside(1))?;
    // The end of the file cannot be taken away in this way, so a block stays at least.
    let taken = whole.min((about.len() - 1) / BLOCK * BLOCK);
    io::copy(&mut (&mut log).take(taken), &mut copy)?;
    match fallocate(&log, FallocateFlags::COLLAPSE_RANGE, 0, taken) {
        Ok(()) => {}
        // Not every file system can do that. What is written between the copy and this is lost then.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => rest(&mut log, &mut copy)?,
        Err(error) => return Err(error.into()),
    }
    copy.flush()?;
    Ok(true)
}

fn rest(log: &mut File, copy: &mut File) -> io::Result<()> {
    io::copy(log, copy)?;
    log.set_len(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMITS: LogLimits = LogLimits { bytes: 100_000, files: 2 };

    #[test]
    fn nothing_of_a_log_is_lost_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout.log");
        // As a node has it: at the end, whatever becomes of the beginning.
        let mut node = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let text = |lines: std::ops::Range<u32>| lines.map(|line| format!("line {line:08}\n")).collect::<String>();
        let mut write = |lines| node.write_all(text(lines).as_bytes()).unwrap();
        write(0..100);
        assert!(!rotate(folder.path(), "stdout.log", LIMITS).unwrap());
        write(100..20_000);
        assert!(rotate(folder.path(), "stdout.log", LIMITS).unwrap());
        assert!(std::fs::metadata(&path).unwrap().len() <= LIMITS.bytes);
        write(20_000..40_000);
        assert!(rotate(folder.path(), "stdout.log", LIMITS).unwrap());
        write(40_000..40_010);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let all = [read("stdout.log.2"), read("stdout.log.1"), read("stdout.log")].concat();
        let written = text(0..40_010);
        assert!(all == written, "{} of {} bytes", all.len(), written.len());
        write(40_010..60_000);
        assert!(rotate(folder.path(), "stdout.log", LIMITS).unwrap());
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["stdout.log", "stdout.log.1", "stdout.log.2"]);
        assert!(rotate(folder.path(), "stdout.log", LogLimits { files: 0, bytes: 0 }).unwrap());
        assert_eq!(read("stdout.log"), "");
    }

    #[test]
    fn a_link_in_the_place_of_a_log_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (node, other) = (folder.path().join("node"), folder.path().join("other"));
        std::fs::create_dir(&node).unwrap();
        std::fs::write(&other, vec![b'x'; 200_000]).unwrap();
        symlink(&other, node.join("stdout.log")).unwrap();
        assert!(rotate(&node, "stdout.log", LIMITS).is_err());
        assert!(!rotate(&node, "stderr.log", LIMITS).unwrap(), "there is none");
        assert_eq!(std::fs::metadata(&other).unwrap().len(), 200_000);
        // Nor is anything written to where a link in the place of an old one leads.
        std::fs::write(node.join("stderr.log"), vec![b'y'; 200_000]).unwrap();
        symlink(&other, node.join("stderr.log.1")).unwrap();
        assert!(rotate(&node, "stderr.log", LIMITS).unwrap());
        assert_eq!(std::fs::read(&other).unwrap(), vec![b'x'; 200_000]);
    }
}
