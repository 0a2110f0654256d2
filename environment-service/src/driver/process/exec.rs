//! Commands in nodes: run as the service's own user, so only those that the operator lists.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command as Process;

use super::end::kill_group;
use super::{ProcessDriver, Template, launch};
use crate::driver::{Command, LaunchOrder, NodeAt, NodeError, Output};

impl ProcessDriver {
    pub(super) async fn exec(&self, node: NodeAt<'_>, command: &Command) -> Result<Output, NodeError> {
        if !self.exec.contains(&command.program) {
            let text = if self.exec.is_empty() {
                "commands are not run in nodes that are processes of the machine: the operator lists none".to_owned()
            } else {
                format!("`{}` is not among the commands that the operator lists", command.program)
            };
            return Err(NodeError::Refused(text));
        }
        let launched = node.node.launch.as_ref().ok_or(NodeError::NotRunning)?;
        if !self.observe(launched).is_alive() {
            return Err(NodeError::NotRunning);
        }
        let template = self.template_of(node)?;
        let accepted = template.accepts(&node.node.workload.variables);
        accepted.map_err(|unfit| NodeError::Refused(launch::variables_refused(&unfit).to_string()))?;
        let folder = self.node_folder(node);
        let order = LaunchOrder::new(node, launched.id, node.node.port);
        let mut process = Process::new(&command.program);
        process
            .args(&command.arguments)
            .env_clear()
            .envs(launch::variables(template, &folder, &order))
            .current_dir(&folder);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
        if let Some(group) = self.bounds.of(launched.id) {
            group.door().map_err(|error| NodeError::Failed(error.into()))?.enter(process.as_std_mut());
        }
        let mut child = process.spawn().map_err(|error| NodeError::Failed(error.into()))?;
        let (out, error) = (child.stdout.take(), child.stderr.take());
        let most = command.most_output;
        let finished = async {
            let (out, error, status) = tokio::join!(read(out, most), read(error, most), child.wait());
            Ok::<_, std::io::Error>((out?, error?, status?))
        };
        let ended = tokio::time::timeout(command.time, finished).await;
        let Ok(ended) = ended else {
            if let Some(child) = child.id() {
                kill_group(child);
            }
            // Collected, it leaves nothing.
            drop(child.wait().await);
            return Err(NodeError::Refused(format!("the command took longer than {}", seconds(command.time))));
        };
        let (out, error, status) = ended.map_err(|error| NodeError::Failed(error.into()))?;
        Ok(Output { code: code(status), out, error })
    }
}

impl ProcessDriver {
    fn template_of(&self, node: NodeAt<'_>) -> Result<&Template, NodeError> {
        self.template(&node.node.workload.node_type).map_err(|error| NodeError::Refused(error.to_string()))
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Keeps the first bytes, and reads the rest all the same, so that whoever writes does not wait for ever.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Vec<u8>> {
    let Some(mut from) = from else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    (&mut from).take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}
