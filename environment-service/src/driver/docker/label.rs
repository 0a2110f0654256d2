//! How containers are known: by labels, and by names.

use std::collections::HashMap;

use bollard::models::ContainerSummary;
use sha2::{Digest, Sha256};

use crate::domain::{EnvName, EnvironmentId, Instance, LaunchId, NodeId};
use crate::driver::LaunchOrder;

/// The environment's identity.
pub(super) const ENVIRONMENT: &str = "portcullis.environment";
/// Its name.
const ENVIRONMENT_NAME: &str = "portcullis.environment.name";
/// The account that owns it.
const ACCOUNT: &str = "portcullis.account";
/// The node's number.
pub(super) const NODE: &str = "portcullis.node";
/// The launch that the container was made for.
const LAUNCH: &str = "portcullis.launch";
/// A hash of what it runs.
pub(super) const SPEC: &str = "portcullis.spec";

/// What Docker Compose writes on its containers.
pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
pub(super) const DEPENDS_ON: &str = "com.docker.compose.depends_on";
pub(super) const ONE_OFF: &str = "com.docker.compose.oneoff";

/// What all names that are given here begin with.
const PREFIX: &str = "portcullis-";
/// What an instance begins with that is a service's of a Compose project.
const COMPOSE: &str = "compose:";

/// A container, by what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// One that was made here, by its id.
    Container(String),
    /// One that is being made here, by its name.
    Name(String),
    /// One that was made here, by the launch that it was made for.
    Mark(LaunchId),
    /// One of a Compose project: `<project>/<service>/<number>`. It stays the same when Compose makes it anew.
    Compose(String),
}

impl Target {
    pub(super) fn of_instance(instance: &Instance) -> Self {
        match instance.0.strip_prefix(COMPOSE) {
            Some(key) => Self::Compose(key.to_owned()),
            None => Self::Container(instance.0.clone()),
        }
    }

    /// The same in the words of a record.
    pub(super) fn instance_of_compose(key: &str) -> Instance {
        Instance(format!("{COMPOSE}{key}"))
    }

    /// The same, in its parts.
    pub(super) fn compose_instance(project: &str, node: &str) -> Instance {
        Self::instance_of_compose(&format!("{project}/{node}"))
    }

    /// The label by which the engine is asked.
    pub(super) fn label(&self) -> &'static str {
        if matches!(self, Self::Compose(_)) { PROJECT } else { NODE }
    }

    /// Whether this container is the one.
    pub(super) fn is(&self, container: &ContainerSummary) -> bool {
        match self {
            Self::Container(id) => container.id.as_ref() == Some(id),
            Self::Name(name) => names(container).any(|other| other == name),
            Self::Mark(launch) => is_ours(container) && label(container, LAUNCH) == Some(launch.to_string().as_str()),
            Self::Compose(key) => compose_key(container).as_ref() == Some(key),
        }
    }
}

/// `<project>/<service>/<number>` of a container that is a Compose project's own.
pub(super) fn compose_key(container: &ContainerSummary) -> Option<String> {
    let of = |name| label(container, name);
    let one_off = of(ONE_OFF).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if is_ours(container) || one_off {
        return None;
    }
    Some(format!("{}/{}/{}", of(PROJECT)?, of(SERVICE)?, of(NUMBER).unwrap_or("1")))
}

pub(super) fn label<'a>(container: &'a ContainerSummary, name: &str) -> Option<&'a str> {
    container.labels.as_ref()?.get(name).map(String::as_str)
}

fn names(container: &ContainerSummary) -> impl Iterator<Item = &str> {
    container.names.iter().flatten().map(|name| name.trim_start_matches('/'))
}

/// Whether a container was made here. Labels alone say nothing: those of an image are its containers' too.
pub(super) fn is_ours(container: &ContainerSummary) -> bool {
    label(container, NODE).is_some() && names(container).any(|name| name.starts_with(PREFIX))
}

/// The name of a node's container.
pub(super) fn container_name(environment: &EnvName, node: NodeId) -> String {
    format!("{PREFIX}{environment}-{node}")
}

/// The name of an environment's network.
pub(super) fn network_name(environment: &EnvName) -> String {
    format!("{PREFIX}{environment}")
}

/// What a network of an environment bears.
pub(super) fn of_environment(environment: EnvironmentId) -> String {
    format!("{ENVIRONMENT}={environment}")
}

/// What a container bears.
pub(super) fn labels(order: &LaunchOrder, spec: &str) -> HashMap<String, String> {
    let labels = [
        (ENVIRONMENT, order.environment_id.to_string()),
        (ENVIRONMENT_NAME, order.environment.to_string()),
        (ACCOUNT, order.account.0.to_string()),
        (NODE, order.node.to_string()),
        (LAUNCH, order.launch.to_string()),
        (SPEC, spec.to_owned()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A hash of texts and of where each ends.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(labels: &[(&str, &str)], name: &str) -> ContainerSummary {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        ContainerSummary { labels: Some(labels), names: Some(vec![name.to_owned()]), ..Default::default() }
    }

    #[test]
    fn a_service_of_a_project_keeps_its_key_and_none_is_of_an_images_labels() {
        let labels = [(PROJECT, "shop"), (SERVICE, "web"), (NUMBER, "2")];
        let web = container(&labels, "/shop_web_2");
        assert_eq!(compose_key(&web).as_deref(), Some("shop/web/2"));
        assert!(Target::of_instance(&Target::compose_instance("shop", "web/2")).is(&web));
        let ours = container(&[&labels[..], &[(NODE, "7")]].concat(), "/portcullis-other-7");
        assert_eq!(compose_key(&ours), None, "a label of the image that one of ours runs");
        assert!(is_ours(&ours));
        assert!(!is_ours(&container(&[(NODE, "7")], "/shop_web_1")));
        let run = container(&[&labels[..], &[(ONE_OFF, "True")]].concat(), "/shop_web_run_1");
        assert_eq!(compose_key(&run), None);
    }

    #[test]
    fn where_a_text_ends_is_hashed_too() {
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
        assert_eq!(hash(["ab", "c"]), hash(["ab", "c"]));
        assert_eq!(hash([]).len(), 32);
    }
}
