//! The environments that are there already, by the configuration.

use super::cluster::Fault;
use super::place::{Place, Scope};
use super::workload::{Kind, Seen, all, image_parts};
use super::{Adoptable, KubernetesDriver};
use crate::domain::{ImageName, Instance, NodeGroupName, Tag};
use crate::driver::{Discovered, DiscoveredNode};

/// Labels that name the group of a workload, the stronger ones first.
const GROUPS: [&str; 2] = ["portcullis.dev/group", "app.kubernetes.io/component"];

impl KubernetesDriver {
    /// Every one that is configured, whether or not there is anything in it. None where one cannot be seen: what is not seen must
    /// not seem to be gone.
    pub(super) async fn discovered(&self) -> Result<Vec<Discovered>, Fault> {
        let mut found = Vec::new();
        for environment in &self.settings.environments {
            let mut seen = all(&self.client, &Scope::adopted(environment)).await?;
            seen.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
            found.push(Discovered {
                key: environment.name.clone(),
                name: environment.name.clone(),
                account: environment.account,
                nodes: seen.iter().map(|seen| node(environment, seen)).collect(),
            });
        }
        Ok(found)
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
