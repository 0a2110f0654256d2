//! Deployments and StatefulSets, as one thing: so many replicas of a pod.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Container, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::{Patch, PatchParams};
use kube::core::Selector;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::{Fault, ask, list};
use super::place::Scope;
use crate::domain::{ImageName, LaunchId};

/// The replicas that a workload had before it was ended.
pub(super) const FORMER: &str = "portcullis.dev/former-replicas";
/// The mark of the last launch.
pub(super) const LAUNCH: &str = "portcullis.dev/launch";
/// The label that the controller gives a deployment's replica sets and their pods.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// Who writes, in the records of the API server.
pub(super) const WRITER: &str = "portcullis";
/// How often a change is made anew because somebody else was faster.
const ATTEMPTS: usize = 10;

/// What keeps replicas of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
}

/// One, as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) metadata: ObjectMeta,
    /// How many replicas it is to have, and has; how many are ready, and of the last template.
    pub(super) wanted: i32,
    pub(super) present: i32,
    pub(super) ready: i32,
    pub(super) updated: i32,
    /// Whether the numbers are of what it is to be now, not before its last change.
    pub(super) current: bool,
    /// Whether pods are replaced by themselves when the template changes.
    pub(super) rolls: bool,
    pub(super) selector: LabelSelector,
    pub(super) template: PodTemplateSpec,
    /// Why no pod can be made.
    pub(super) failure: Option<String>,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Deployment, Self::StatefulSet].into_iter().find(|kind| kind.word() == word)
    }
}

impl From<Deployment> for Seen {
    fn from(object: Deployment) -> Self {
        let (spec, status) = (object.spec.unwrap_or_default(), object.status.unwrap_or_default());
        let conditions = status.conditions.unwrap_or_default();
        let failed =
            conditions.into_iter().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
        Self {
            kind: Kind::Deployment,
            name: object.metadata.name.clone().unwrap_or_default(),
            current: status.observed_generation >= object.metadata.generation,
            metadata: object.metadata,
            wanted: spec.replicas.unwrap_or(1),
            present: status.replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            rolls: true,
            selector: spec.selector,
            template: spec.template,
            failure: failed.and_then(|condition| condition.message),
        }
    }
}

impl From<StatefulSet> for Seen {
    fn from(object: StatefulSet) -> Self {
        let (spec, status) = (object.spec.unwrap_or_default(), object.status.unwrap_or_default());
        let strategy = spec.update_strategy.unwrap_or_default();
        let partition = strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0);
        Self {
            kind: Kind::StatefulSet,
            name: object.metadata.name.clone().unwrap_or_default(),
            current: status.observed_generation >= object.metadata.generation,
            metadata: object.metadata,
            wanted: spec.replicas.unwrap_or(1),
            present: status.replicas,
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            rolls: partition == 0 && strategy.type_.as_deref() != Some("OnDelete"),
            selector: spec.selector,
            template: spec.template,
            failure: None,
        }
    }
}

impl Seen {
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }

    pub(super) fn has_mark(&self, launch: LaunchId) -> bool {
        self.annotation(LAUNCH) == Some(launch.to_string().as_str())
    }

    /// How many replicas it had before it was ended.
    pub(super) fn former(&self) -> i32 {
        self.annotation(FORMER).and_then(|text| text.parse().ok()).filter(|former| *former > 0).unwrap_or(1)
    }

    /// Whether a pod is one of its own: others can have the same labels. The pods of a deployment are those of its replica sets, which
    /// have its name and the hash of a template.
    pub(super) fn owns(&self, pod: &Pod) -> bool {
        let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        controller.is_some_and(|controller| match self.kind {
            Kind::StatefulSet => controller.kind == "StatefulSet" && controller.name == self.name,
            Kind::Deployment => {
                let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
                controller.kind == "ReplicaSet"
                    && hash.is_some_and(|hash| controller.name == format!("{}-{hash}", self.name))
            }
        })
    }

    /// By which labels its pods can be asked for.
    pub(super) fn pods(&self) -> Option<Selector> {
        Selector::try_from(self.selector.clone()).ok().filter(|selector| !selector.selects_all())
    }

    fn containers(&self) -> &[Container] {
        self.template.spec.as_ref().map_or(&[], |spec| &spec.containers)
    }

    /// The container that the node is about: that of the image, otherwise the first.
    pub(super) fn container(&self, image: Option<&ImageName>) -> Option<&Container> {
        let of_image = |image: &ImageName| {
            self.containers().iter().find(|container| repository(container.image.as_deref()) == Some(image.as_str()))
        };
        image.and_then(of_image).or(self.containers().first())
    }
}

/// An image's name without its version.
fn repository(image: Option<&str>) -> Option<&str> {
    image_parts(image?).map(|(name, _)| name)
}

/// An image's name and its version, where that is no digest.
pub(super) fn image_parts(image: &str) -> Option<(&str, Option<&str>)> {
    if image.contains('@') {
        return None;
    }
    Some(match image.rsplit_once(':') {
        // A port is followed by a path.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    })
}

async fn list_of<K>(client: &Client, scope: &Scope, name: Option<&str>) -> Result<Vec<Seen>, Fault>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug + Into<Seen>,
{
    let objects = list::<K>(client, &scope.namespace, &scope.labels, name).await?;
    Ok(objects.items.into_iter().map(Into::into).collect())
}

/// All that is within reach.
pub(super) async fn all(client: &Client, scope: &Scope) -> Result<Vec<Seen>, Fault> {
    let deployments = list_of::<Deployment>(client, scope, None);
    let sets = list_of::<StatefulSet>(client, scope, None);
    let (mut all, sets) = tokio::try_join!(deployments, sets)?;
    all.extend(sets);
    Ok(all)
}

/// One of a name, if it is within reach.
pub(super) async fn one(client: &Client, scope: &Scope, kind: Kind, name: &str) -> Result<Seen, Fault> {
    let mut found = match kind {
        Kind::Deployment => list_of::<Deployment>(client, scope, Some(name)).await?,
        Kind::StatefulSet => list_of::<StatefulSet>(client, scope, Some(name)).await?,
    };
    found.pop().ok_or(Fault::NotFound)
}

/// Changes one by a patch that is made from what it is. Where somebody else changes it in between, the patch is made anew, so
/// that nothing of theirs is lost; without a patch nothing is to be changed.
pub(super) async fn change(
    client: &Client,
    scope: &Scope,
    (kind, name): (Kind, &str),
    patch: impl Fn(&Seen) -> Option<Value>,
) -> Result<Seen, Fault> {
    for _ in 0..ATTEMPTS {
        let seen = one(client, scope, kind, name).await?;
        let Some(mut patch) = patch(&seen) else { return Ok(seen) };
        patch["metadata"]["resourceVersion"] = json!(seen.metadata.resource_version);
        let changed = match kind {
            Kind::Deployment => patch_one::<Deployment>(client, scope, name, patch).await,
            Kind::StatefulSet => patch_one::<StatefulSet>(client, scope, name, patch).await,
        };
        match changed {
            Err(Fault::Conflict) => {}
            done => return done,
        }
    }
    Err(Fault::Conflict)
}

async fn patch_one<K>(client: &Client, scope: &Scope, name: &str, patch: Value) -> Result<Seen, Fault>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug + Into<Seen>,
{
    let api = Api::<K>::namespaced(client.clone(), &scope.namespace);
    // Lists of containers are merged by their names.
    let params = PatchParams { field_manager: Some(WRITER.to_owned()), ..PatchParams::default() };
    ask(api.patch(name, &params, &Patch::Strategic(patch))).await.map(Into::into)
}
