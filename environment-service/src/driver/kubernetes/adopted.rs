//! Workloads that were there before: they are scaled, and what they are is left alone.

use serde_json::{Value, json};

use super::cluster::Fault;
use super::manifest::RESTARTED_AT;
use super::place::Place;
use super::workload::{FORMER, LAUNCH, Seen, change};
use super::{KubernetesDriver, cron};
use crate::domain::Node;
use crate::driver::{LaunchError, LaunchOrder, Unfit};

impl KubernetesDriver {
    /// Gives a workload its replicas back, and its environment's cron jobs.
    pub(super) async fn restore(
        &self,
        order: &LaunchOrder,
        key: &str,
        restarted_at: Option<String>,
    ) -> Result<Place, LaunchError> {
        let place = Place::from_key(key).map_err(|error| Fault::refused(error.to_string()))?;
        let scope = self.scope(&place)?;
        if order.versioned {
            self.accepts_image(&order.workload)?;
        }
        let seen = self.one(&place).await?;
        let image = self.image(order, &seen)?;
        let patch = |seen: &Seen| {
            let replicas = if seen.wanted > 0 { seen.wanted } else { seen.former() };
            let mut patch = json!({
                "metadata": { "annotations": { LAUNCH: order.launch.to_string() } },
                "spec": { "replicas": replicas, "template": {} },
            });
            if let Some((container, image)) = &image {
                patch["spec"]["template"]["spec"] = json!({ "containers": [{ "name": container, "image": image }] });
            }
            if let Some(at) = &restarted_at {
                patch["spec"]["template"]["metadata"] = json!({ "annotations": { RESTARTED_AT: at } });
            }
            Some(patch)
        };
        // Before: what has its replicas is not launched again by whoever takes up a start that was torn off.
        cron::resume(&self.client, &scope).await?;
        change(&self.client, &scope, (place.kind, &place.name), patch).await?;
        Ok(place)
    }

    /// The container that is to have another version, and that.
    fn image(&self, order: &LaunchOrder, seen: &Seen) -> Result<Option<(String, String)>, Unfit> {
        let Some(image) = order.workload.image.as_ref().filter(|_| order.versioned) else { return Ok(None) };
        let wanted = format!("{image}:{}", order.workload.tag);
        let container =
            seen.container(Some(image)).filter(|container| runs(container.image.as_deref(), image.as_str()));
        let container =
            container.ok_or_else(|| Unfit(format!("no container of it has the image `{image}` any more")))?;
        Ok(Some((container.name.clone(), wanted)))
    }

    /// Sets the size of a workload's container, which replaces its pods.
    pub(super) async fn size(&self, node: &Node, place: &Place) -> Result<(), Fault> {
        let resources = super::manifest::resources(node.cloudlets);
        let patch = |seen: &Seen| -> Option<Value> {
            let container = seen.container(node.workload.image.as_ref())?;
            let containers = json!([{ "name": container.name, "resources": resources }]);
            Some(json!({ "spec": { "template": { "spec": { "containers": containers } } } }))
        };
        change(&self.client, &self.scope(place)?, (place.kind, &place.name), patch).await.map(drop)
    }
}

fn runs(image: Option<&str>, name: &str) -> bool {
    image.and_then(super::workload::image_parts).is_some_and(|(repository, _)| repository == name)
}

/// Takes a workload's replicas, and keeps how many they were. One that has none keeps the former number.
pub(super) fn taken(seen: &Seen) -> Option<Value> {
    let mark = seen.annotation(LAUNCH).map(|_| Value::Null);
    if seen.wanted == 0 {
        return mark.map(|gone| json!({ "metadata": { "annotations": { LAUNCH: gone } } }));
    }
    let former = seen.wanted.to_string();
    Some(json!({
        "metadata": { "annotations": { FORMER: former, LAUNCH: null } },
        "spec": { "replicas": 0 },
    }))
}
