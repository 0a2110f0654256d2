//! The objects of nodes that are made here. A pod gets nothing of the machine's and nothing of the cluster's: no account, no
//! privilege, no host namespace, no volume.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
    SeccompProfile, SecurityContext, Service, ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::place::ENVIRONMENT;
use super::workload::LAUNCH;
use crate::domain::{Cloudlets, EnvName, ImageName, NodeGroupName, NodeId};
use crate::driver::LaunchOrder;

/// Further labels of what is made here.
const NODE: &str = "portcullis.dev/node";
const GROUP: &str = "portcullis.dev/group";
const ACCOUNT: &str = "portcullis.dev/account";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The annotation by which pods are replaced, as `kubectl rollout restart` does it.
pub(super) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// The name of the one container.
const CONTAINER: &str = "node";
/// The most characters of a service's name.
const MAX_NAME: usize = 63;

/// A cloudlet.
const MEBIBYTES: i32 = 128;
const MILLICPUS: i32 = 400;

/// The name of a node's deployment: nodes' numbers are never given again.
pub(super) fn deployment_name(environment: &EnvName, node: NodeId) -> String {
    format!("{environment}-{node}")
}

/// The name by which nodes of an environment reach a group of it.
pub(super) fn service_name(environment: &EnvName, group: &NodeGroupName) -> String {
    let mut name = format!("{environment}-{group}");
    name.truncate(MAX_NAME);
    name.trim_end_matches('-').to_owned()
}

/// The deployment of one node, with one replica.
pub(super) fn deployment(
    order: &LaunchOrder,
    image: &ImageName,
    grace: Duration,
    restarted_at: Option<String>,
) -> Deployment {
    let own = own_labels(order);
    let mut labels = labels(order);
    labels.extend(own.clone());
    let mut marked = labels.clone();
    marked.insert(LAUNCH.to_owned(), order.launch.to_string());
    let annotations = restarted_at.map(|at| BTreeMap::from([(RESTARTED_AT.to_owned(), at)]));
    Deployment {
        metadata: ObjectMeta {
            name: Some(deployment_name(&order.environment, order.node)),
            labels: Some(marked),
            annotations: Some(BTreeMap::from([(LAUNCH.to_owned(), order.launch.to_string())])),
            ..ObjectMeta::default()
        },
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector { match_labels: Some(own), ..LabelSelector::default() },
            // Never two live copies of a node.
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), annotations, ..ObjectMeta::default() }),
                spec: Some(pod(order, image, grace)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// By which a node's pods are told from all others. They never change.
fn own_labels(order: &LaunchOrder) -> BTreeMap<String, String> {
    BTreeMap::from([
        (ENVIRONMENT.to_owned(), order.environment_id.to_string()),
        (NODE.to_owned(), order.node.to_string()),
    ])
}

fn labels(order: &LaunchOrder) -> BTreeMap<String, String> {
    BTreeMap::from([
        (ENVIRONMENT.to_owned(), order.environment_id.to_string()),
        (GROUP.to_owned(), order.group.to_string()),
        (ACCOUNT.to_owned(), order.account.0.to_string()),
        (MANAGED_BY.to_owned(), "portcullis".to_owned()),
    ])
}

fn pod(order: &LaunchOrder, image: &ImageName, grace: Duration) -> PodSpec {
    let profile = SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None };
    PodSpec {
        containers: vec![container(order, image)],
        automount_service_account_token: Some(false),
        // The addresses of others in the namespace are not for it.
        enable_service_links: Some(false),
        termination_grace_period_seconds: i64::try_from(grace.as_secs().max(1)).ok(),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(profile),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

fn container(order: &LaunchOrder, image: &ImageName) -> Container {
    let port = order.port.map(|port| ContainerPort { container_port: port.into(), ..ContainerPort::default() });
    let none = Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(format!("{image}:{}", order.workload.tag)),
        env: Some(variables(order)),
        ports: port.map(|port| vec![port]),
        resources: Some(resources(order.cloudlets)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(none),
            privileged: Some(false),
            run_as_non_root: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// The owner's variables and those of the service, as for a process.
fn variables(order: &LaunchOrder) -> Vec<EnvVar> {
    let variable = |(name, value): (&str, String)| EnvVar {
        name: name.to_owned(),
        // Kubernetes would put other variables in the place of `$(…)`.
        value: Some(value.replace('$', "$$")),
        value_from: None,
    };
    let own = order.workload.variables.iter().map(|(name, value)| (name, value.to_owned()));
    let of_service = [
        ("PORTCULLIS_ENVIRONMENT", order.environment.to_string()),
        ("PORTCULLIS_NODE", order.node.to_string()),
        ("PORTCULLIS_NODE_GROUP", order.group.to_string()),
        ("PORTCULLIS_NODE_TYPE", order.workload.node_type.to_string()),
        ("PORTCULLIS_TAG", order.workload.tag.to_string()),
    ];
    let port = order.port.map(|port| ("PORT", port.to_string()));
    own.chain(of_service).chain(port).map(variable).collect()
}

/// What is reserved for so many cloudlets, and what they are limited to.
pub(super) fn resources(cloudlets: Cloudlets) -> ResourceRequirements {
    let amounts = |count: i32| {
        BTreeMap::from([
            ("memory".to_owned(), Quantity(format!("{}Mi", count * MEBIBYTES))),
            ("cpu".to_owned(), Quantity(format!("{}m", count * MILLICPUS))),
        ])
    };
    ResourceRequirements {
        // Without it as much would be reserved as is allowed.
        requests: Some(amounts(cloudlets.fixed())),
        limits: Some(amounts(cloudlets.flexible())),
        claims: None,
    }
}

/// The name of a group of nodes within the cluster.
pub(super) fn service(order: &LaunchOrder, port: u16) -> Service {
    let group = BTreeMap::from([
        (ENVIRONMENT.to_owned(), order.environment_id.to_string()),
        (GROUP.to_owned(), order.group.to_string()),
    ]);
    Service {
        metadata: ObjectMeta {
            name: Some(service_name(&order.environment, &order.group)),
            labels: Some(labels(order)),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            selector: Some(group),
            ports: Some(vec![ServicePort {
                port: port.into(),
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::Int(port.into())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
