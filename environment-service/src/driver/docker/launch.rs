//! How a node's container is made and started.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, ContainerUpdateBody, EndpointSettings,
    HostConfig, HostConfigLogConfig, NetworkCreateRequest, NetworkingConfig, PortBinding,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, ListNetworksOptionsBuilder};

use super::DockerDriver;
use super::engine::{CHANGE, EngineError, LOOK, done, within};
use super::label::{self, Target};
use super::template::Program;
use crate::domain::{Cloudlets, Instance};
use crate::driver::{LaunchError, LaunchOrder, NodeAt, NodeError};

/// A cloudlet's memory.
const MEMORY: i64 = 128 << 20;
/// A cloudlet's share of the processor: 400 MHz of a core, which counts as 2.4 GHz.
const PERIOD: i64 = 120_000;
const QUOTA: i64 = PERIOD * 400 / 2400;
/// The most processes of a node.
const MOST_PROCESSES: i64 = 512;
/// What the first user of a container may do there: to own files, to become another user, to listen on low ports.
const CAPABILITIES: [&str; 8] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];
/// The address of the machine that ports are published on.
const ADDRESS: &str = "127.0.0.1";

impl DockerDriver {
    pub(super) async fn launch(&self, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        if let Some(key) = &order.adopted {
            return self.start_adopted(order, key).await;
        }
        let program = self.program(&order.workload)?;
        let listens = match self.known_port(&program) {
            None => self.get_image(&program).await?,
            known => known,
        };
        self.attempts().insert(order.launch, Target::Name(label::container_name(&order.environment, order.node)));
        let body = body(order, &program, listens.filter(|_| order.port.is_some()));
        self.ensure_network(order).await?;
        let id = match self.kept_or_created(order, &body).await {
            // What a service that was killed had asked for was made in between: it is there now.
            Err(EngineError::Conflict(_)) => self.kept_or_created(order, &body).await,
            id => id,
        }?;
        let client = self.engine.client()?;
        done(within(CHANGE, client.start_container(&id, None)).await)?;
        tracing::info!(node.id = %order.node, launch.id = %order.launch, container.id = id, "a node was launched");
        Ok(Instance(id))
    }

    /// Starts a container that Compose has made.
    async fn start_adopted(&self, order: &LaunchOrder, key: &str) -> Result<Instance, LaunchError> {
        let target = Target::Compose(key.to_owned());
        self.attempts().insert(order.launch, target.clone());
        let found = self.engine.list(&[label::PROJECT.to_owned()]).await?;
        let gone = || EngineError::NotFound(format!("Docker Compose has removed the container of `{key}`"));
        let id = found.iter().find(|container| target.is(container)).and_then(|found| found.id.as_deref());
        let client = self.engine.client()?;
        done(within(CHANGE, client.start_container(id.ok_or_else(gone)?, None)).await)?;
        tracing::info!(node.id = %order.node, launch.id = %order.launch, compose.key = key, "a node was started");
        Ok(Target::instance_of_compose(key))
    }

    async fn kept_or_created(&self, order: &LaunchOrder, body: &ContainerCreateBody) -> Result<String, EngineError> {
        match self.kept(order, body).await? {
            Some(id) => Ok(id),
            None => self.create(order, body.clone()).await,
        }
    }

    /// The container that a node has, if it runs what is to be run; another one is removed.
    async fn kept(&self, order: &LaunchOrder, body: &ContainerCreateBody) -> Result<Option<String>, EngineError> {
        let labels = [label::of_environment(order.environment_id), format!("{}={}", label::NODE, order.node)];
        let found = self.engine.list(&labels).await?;
        let wanted = body.labels.as_ref().and_then(|labels| labels.get(label::SPEC));
        let fits = |container: &&ContainerSummary| {
            // One that is being removed cannot be kept.
            container.state != Some(ContainerSummaryStateEnum::REMOVING)
                && label::label(container, label::SPEC) == wanted.map(String::as_str)
        };
        let kept =
            found.iter().filter(|container| label::is_ours(container)).find(fits).and_then(|kept| kept.id.clone());
        for container in found.iter().filter(|container| label::is_ours(container) && container.id != kept) {
            self.remove(container.id.as_deref().unwrap_or_default()).await?;
        }
        if let Some(id) = &kept {
            let client = self.engine.client()?;
            let host = within(LOOK, client.inspect_container(id, None)).await?.host_config.unwrap_or_default();
            let size = body.host_config.as_ref();
            if size.is_some_and(|size| (size.memory, size.cpu_quota) != (host.memory, host.cpu_quota)) {
                within(CHANGE, client.update_container(id, limits(order.cloudlets))).await?;
            }
        }
        Ok(kept)
    }

    async fn create(&self, order: &LaunchOrder, body: ContainerCreateBody) -> Result<String, EngineError> {
        let name = label::container_name(&order.environment, order.node);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let client = self.engine.client()?;
        Ok(within(CHANGE, client.create_container(Some(options), body)).await?.id)
    }

    /// The network of the environment. The engine lets two of them have one name and joins neither then: it is looked for first, and
    /// one that a service that was killed had asked for besides is removed.
    async fn ensure_network(&self, order: &LaunchOrder) -> Result<(), EngineError> {
        let label = label::of_environment(order.environment_id);
        let client = self.engine.client()?;
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let mut found = within(LOOK, client.list_networks(Some(options))).await?;
        found.sort_by(|one, other| (&one.created, &one.id).cmp(&(&other.created, &other.id)));
        let mut ids = found.into_iter().filter_map(|network| network.id);
        if ids.next().is_some() {
            for another in ids {
                done(within(CHANGE, client.remove_network(&another)).await)?;
            }
            return Ok(());
        }
        let labels = HashMap::from([(label::ENVIRONMENT.to_owned(), order.environment_id.to_string())]);
        let network = NetworkCreateRequest {
            name: label::network_name(&order.environment),
            driver: Some("bridge".to_owned()),
            labels: Some(labels),
            ..Default::default()
        };
        within(CHANGE, client.create_network(network)).await.map(drop)
    }

    pub(super) async fn resize(&self, node: NodeAt<'_>) -> Result<(), NodeError> {
        if node.node.adopted.is_some() {
            return Err(NodeError::Refused("Docker Compose says how large its containers are".to_owned()));
        }
        let Some(launch) = &node.node.launch else { return Ok(()) };
        let Some(container) = self.look(&self.target(launch)).await? else { return Ok(()) };
        let id = container.id.unwrap_or_default();
        let client = self.engine.client()?;
        match within(CHANGE, client.update_container(&id, limits(node.node.cloudlets))).await {
            // It has ended meanwhile, and is as large from its next launch on.
            Err(EngineError::NotFound(_) | EngineError::Conflict(_)) => Ok(()),
            Err(EngineError::Refused(text)) => Err(NodeError::Refused(format!("the engine refuses the size: {text}"))),
            resized => Ok(resized?),
        }
    }
}

fn limits(cloudlets: Cloudlets) -> ContainerUpdateBody {
    let flexible = i64::from(cloudlets.flexible());
    ContainerUpdateBody {
        memory: Some(flexible * MEMORY),
        memory_swap: Some(flexible * MEMORY),
        cpu_period: Some(PERIOD),
        cpu_quota: Some(flexible * QUOTA),
        ..Default::default()
    }
}

/// The variables that a node gets: the template's, its owner's over them, and those that say what it is.
fn variables(order: &LaunchOrder, program: &Program<'_>, listens: Option<u16>) -> Vec<String> {
    let mut variables: Vec<(&str, String)> = Vec::new();
    let template = program.template.iter().flat_map(|template| &template.environment);
    let owners = order.workload.variables.iter();
    variables.extend(template.map(|(name, value)| (name.as_str(), value.clone())));
    variables.retain(|(name, _)| !owners_has(order, name));
    variables.extend(owners.map(|(name, value)| (name, value.to_owned())));
    variables.extend([
        ("PORTCULLIS_ENVIRONMENT", order.environment.to_string()),
        ("PORTCULLIS_NODE", order.node.to_string()),
        ("PORTCULLIS_NODE_GROUP", order.group.to_string()),
        ("PORTCULLIS_NODE_TYPE", order.workload.node_type.to_string()),
        ("PORTCULLIS_TAG", order.workload.tag.to_string()),
    ]);
    variables.extend(listens.map(|port| ("PORT", port.to_string())));
    variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn owners_has(order: &LaunchOrder, name: &str) -> bool {
    order.workload.variables.iter().any(|(other, _)| other == name)
}

/// The container of a node, as the engine is asked for it.
fn body(order: &LaunchOrder, program: &Program<'_>, listens: Option<u16>) -> ContainerCreateBody {
    let env = variables(order, program, listens);
    let command = program.template.map(|template| template.command.clone()).filter(|command| !command.is_empty());
    let published = listens.zip(order.port).map(|(inside, outside)| (format!("{inside}/tcp"), outside));
    let port = published.as_ref().map_or_else(String::new, |(inside, outside)| format!("{inside} {outside}"));
    let parts = [&program.image, &port].into_iter().chain(&env).map(String::as_str);
    let spec = label::hash(parts.chain(["command"]).chain(command.iter().flatten().map(String::as_str)));
    let network = label::network_name(&order.environment);
    let endpoint = EndpointSettings {
        aliases: Some(vec![order.group.to_string(), format!("node{}", order.node)]),
        ..Default::default()
    };
    ContainerCreateBody {
        image: Some(program.image.clone()),
        cmd: command,
        env: Some(env),
        labels: Some(label::labels(order, &spec)),
        exposed_ports: published.as_ref().map(|(inside, _)| vec![inside.clone()]),
        host_config: Some(host_config(order, &network, published)),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(network, endpoint)])) }),
        ..Default::default()
    }
}

fn host_config(order: &LaunchOrder, network: &str, published: Option<(String, u16)>) -> HostConfig {
    let size = limits(order.cloudlets);
    let reserved = i64::from(order.cloudlets.fixed()) * MEMORY;
    let binding = |port: u16| PortBinding { host_ip: Some(ADDRESS.to_owned()), host_port: Some(port.to_string()) };
    let log = [("max-size", "10m"), ("max-file", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    HostConfig {
        memory: size.memory,
        memory_swap: size.memory_swap,
        memory_reservation: (reserved > 0).then_some(reserved),
        cpu_period: size.cpu_period,
        cpu_quota: size.cpu_quota,
        pids_limit: Some(MOST_PROCESSES),
        privileged: Some(false),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
        network_mode: Some(network.to_owned()),
        port_bindings: published.map(|(inside, outside)| HashMap::from([(inside, Some(vec![binding(outside)]))])),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(log.into()) }),
        ..Default::default()
    }
}
