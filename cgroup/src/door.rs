use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The way into a group: open files, so that a child goes in without asking for anything between fork and exec.
#[derive(Debug)]
pub struct Door(Vec<File>);

impl Door {
    pub(crate) fn open(folders: &[PathBuf]) -> io::Result<Self> {
        let open = |folder: &PathBuf| OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        Ok(Self(folders.iter().map(open).collect::<io::Result<_>>()?))
    }

    /// Has a command's child go in before it runs its program, so that nothing it ever starts is outside. Where it is not let in,
    /// the command is not run, and spawning it fails.
    #[expect(unsafe_code, reason = "there is no safe way to do something between fork and exec")]
    pub fn enter(self, command: &mut Command) {
        let go_in = move || -> io::Result<()> {
            for file in &self.0 {
                // 0 is whoever writes it.
                rustix::io::write(file, b"0")?;
            }
            Ok(())
        };
        // SAFETY: it does nothing but write(2), which is async-signal-safe, from memory that was there before the fork: it takes no
        // lock and no memory, and an error of `rustix` becomes an `io::Error` of the number alone.
        unsafe { command.pre_exec(go_in) };
    }
}
