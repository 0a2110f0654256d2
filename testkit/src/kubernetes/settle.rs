use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::KubernetesApi;

impl KubernetesApi {
    /// Plays the nodes' part: says of all pods of a namespace that they run and are ready, and of how many it had to say it. It
    /// does so through the subresource for the status, as a kubelet does, and once: pods that come later stay pending.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn settle(&self, namespace: &str) -> usize {
        self.settle_as(namespace, "Running").await
    }

    /// The same with another phase of Kubernetes: `Pending`, `Running`, `Succeeded`, `Failed`. Only pods that run are ready.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn settle_as(&self, namespace: &str, phase: &str) -> usize {
        self.settle_pods(namespace, phase, |_| true).await
    }

    /// The same of some pods only.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn settle_pods(&self, namespace: &str, phase: &str, which: impl Fn(&Pod) -> bool) -> usize {
        self.tell(namespace, phase, which, |pod| status(pod, phase, &state(pod, phase))).await
    }

    /// Says of some pods that their containers end with this exit code each time they are started, and are not started again for
    /// now.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn crash_pods(&self, namespace: &str, exit_code: i32, which: impl Fn(&Pod) -> bool) -> usize {
        let crashed = |pod: &Pod| {
            let now = pod.creation_timestamp();
            let ended = json!({ "exitCode": exit_code, "reason": "Error", "startedAt": now, "finishedAt": now });
            let state = json!({
                "restartCount": 1,
                "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container" } },
                "lastState": { "terminated": ended },
            });
            status(pod, "Running", &state)
        };
        self.tell(namespace, "Running", which, crashed).await
    }

    /// Says something of those pods of which it, or another of their phase, was not said before.
    async fn tell(
        &self,
        namespace: &str,
        phase: &str,
        which: impl Fn(&Pod) -> bool,
        what: impl Fn(&Pod) -> Value,
    ) -> usize {
        let pods: Api<Pod> = Api::namespaced(self.client(self.admin_token()).await, namespace);
        let mut told = 0;
        for pod in pods.list(&ListParams::default()).await.expect("the server answers") {
            if !which(&pod) {
                continue;
            }
            let there = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase);
            if there && pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some()) {
                continue;
            }
            let status = Patch::Merge(json!({ "status": what(&pod) }));
            match pods.patch_status(&pod.name_any(), &PatchParams::default(), &status).await {
                Ok(_) => told += 1,
                // It was removed meanwhile.
                Err(kube::Error::Api(error)) if error.code == 404 => {}
                Err(error) => panic!("the server takes no status of {}: {error}", pod.name_any()),
            }
        }
        told
    }
}

/// What a kubelet says of each container of a pod in a phase.
fn state(pod: &Pod, phase: &str) -> Value {
    let now = pod.creation_timestamp();
    let ended =
        |code: i32, reason: &str| json!({ "exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now });
    let state = match phase {
        "Running" => json!({ "running": { "startedAt": now } }),
        "Succeeded" => json!({ "terminated": ended(0, "Completed") }),
        "Failed" => json!({ "terminated": ended(1, "Error") }),
        _ => json!({ "waiting": { "reason": "ContainerCreating" } }),
    };
    json!({ "restartCount": 0, "state": state })
}

/// What a kubelet says of a pod.
fn status(pod: &Pod, phase: &str, state: &Value) -> Value {
    static ADDRESSES: AtomicU32 = AtomicU32::new(1);
    let now = pod.creation_timestamp();
    let ready = state["state"]["running"].is_object();
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| {
        let mut told = json!({
            "name": container.name,
            "image": container.image,
            "imageID": "",
            "containerID": format!("test://{}-{}", pod.name_any(), container.name),
            "ready": ready,
            "started": ready,
        });
        for (name, value) in state.as_object().into_iter().flatten() {
            told[name] = value.clone();
        }
        told
    });
    let condition = |kind: &str, holds: bool| {
        let holds = if holds { "True" } else { "False" };
        json!({ "type": kind, "status": holds, "lastTransitionTime": now })
    };
    let [_, _, third, fourth] = ADDRESSES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    json!({
        "phase": phase,
        "hostIP": "198.19.224.1",
        "podIP": format!("198.19.{}.{fourth}", 192 + third % 32),
        "startTime": now,
        "conditions": [
            condition("Initialized", true),
            condition("PodScheduled", true),
            condition("ContainersReady", ready),
            condition("Ready", ready),
        ],
        "containerStatuses": containers.collect::<Vec<_>>(),
    })
}
