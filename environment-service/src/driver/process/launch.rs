//! How a node's command is run: its own session, its own folder, its own log files, and nothing of this service's.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cgroup::Group;
use process_wrap::std::{CommandWrap, ProcessSession};

use super::{MARK, Template};
use crate::driver::{LaunchError, LaunchOrder};

/// Where programs are looked for if the service itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a template's command as one node.
pub(super) fn spawn(
    template: &Template,
    folder: &Path,
    order: &LaunchOrder,
    group: Option<&Group>,
) -> Result<Child, LaunchError> {
    private_folder(folder).map_err(|error| LaunchError::Folder(folder.to_owned(), error))?;
    let log = |name: &str| {
        let path = folder.join(name);
        open_log(&path).map_err(|error| LaunchError::Log(path, error))
    };
    let (program, arguments) = template.command.split_first().expect("a validated template has a command");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(variables(template, folder, order))
        .current_dir(template.working_directory.as_deref().unwrap_or(folder))
        .stdin(Stdio::null())
        .stdout(log("stdout.log")?)
        .stderr(log("stderr.log")?);
    let failed = |error| LaunchError::Spawn(program.clone(), error);
    if let Some(group) = group {
        group.door().map_err(failed)?.enter(&mut command);
    }
    spawn_in_session(command).map_err(failed)
}

/// Runs a command as the leader of a session of its own, and so of a process group, without a terminal.
fn spawn_in_session(command: Command) -> io::Result<Child> {
    let child = CommandWrap::from(command).wrap(ProcessSession).spawn()?;
    // The wrapper would wait for the whole group.
    let child: Box<dyn Any> = child.into_inner();
    child.downcast().map(|child| *child).map_err(|_| io::Error::other("the child is wrapped otherwise"))
}

/// All the variables that a node gets. Of the service's own there are two, and neither is a secret.
pub(super) fn variables(template: &Template, folder: &Path, order: &LaunchOrder) -> Vec<(OsString, OsString)> {
    let inherited = |name: &str, default: &str| std::env::var_os(name).unwrap_or_else(|| default.into());
    let mut variables = vec![
        ("PATH".into(), inherited("PATH", DEFAULT_PATH)),
        ("LANG".into(), inherited("LANG", "C.UTF-8")),
        ("HOME".into(), folder.as_os_str().to_owned()),
    ];
    variables.extend(template.environment.iter().map(|(name, value)| (name.into(), value.into())));
    variables.extend(order.workload.variables.iter().map(|(name, value)| (name.into(), value.into())));
    variables.extend([
        ("PORTCULLIS_ENVIRONMENT".into(), order.environment.as_str().into()),
        ("PORTCULLIS_NODE".into(), order.node.to_string().into()),
        ("PORTCULLIS_NODE_GROUP".into(), order.group.as_str().into()),
        ("PORTCULLIS_NODE_TYPE".into(), order.workload.node_type.as_str().into()),
        ("PORTCULLIS_TAG".into(), order.workload.tag.as_str().into()),
        (MARK.into(), order.launch.to_string().into()),
    ]);
    variables.extend(order.port.map(|port| ("PORT".into(), port.to_string().into())));
    variables
}

/// A folder, and those above it, that nobody else may enter.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn open_log(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
