//! Docker Compose projects on the engine: environments that were there before.

use std::collections::{BTreeMap, HashSet};

use bollard::models::ContainerSummary;

use super::DockerDriver;
use super::label::{self, DEPENDS_ON, NUMBER, PROJECT, SERVICE, Target};
use super::observe::is_up;
use super::template::ComposeProject;
use crate::domain::{ImageName, NodeGroupName, Tag, labels_near};
use crate::driver::{Discovered, DiscoveredNode, Discovery, ScanError};

/// The services of a project: of each, what it needs, and its containers by number.
type Services<'a> = BTreeMap<&'a str, (Vec<&'a str>, BTreeMap<u32, &'a ContainerSummary>)>;

impl DockerDriver {
    pub(super) async fn discover(&self) -> Result<Discovery, ScanError> {
        if self.compose.is_empty() {
            return Ok(Discovery::default());
        }
        let containers = self.engine.list(&[PROJECT.to_owned()]).await?;
        let mut projects: BTreeMap<&str, Services<'_>> = BTreeMap::new();
        for container in &containers {
            let of = |name| label::label(container, name);
            let (Some(_), Some(project), Some(service)) = (label::compose_key(container), of(PROJECT), of(SERVICE))
            else {
                continue;
            };
            let number = of(NUMBER).and_then(|text| text.parse().ok()).unwrap_or(1);
            let (needs, nodes) = projects.entry(project).or_default().entry(service).or_default();
            *needs = of(DEPENDS_ON).map(needed).unwrap_or_default();
            nodes.insert(number, container);
        }
        let given = |(project, services): (&str, Services<'_>)| {
            let account = ComposeProject::account_of(&self.compose, project)?;
            let nodes = nodes(project, &services);
            Some(Discovered { key: project.to_owned(), name: project.to_owned(), account, nodes })
        };
        Ok(Discovery { found: projects.into_iter().filter_map(given).collect(), unseen: Vec::new() })
    }
}

/// From `db:service_healthy:true,cache` and the like.
fn needed(text: &str) -> Vec<&str> {
    let name = |part: &'_ str| part.split_once(':').map_or(part.len(), |(name, _)| name.len());
    text.split(',').map(|part| part[..name(part)].trim()).filter(|name| !name.is_empty()).collect()
}

fn nodes(project: &str, services: &Services<'_>) -> Vec<DiscoveredNode> {
    let mut groups = HashSet::new();
    let mut nodes = Vec::new();
    for (service, (_, containers)) in services {
        let group = group(service, &mut groups);
        let rank = rank(service, services, &mut HashSet::new());
        for (number, container) in containers {
            let key = format!("{service}/{number}");
            nodes.push(DiscoveredNode {
                group: group.clone(),
                image: container.image.as_deref().and_then(image),
                rank,
                instance: is_up(container).then(|| Target::compose_instance(project, &key)),
                port: published(container),
                key: format!("{project}/{key}"),
            });
        }
    }
    nodes
}

/// The length of the longest way to a service that needs nothing. What needs itself has to begin somewhere.
fn rank<'a>(service: &'a str, services: &Services<'a>, above: &mut HashSet<&'a str>) -> i32 {
    if !above.insert(service) {
        return 0;
    }
    let needs = services.get(service).map(|(needs, _)| needs.as_slice()).unwrap_or_default();
    let there = needs.iter().filter(|need| services.contains_key(**need));
    let rank = there.map(|need| rank(need, services, above).saturating_add(1)).max().unwrap_or(0);
    above.remove(service);
    rank
}

/// A service's name made one of a group, and another than those before.
fn group(service: &str, taken: &mut HashSet<NodeGroupName>) -> NodeGroupName {
    let mut groups = labels_near(service, "service").filter_map(|name| name.parse::<NodeGroupName>().ok());
    let group = groups.find(|group| !taken.contains(group)).unwrap_or_else(NodeGroupName::application);
    taken.insert(group.clone());
    group
}

/// The name and version of an image; one that is known by a hash alone has neither.
fn image(text: &str) -> Option<(ImageName, Tag)> {
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag.parse().ok()?),
        _ => (text, Tag::latest()),
    };
    let hash = name == "sha256" || (name.len() >= 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    name.parse().ok().filter(|_| !hash).map(|name| (name, tag))
}

fn published(container: &ContainerSummary) -> Option<u16> {
    container.ports.iter().flatten().filter_map(|port| port.public_port).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_started_after_what_they_need() {
        assert_eq!(needed("db:service_healthy:true,cache, x:y"), ["db", "cache", "x"]);
        assert_eq!(needed(""), [""; 0]);
        let services: Services<'_> =
            [("web", vec!["app"]), ("app", vec!["db", "cache", "gone"]), ("db", vec![]), ("cache", vec!["db"])]
                .into_iter()
                .map(|(name, needs)| (name, (needs, BTreeMap::new())))
                .collect();
        let ranks: Vec<i32> =
            ["db", "cache", "app", "web"].map(|name| rank(name, &services, &mut HashSet::new())).to_vec();
        assert_eq!(ranks, [0, 1, 2, 3]);
        let circle: Services<'_> = [("a", vec!["b"]), ("b", vec!["a"])]
            .into_iter()
            .map(|(name, needs)| (name, (needs, BTreeMap::new())))
            .collect();
        assert!(rank("a", &circle, &mut HashSet::new()) < 3);
    }

    #[test]
    fn a_services_name_is_made_a_groups() {
        let mut taken = HashSet::new();
        let names = ["web", "Web", "my_db", "1st", "__", &"long-".repeat(20), &"long-".repeat(21)];
        let groups: Vec<String> = names.iter().map(|name| group(name, &mut taken).to_string()).collect();
        let long = "long-long-long-long-long-long-lo".to_owned();
        let other = format!("{}-2", &long[..30]).replace("--", "-");
        assert_eq!(groups, ["web", "web-2", "my-db", "service-1st", "service", &long, &other]);
    }

    #[test]
    fn an_image_has_a_name_and_a_version() {
        let of = |text: &str| image(text).map(|(name, tag)| format!("{name}:{tag}"));
        assert_eq!(of("nginx").as_deref(), Some("nginx:latest"));
        assert_eq!(of("host:5000/a/b:1").as_deref(), Some("host:5000/a/b:1"));
        assert_eq!(of("sha256:0123456789abcdef0123456789abcdef"), None);
        assert_eq!(of("0123456789ab"), None);
    }
}
