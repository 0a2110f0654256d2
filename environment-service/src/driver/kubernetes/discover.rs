//! The environments that are there already, by the configuration.

use super::cluster::Fault;
use super::place::{Place, Scope};
use super::workload::{Kind, Seen, all, image_parts};
use super::{Adoptable, KubernetesDriver, unseen};
use crate::domain::{ImageName, Instance, NodeGroupName, Tag};
use crate::driver::{Discovered, DiscoveredNode, Discovery};

/// Labels that name the group of a workload, the stronger ones first.
const GROUPS: [&str; 2] = ["portcullis.dev/group", "app.kubernetes.io/component"];

impl KubernetesDriver {
    /// Every one that is configured, whether or not there is anything in it. What cannot be seen must not seem to be gone: where the
    /// server does not answer nothing is discovered, and a namespace that it refuses is told to be unseen.
    pub(super) async fn discovered(&self) -> Result<Discovery, Fault> {
        let mut discovery = Discovery::default();
        for environment in &self.settings.environments {
            let mut seen = match all(&self.client, &Scope::adopted(environment)).await {
                Err(fault @ Fault::Unreachable(_)) => return Err(fault),
                Err(fault) => {
                    unseen(&fault);
                    discovery.unseen.push(environment.name.clone());
                    continue;
                }
                Ok(seen) => seen,
            };
            seen.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
            discovery.found.push(Discovered {
                key: environment.name.clone(),
                name: environment.name.clone(),
                account: environment.account,
                nodes: seen.iter().map(|seen| node(environment, seen)).collect(),
            });
        }
        Ok(discovery)
    }
}

fn node(environment: &Adoptable, seen: &Seen) -> DiscoveredNode {
    let place = Place::adopted(&environment.name, seen.kind, &seen.name);
    let named: Option<NodeGroupName> =
        GROUPS.iter().find_map(|label| seen.label(label).and_then(|group| group.parse().ok()));
    let rank = match (&named, seen.kind) {
        (Some(group), _) => group.rank(),
        // It keeps data, most likely.
        (None, Kind::StatefulSet) => 0,
        (None, Kind::Deployment) => NodeGroupName::application().rank(),
    };
    DiscoveredNode {
        key: place.key(),
        group: named.unwrap_or_else(NodeGroupName::application),
        image: seen.container(None).and_then(|container| image(container.image.as_deref()?)),
        rank,
        instance: (seen.wanted > 0).then(|| Instance(place.to_string())),
        port: None,
    }
}

fn image(text: &str) -> Option<(ImageName, Tag)> {
    let (name, tag) = image_parts(text)?;
    Some((name.parse().ok()?, tag.map_or_else(|| Ok(Tag::latest()), str::parse).ok()?))
}
