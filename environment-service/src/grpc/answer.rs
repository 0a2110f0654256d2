//! What is told of environments. What this driver cannot know is a constant here, and documented in the contract.

use std::collections::BTreeMap;

use proto::environment::v1::{
    CustomItem, Environment, EnvironmentInfo, HostGroup, Node, NodeGroup, OperationInfo, WatchedEnvironment,
};

use crate::domain::{self, DriverKind, NodeType, Observed, Status};
use crate::store::{LoggedOperation, Outcome};
use crate::watching::Sight;

/// The one group of machines that there is.
const HOST_GROUP: &str = "default";
/// Where nodes listen.
const ADDRESS: &str = "127.0.0.1";
/// The operating system of the machine, and so of the nodes.
const OS_TYPE: &str = "LINUX";
/// What a node is made from.
const TEMPLATE_TYPE: &str = "NATIVE";
/// What the caller is to an environment: only its owner sees it.
const RIGHT: &str = "OWNER";

/// What nodes of templates answer as their type, where that is not the template's name.
pub(crate) type AnsweredTypes = BTreeMap<NodeType, NodeType>;

/// All about an environment.
pub(crate) fn info(environment: &domain::Environment, seen: &[Observed], types: &AnsweredTypes) -> EnvironmentInfo {
    EnvironmentInfo {
        env: Some(env(environment, seen)),
        nodes: nodes(environment, seen, types),
        node_groups: node_groups(environment),
        env_groups: environment.groups.iter().map(ToString::to_string).collect(),
        right: RIGHT.to_owned(),
    }
}

/// The same, with the last operation, for who watches.
pub(crate) fn watched(sight: Sight<'_>, types: &AnsweredTypes) -> WatchedEnvironment {
    let EnvironmentInfo { env, nodes, node_groups, env_groups, right } = info(sight.environment, sight.seen, types);
    let last_operation = sight.last.map(operation);
    WatchedEnvironment { env, nodes, node_groups, env_groups, right, last_operation }
}

/// An operation.
pub(crate) fn operation(logged: LoggedOperation) -> OperationInfo {
    let (ended_on, outcome, message) = match logged.ended {
        None => (None, "", String::new()),
        Some((at, Outcome::Done | Outcome::Because(_))) => (Some(proto::time::to_wire(at)), "done", String::new()),
        Some((at, Outcome::Failed(text))) => (Some(proto::time::to_wire(at)), "failed", text),
    };
    OperationInfo {
        name: logged.operation.as_str().to_owned(),
        begun_on: Some(proto::time::to_wire(logged.begun_at)),
        ended_on,
        outcome: outcome.to_owned(),
        message,
    }
}

pub(crate) fn env(environment: &domain::Environment, seen: &[Observed]) -> Environment {
    let name = environment.name.to_string();
    Environment {
        appid: environment.id.to_string(),
        created_on: Some(proto::time::to_wire(environment.created_at)),
        creator_uid: environment.account.0,
        domain: name.clone(),
        env_name: name.clone(),
        shortdomain: name,
        display_name: environment.display_name.clone(),
        extdomains: Vec::new(),
        hardware_node_group: HOST_GROUP.to_owned(),
        host_group: Some(HostGroup { display_name: HOST_GROUP.to_owned(), unique_name: HOST_GROUP.to_owned() }),
        ishaenabled: environment.highly_available,
        sslstate: environment.tls,
        is_transferring: false,
        is_firewall_enabled: false,
        status: Status::of_environment(environment.operation, environment.desired, seen).number(),
        uid: environment.account.0,
    }
}

pub(crate) fn nodes(environment: &domain::Environment, seen: &[Observed], types: &AnsweredTypes) -> Vec<Node> {
    environment.nodes.iter().zip(seen).map(|(node, seen)| self::node(environment, node, seen, types)).collect()
}

fn node(environment: &domain::Environment, node: &domain::Node, seen: &Observed, types: &AnsweredTypes) -> Node {
    let node_type = &node.workload.node_type;
    let status = Status::of_node(environment.operation, environment.desired, seen);
    let first = environment.nodes.iter().find(|other| other.group == node.group);
    let image = node.workload.image.as_ref().map(ToString::to_string);
    // Where a cluster gives a pod its address is of no use outside of it.
    let address = if environment.driver == DriverKind::Kubernetes { "" } else { ADDRESS };
    let url = |port: u16| if address.is_empty() { String::new() } else { format!("http://{address}:{port}") };
    let (ctid, messages) = match seen {
        Observed::Alive { number } => (*number, Vec::new()),
        Observed::Dead { reason: Some(reason) } if status == Status::Broken => (0, vec![format!("the node {reason}")]),
        Observed::Dead { .. } if status == Status::Broken => {
            (0, vec!["the node has ended; how is not known".to_owned()])
        }
        Observed::Unknown => (0, vec!["whoever runs the node does not answer".to_owned()]),
        Observed::Dead { .. } | Observed::Absent => (0, Vec::new()),
    };
    Node {
        id: node.id.0,
        name: format!("node{}-{}", node.id, environment.name),
        display_name: node.display_name.clone(),
        node_group: node.group.to_string(),
        node_type: types.get(node_type).unwrap_or(node_type).to_string(),
        nodemission: node.group.to_string(),
        r#type: TEMPLATE_TYPE.to_owned(),
        status: status.number(),
        version: node.workload.tag.to_string(),
        int_ip: address.to_owned(),
        address: address.to_owned(),
        url: node.port.map_or_else(String::new, url),
        admin_url: String::new(),
        port: node.port.map_or(0, i32::from),
        user: user(environment.driver),
        fixed_cloudlets: node.cloudlets.fixed(),
        flexible_cloudlets: node.cloudlets.flexible(),
        disk_limit: 0,
        disk_io_limit: 0,
        disk_iops_limit: 0,
        bandwidth_limit: 0,
        ismaster: first.is_some_and(|first| first.id == node.id),
        os_type: OS_TYPE.to_owned(),
        guest_os_type: OS_TYPE.to_owned(),
        host_os_type: OS_TYPE.to_owned(),
        ctid,
        maxchanks: domain::MAX_COUNT,
        v_type: v_type(environment.driver).to_owned(),
        features: Vec::new(),
        endpoints: Vec::new(),
        messages,
        packages: Vec::new(),
        addons: Vec::new(),
        customitem: Some(CustomItem {
            docker_name: image.unwrap_or_else(|| node_type.to_string()),
            docker_tag: node.workload.tag.to_string(),
            docker_manifest: String::new(),
            docker_volumes: Vec::new(),
        }),
    }
}

/// How a node is kept apart.
fn v_type(driver: DriverKind) -> &'static str {
    match driver {
        DriverKind::Process => "PROCESS",
        DriverKind::Docker => "DOCKER",
        DriverKind::Kubernetes => "KUBERNETES",
    }
}

/// Whom a node runs as, as far as it is known.
fn user(driver: DriverKind) -> String {
    match driver {
        DriverKind::Process => rustix::process::getuid().to_string(),
        DriverKind::Docker | DriverKind::Kubernetes => String::new(),
    }
}

fn node_groups(environment: &domain::Environment) -> Vec<NodeGroup> {
    let mut names: Vec<&str> = environment.nodes.iter().map(|node| node.group.as_str()).collect();
    names.dedup();
    names.into_iter().map(|name| node_group(name, environment.driver)).collect()
}

fn node_group(name: &str, driver: DriverKind) -> NodeGroup {
    NodeGroup {
        name: name.to_owned(),
        display_name: name.to_owned(),
        features: Vec::new(),
        is_slb_access_enabled: false,
        is_sequential_deploy: false,
        redeploy_container_delay: 0,
        redeploy_context_delay: 0,
        restart_container_delay: 0,
        restart_node_delay: 0,
        scaling_mode: "STATELESS".to_owned(),
        template_type: TEMPLATE_TYPE.to_owned(),
        v_type: v_type(driver).to_owned(),
        deployments: Vec::new(),
    }
}
