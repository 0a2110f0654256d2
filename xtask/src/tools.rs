use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// What the steps work with: the workspace, and the cargo that started this program.
pub(crate) struct Tools {
    root: PathBuf,
    cargo: OsString,
}

impl Tools {
    pub(crate) fn find() -> anyhow::Result<Self> {
        // Asked when it runs, not when it was built: the folder may have been moved in between.
        let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = own.as_deref().and_then(Path::parent).context("run it as `cargo xtask`")?;
        Ok(Self { root: root.to_owned(), cargo: std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()) })
    }

    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), cargo: "cargo".into() }
    }

    /// Something in the workspace's folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A program that works in the workspace's folder.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// The same, for one that is known by its path.
    pub(crate) fn command_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// A program that cargo has built, in the folder of a profile. This one is in such a folder too.
    pub(crate) fn program(profile: &str, name: &str) -> anyhow::Result<PathBuf> {
        let own = std::env::current_exe().context("this program has no path")?;
        let target = own.parent().and_then(Path::parent).context("this program is not in cargo's folder")?;
        Ok(target.join(profile).join(name))
    }

    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }
}

/// Says what it runs, runs it, and fails with it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    eprintln!("  $ {}", shown(command));
    let status = command.status().with_context(|| format!("{} cannot be started", name(command)))?;
    ensure!(status.success(), "{} failed ({status})", name(command));
    Ok(())
}

/// What it prints on standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{} cannot be started", name(command)))?;
    if !output.status.success() {
        bail!("{} failed ({}): {}", name(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match command.get_args().next() {
        Some(argument) if !argument.to_string_lossy().starts_with('-') => {
            format!("`{program} {}`", argument.to_string_lossy())
        }
        _ => format!("`{program}`"),
    }
}

/// The command line, shortened where it lists files.
fn shown(command: &Command) -> String {
    const MOST: usize = 12;
    let mut line = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args().take(MOST) {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    match command.get_args().len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{line} … ({more} more)"),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let failed = run(&mut Command::new("false")).unwrap_err();
        assert_eq!(failed.to_string(), "`false` failed (exit status: 1)");
        let missing = run(&mut Command::new("/nowhere/rustfmt")).unwrap_err();
        assert_eq!(missing.to_string(), "`rustfmt` cannot be started");
        let told = output(Command::new("sh").args(["-c", "echo out; echo why >&2; exit 3"])).unwrap_err();
        assert_eq!(told.to_string(), "`sh` failed (exit status: 3): why");
        assert_eq!(output(Command::new("echo").arg("out")).unwrap(), b"out\n");
    }

    #[test]
    fn long_command_lines_are_cut() {
        let mut command = Command::new("/usr/bin/rustfmt");
        command.args((0..14).map(|n| n.to_string()));
        assert_eq!(shown(&command), "rustfmt 0 1 2 3 4 5 6 7 8 9 10 11 … (2 more)");
        assert_eq!(name(&command), "`rustfmt 0`");
    }
}
