//! Commands in containers, run by the engine as the container's own user.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerInspectResponse, ExecConfig};
use futures::TryStreamExt;

use super::DockerDriver;
use super::engine::{EngineError, LOOK, within};
use super::observe::runs;
use crate::driver::{Command, NodeAt, NodeError, Output};

impl DockerDriver {
    pub(super) async fn exec(&self, node: NodeAt<'_>, command: &Command) -> Result<Output, NodeError> {
        let launch = node.node.launch.as_ref().ok_or(NodeError::NotRunning)?;
        let container = self.look(&self.target(launch)).await?.filter(runs).ok_or(NodeError::NotRunning)?;
        let id = container.id.unwrap_or_default();
        if node.node.adopted.is_some() {
            self.refuse_the_machine(&id).await?;
        }
        let client = self.engine.client()?;
        let words = std::iter::once(&command.program).chain(&command.arguments).cloned().collect();
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(words),
            privileged: Some(false),
            ..Default::default()
        };
        let made = match within(LOOK, client.create_exec(&id, config)).await {
            Err(EngineError::Conflict(_) | EngineError::NotFound(_)) => return Err(NodeError::NotRunning),
            made => made?.id,
        };
        match within(command.time, run(&client, &made, command.most_output)).await {
            Err(EngineError::Late(time)) => {
                // The engine cannot be asked to end it: it ends with the container at the latest.
                Err(NodeError::Refused(format!("the command took longer than {} s, and runs on", time.as_secs())))
            }
            Err(EngineError::Refused(text)) => Err(NodeError::Refused(format!("the command was not run: {text}"))),
            output => Ok(output?),
        }
    }

    /// Commands and files are not given where a container of Compose's has the machine, or parts of it.
    pub(super) async fn refuse_the_machine(&self, id: &str) -> Result<(), NodeError> {
        let client = self.engine.client()?;
        let inspected = within(LOOK, client.inspect_container(id, None)).await?;
        let mut what = of_the_machine(&inspected);
        for volume in inspected.mounts.iter().flatten().filter_map(|mount| mount.name.as_deref()) {
            // What such a volume really is, only its options tell: a folder of the machine as well.
            let options = within(LOOK, client.inspect_volume(volume)).await?.options;
            if what.is_none() && !options.is_empty() {
                what = Some("folders");
            }
        }
        match what {
            None => Ok(()),
            Some(what) => Err(NodeError::Refused(format!(
                "the container has {what} of the machine: commands and files are not given there"
            ))),
        }
    }
}

/// What a container has of the machine's own.
fn of_the_machine(container: &ContainerInspectResponse) -> Option<&'static str> {
    let host = container.host_config.as_ref()?;
    // Another container's can be the machine's in turn.
    let shares = |mode: &str| mode == "host" || mode.starts_with("container:");
    // The machine's namespace of control groups shows names and no more, and is every container's where the machine has
    // version 1 of them. With some of the others the engine drops a protection by itself, so these are first.
    let modes = [&host.network_mode, &host.pid_mode, &host.ipc_mode, &host.uts_mode, &host.userns_mode];
    if modes.into_iter().flatten().any(|mode| shares(mode)) {
        return Some("namespaces");
    }
    let options = host.security_opt.iter().flatten();
    // What the kernel shows of itself is hidden from containers, or can only be read, unless these are empty.
    let unmasked = [&host.masked_paths, &host.readonly_paths].into_iter().flatten().any(Vec::is_empty);
    if unmasked
        || host.privileged == Some(true)
        || host.cap_add.as_ref().is_some_and(|added| !added.is_empty())
        || options.into_iter().any(|option| option != "no-new-privileges" && option != "no-new-privileges:true")
    {
        return Some("privileges");
    }
    if host.devices.as_ref().is_some_and(|devices| !devices.is_empty())
        || host.device_requests.as_ref().is_some_and(|devices| !devices.is_empty())
        || host.device_cgroup_rules.as_ref().is_some_and(|rules| !rules.is_empty())
    {
        return Some("devices");
    }
    // What has no name among volumes, and is no memory, is a folder.
    let mounts = container.mounts.iter().flatten().filter_map(|mount| mount.typ.as_deref());
    mounts.filter(|kind| !["volume", "tmpfs"].contains(kind)).map(|_| "folders").next()
}

async fn run(client: &Docker, exec: &str, most: usize) -> Result<Output, bollard::errors::Error> {
    let mut output = Output::default();
    if let StartExecResults::Attached { output: mut parts, .. } = client.start_exec(exec, None).await? {
        // All is read, so that whoever writes does not wait for ever, and the first of it kept.
        while let Some(part) = parts.try_next().await? {
            match part {
                LogOutput::StdErr { message } => keep(&mut output.error, &message, most),
                other => keep(&mut output.out, other.as_ref(), most),
            }
        }
    }
    let code = client.inspect_exec(exec).await?.exit_code.unwrap_or_default();
    output.code = i32::try_from(code).unwrap_or(-1);
    Ok(output)
}

fn keep(kept: &mut Vec<u8>, part: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len()).min(part.len());
    kept.extend_from_slice(&part[..room]);
}

#[cfg(test)]
mod tests {
    use bollard::models::{DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum, MountPoint};

    use super::*;

    fn of(host: HostConfig, mounts: &[&str]) -> Option<&'static str> {
        let mount = |kind: &&str| MountPoint { typ: Some((*kind).to_owned()), ..Default::default() };
        let mounts = Some(mounts.iter().map(mount).collect());
        of_the_machine(&ContainerInspectResponse { host_config: Some(host), mounts, ..Default::default() })
    }

    #[test]
    fn what_a_container_has_of_the_machine_is_seen() {
        let none = HostConfig { privileged: Some(false), network_mode: Some("shop".to_owned()), ..Default::default() };
        assert_eq!(of(none.clone(), &["volume", "tmpfs"]), None);
        assert_eq!(of(none.clone(), &["volume", "bind"]), Some("folders"));
        assert_eq!(of(HostConfig { privileged: Some(true), ..none.clone() }, &[]), Some("privileges"));
        let added = Some(vec!["SYS_ADMIN".to_owned()]);
        assert_eq!(of(HostConfig { cap_add: added, ..none.clone() }, &[]), Some("privileges"));
        let devices = Some(vec![DeviceMapping::default()]);
        assert_eq!(of(HostConfig { devices, ..none.clone() }, &[]), Some("devices"));
        let host = || Some("host".to_owned());
        let devices = Some(vec!["c 1:3 r".to_owned()]);
        assert_eq!(of(HostConfig { device_cgroup_rules: devices, ..none.clone() }, &[]), Some("devices"));
        let other = Some("container:0123".to_owned());
        assert_eq!(of(HostConfig { pid_mode: other, ..none.clone() }, &[]), Some("namespaces"));
        assert_eq!(of(HostConfig { userns_mode: host(), ..none.clone() }, &[]), Some("namespaces"));
        for (option, seen) in [("seccomp=unconfined", Some("privileges")), ("no-new-privileges:true", None)] {
            let security_opt = Some(vec![option.to_owned()]);
            assert_eq!(of(HostConfig { security_opt, ..none.clone() }, &[]), seen, "{option}");
        }
        assert_eq!(of(none.clone(), &["npipe"]), Some("folders"));
        let nothing = Some(Vec::new());
        assert_eq!(of(HostConfig { masked_paths: nothing.clone(), ..none.clone() }, &[]), Some("privileges"));
        assert_eq!(of(HostConfig { readonly_paths: nothing, ..none.clone() }, &[]), Some("privileges"));
        let usual = Some(vec!["/proc/sys".to_owned()]);
        assert_eq!(of(HostConfig { readonly_paths: usual, ..none.clone() }, &[]), None);
        let cgroupns_mode = Some(HostConfigCgroupnsModeEnum::HOST);
        assert_eq!(of(HostConfig { cgroupns_mode, ..none.clone() }, &[]), None);
        assert_eq!(of(HostConfig { network_mode: host(), ..none.clone() }, &[]), Some("namespaces"));
        assert_eq!(of(HostConfig { pid_mode: host(), ..none }, &[]), Some("namespaces"));
    }
}
