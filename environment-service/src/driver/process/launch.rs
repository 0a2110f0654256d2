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
use procfs::process::Process;

use super::hold::Hold;
use super::identity::{Identity, Key};
use super::{MARK, ProcessDriver, Template, bounds, end};
use crate::domain::Instance;
use crate::driver::{LaunchError, LaunchOrder, Unfit};

/// Where programs are looked for if the service itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ProcessDriver {
    pub(super) async fn launch(&self, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        let template = self.template(&order.workload.node_type)?;
        template.accepts(&order.workload.variables).map_err(|unfit| variables_refused(&unfit))?;
        let group = self.bounds.make(order.launch, order.cloudlets).map_err(LaunchError::Bounds)?;
        let mut child = match spawn(template, &self.folder(order), order, group.as_ref()) {
            Ok(child) => child,
            Err(error) => {
                self.drop_group(group).await;
                return Err(error);
            }
        };
        let (key, hold) = match hold_child(&child) {
            Ok(held) => held,
            Err(error) => {
                end::kill_child_group(&child);
                drop(tokio::task::spawn_blocking(move || child.wait()).await);
                self.drop_group(group).await;
                return Err(LaunchError::Watch(error));
            }
        };
        let collected = self.children.add(order.launch, child, hold, group);
        let draining = self.tasks.draining();
        self.tasks.spawn("node.collect", async move {
            // The node outlives this service, and is another's to collect then.
            tokio::select! {
                () = collected => (),
                () = draining => (),
            }
        });
        tracing::info!(node.id = %order.node, launch.id = %order.launch, process.id = key.pid, "a node was launched");
        Ok(Instance(Identity { key, boot: self.boot }.to_string()))
    }

    /// Removes the group of what was not launched.
    async fn drop_group(&self, group: Option<Group>) {
        let Some(group) = group else { return };
        if let Err(error) = bounds::remove(group).await {
            tracing::warn!(%error, "a control group was not removed; the next start sees to it");
        }
    }
}

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

/// The operator may have listed others when they were set.
pub(super) fn variables_refused(unfit: &Unfit) -> Unfit {
    Unfit(format!("its variables {unfit}"))
}

/// Takes hold of a child that has not been collected.
fn hold_child(child: &Child) -> io::Result<(Key, Hold)> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let stat = Process::new(pid).and_then(|process| process.stat()).map_err(io::Error::other)?;
    let key = Key { pid, started: stat.starttime };
    let hold = Hold::take(key)?.ok_or_else(|| io::Error::other("a child that was not collected is gone"))?;
    Ok((key, hold))
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
