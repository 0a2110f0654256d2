//! What is done in pods, by way of the API server: commands, logs, files.

use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, LogParams};
use kube::core::Selector;
use kube::{Api, ResourceExt};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::KubernetesDriver;
use super::cluster::{ask, list};
use super::place::Place;
use crate::driver::{Command, LogFile, NodeAt, NodeError, Output, Window};

/// How long a file or a log may take.
const TIME: std::time::Duration = std::time::Duration::from_secs(30);
/// After the name of a container, its log.
const LOG: &str = ".log";

/// A container of a pod that is ready.
struct Inside {
    pods: Api<Pod>,
    pod: Pod,
    container: String,
}

impl KubernetesDriver {
    /// The first pod of a node that is ready.
    async fn inside(&self, node: NodeAt<'_>) -> Result<Inside, NodeError> {
        let instance = node.node.launch.as_ref().and_then(|launch| launch.instance.as_ref());
        let place: Place = instance.and_then(|instance| instance.0.parse().ok()).ok_or(NodeError::NotRunning)?;
        let scope = self.scope(&place)?;
        let seen = self.one(&place).await?;
        let labels = seen.pods().as_ref().map(Selector::to_string).ok_or(NodeError::NotRunning)?;
        let container = seen.container(node.node.workload.image.as_ref()).ok_or(NodeError::NotRunning)?;
        let pods = list::<Pod>(&self.client, &scope.namespace, &labels, None).await?;
        let mut ready: Vec<Pod> = pods.items.into_iter().filter(|pod| seen.owns(pod) && is_ready(pod)).collect();
        ready.sort_by_key(ResourceExt::name_any);
        let pod = ready.into_iter().next().ok_or(NodeError::NotRunning)?;
        let container = container.name.clone();
        Ok(Inside { pods: Api::namespaced(self.client.clone(), &scope.namespace), pod, container })
    }

    pub(super) async fn run(&self, node: NodeAt<'_>, command: &Command) -> Result<Output, NodeError> {
        let inside = self.inside(node).await?;
        if let Some(what) = node.node.adopted.as_ref().and_then(|_| of_the_cluster(&inside.pod)) {
            return Err(NodeError::Refused(format!("the pod has {what}: commands and files are not given there")));
        }
        let words = std::iter::once(&command.program).chain(&command.arguments).cloned();
        let params = AttachParams::default().stdin(false).container(&inside.container);
        let finished = async {
            let name = inside.pod.name_any();
            let mut process = ask(inside.pods.exec(&name, words.collect::<Vec<_>>(), &params)).await?;
            let (out, error) = (process.stdout(), process.stderr());
            let status = process.take_status();
            let most = command.most_output;
            let status = async { if let Some(status) = status { status.await } else { None } };
            let (out, error, status) = tokio::join!(first(out, most), first(error, most), status);
            let failed = |error: std::io::Error| NodeError::Failed(error.into());
            let code = status.as_ref().map_or(Err(lost()), code)?;
            Ok(Output { code, out: out.map_err(failed)?, error: error.map_err(failed)? })
        };
        // When it is dropped, so is the connection, and the command with it.
        let ended = tokio::time::timeout(command.time, finished).await;
        let late = || NodeError::Refused(format!("the command took longer than {} s", command.time.as_secs()));
        ended.unwrap_or_else(|_| Err(late()))
    }

    pub(super) async fn log_files(&self, node: NodeAt<'_>) -> Result<Vec<LogFile>, NodeError> {
        let inside = self.inside(node).await?;
        let containers = inside.pod.spec.iter().flat_map(|spec| &spec.containers);
        // The API does not tell how large a log is, nor when it was written to.
        let log = |name: &String| LogFile { path: format!("{name}{LOG}"), size: 0, modified_at: None };
        Ok(containers.map(|container| log(&container.name)).collect())
    }

    pub(super) async fn log(&self, node: NodeAt<'_>, path: &str, window: Window) -> Result<Vec<u8>, NodeError> {
        let inside = self.inside(node).await?;
        let name = path.trim_start_matches('/').strip_suffix(LOG).ok_or(NodeError::NoFile)?;
        let mut containers = inside.pod.spec.iter().flat_map(|spec| &spec.containers);
        if !containers.any(|container| container.name == name) {
            return Err(NodeError::NoFile);
        }
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let from = window.from.map(|from| usize::try_from(from).unwrap_or(usize::MAX));
        let params = LogParams {
            container: Some(name.to_owned()),
            limit_bytes: from.map(|from| number(from.saturating_add(window.count))),
            // So many bytes have no more lines.
            tail_lines: from.is_none().then(|| number(window.count)),
            ..LogParams::default()
        };
        let pod = inside.pod.name_any();
        let read = async {
            let log = ask(inside.pods.log_stream(&pod, &params)).await?;
            part(log, from, window.count).await.map_err(|error| NodeError::Failed(error.into()))
        };
        let late = || NodeError::Refused(format!("the log could not be read within {} s", TIME.as_secs()));
        tokio::time::timeout(TIME, read).await.unwrap_or_else(|_| Err(late()))
    }

    /// By `cat` in the node, which its image has to have.
    pub(super) async fn file(&self, node: NodeAt<'_>, path: &str, most: usize) -> Result<Vec<u8>, NodeError> {
        let arguments = ["--", path].map(str::to_owned).to_vec();
        let cat = Command { program: "cat".to_owned(), arguments, time: TIME, most_output: most.saturating_add(1) };
        let output = self.run(node, &cat).await?;
        if output.code != 0 {
            return Err(NodeError::NoFile);
        }
        if output.out.len() > most {
            return Err(NodeError::Refused(format!("the file is larger than {most} bytes")));
        }
        Ok(output.out)
    }
}

/// What a pod has of a machine's own, or of the cluster's. Those that are made here have nothing.
fn of_the_cluster(pod: &Pod) -> Option<&'static str> {
    let spec = pod.spec.as_ref()?;
    if [spec.host_network, spec.host_pid, spec.host_ipc].contains(&Some(true)) {
        return Some("namespaces of its machine");
    }
    let volumes = spec.volumes.iter().flatten();
    if volumes.clone().any(|volume| volume.host_path.is_some()) {
        return Some("folders of its machine");
    }
    // The account that a pod has where none is chosen may do nothing.
    let chosen = spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty() && name != "default");
    let mut sources = volumes.filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten();
    let told = spec.automount_service_account_token != Some(false)
        || sources.any(|source| source.service_account_token.is_some());
    if chosen && told {
        return Some("an account of the cluster");
    }
    let contexts = spec.containers.iter().filter_map(|container| container.security_context.as_ref());
    let privileged = contexts.into_iter().any(|context| {
        let added = context.capabilities.as_ref().and_then(|capabilities| capabilities.add.as_ref());
        let unmasked = context.proc_mount.as_deref().is_some_and(|mount| mount != "Default");
        unmasked || context.privileged == Some(true) || added.is_some_and(|added| !added.is_empty())
    });
    privileged.then_some("privileges")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

fn lost() -> NodeError {
    NodeError::Failed(Box::new(std::io::Error::other("the connection to the command was lost")))
}

/// The exit code.
fn code(status: &Status) -> Result<i32, NodeError> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let mut causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code = causes.find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = code.and_then(|cause| cause.message.as_ref()?.parse().ok());
    // Where there is no such program, the runtime says so.
    code.ok_or_else(|| {
        NodeError::Refused(status.message.clone().unwrap_or_else(|| "the command was not run".to_owned()))
    })
}

/// Keeps the first bytes, and reads the rest all the same, so that whoever writes does not wait for ever.
async fn first(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Vec<u8>> {
    let Some(mut from) = from else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    (&mut from).take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// So many bytes from a place on, or the last ones.
async fn part(mut log: impl futures::AsyncRead + Unpin, from: Option<usize>, count: usize) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut skip = from.unwrap_or(0);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = log.read(&mut buffer).await?;
        let bytes = &buffer[..read];
        let skipped = skip.min(bytes.len());
        skip -= skipped;
        kept.extend_from_slice(&bytes[skipped..]);
        if from.is_none() && kept.len() > count {
            kept.drain(..kept.len() - count);
        }
        if read == 0 || (from.is_some() && kept.len() >= count) {
            kept.truncate(count);
            return Ok(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_has_of_the_cluster_is_seen() {
        for (spec, seen) in [
            (json!({}), None),
            (json!({ "volumes": [{ "name": "a", "emptyDir": {} }], "serviceAccountName": "default" }), None),
            (json!({ "hostNetwork": true }), Some("namespaces of its machine")),
            (json!({ "hostPID": true }), Some("namespaces of its machine")),
            (json!({ "volumes": [{ "name": "a", "hostPath": { "path": "/" } }] }), Some("folders of its machine")),
            (json!({ "serviceAccountName": "deployer" }), Some("an account of the cluster")),
            (json!({ "serviceAccountName": "deployer", "automountServiceAccountToken": false }), None),
            (
                json!({
                    "serviceAccountName": "deployer",
                    "automountServiceAccountToken": false,
                    "volumes": [{ "name": "a", "projected": { "sources": [{ "serviceAccountToken": { "path": "a" } }] } }],
                }),
                Some("an account of the cluster"),
            ),
            (json!({ "containers": [{ "name": "a", "securityContext": { "privileged": true } }] }), Some("privileges")),
            (
                json!({ "containers": [{ "name": "a", "securityContext": { "capabilities": { "add": ["SYS_ADMIN"] } } }] }),
                Some("privileges"),
            ),
        ] {
            let mut whole = json!({ "containers": [] });
            for (name, value) in spec.as_object().unwrap() {
                whole[name] = value.clone();
            }
            let pod: Pod = serde_json::from_value(json!({ "spec": whole })).unwrap();
            assert_eq!(of_the_cluster(&pod), seen, "{spec}");
        }
    }
}
