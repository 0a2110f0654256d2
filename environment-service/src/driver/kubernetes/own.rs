//! Nodes that are made here.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};

use super::cluster::{Fault, ask, list};
use super::place::{ENVIRONMENT, Home, Place, Scope};
use super::workload::{Kind, WRITER};
use super::{KubernetesDriver, manifest};
use crate::domain::Environment;
use crate::driver::{LaunchError, LaunchOrder};

/// How often an object is written anew because somebody else was faster.
const ATTEMPTS: usize = 10;

impl KubernetesDriver {
    /// Makes a node's deployment, or makes the one that is there what it is to be now, with one replica.
    pub(super) async fn make(&self, order: &LaunchOrder, restarted_at: Option<String>) -> Result<Place, LaunchError> {
        self.accepts_own(&order.workload)?;
        let (Some(namespace), Some(image)) = (&self.settings.namespace, &order.workload.image) else {
            return Err(Fault::refused("nothing is made here any more".to_owned()).into());
        };
        if let Some(port) = order.port {
            self.make_service(namespace, order, port).await?;
        }
        let wanted = manifest::deployment(order, image, self.settings.stop_grace, restarted_at);
        self.make_deployment(namespace, order, wanted).await?;
        let name = manifest::deployment_name(&order.environment, order.node);
        Ok(Place { home: Home::Own(namespace.clone()), kind: Kind::Deployment, name })
    }

    async fn make_deployment(&self, namespace: &str, order: &LaunchOrder, wanted: Deployment) -> Result<(), Fault> {
        let api = Api::<Deployment>::namespaced(self.client.clone(), namespace);
        let params = PostParams { field_manager: Some(WRITER.to_owned()), ..PostParams::default() };
        let name = wanted.name_any();
        for _ in 0..ATTEMPTS {
            let found = list::<Deployment>(&self.client, namespace, "", Some(&name)).await?.items.pop();
            let written = match found {
                None => ask(api.create(&params, &wanted)).await,
                Some(found) => {
                    own(order, "deployment", &found)?;
                    let mut wanted = wanted.clone();
                    // What the controllers note there stays.
                    let mut annotations = found.metadata.annotations.unwrap_or_default();
                    annotations.extend(wanted.metadata.annotations.take().unwrap_or_default());
                    wanted.metadata.annotations = Some(annotations);
                    wanted.metadata.resource_version = found.metadata.resource_version;
                    ask(api.replace(&name, &params, &wanted)).await
                }
            };
            match written {
                Err(Fault::Conflict | Fault::NotFound) => {}
                written => return written.map(drop),
            }
        }
        Err(Fault::Conflict)
    }

    async fn make_service(&self, namespace: &str, order: &LaunchOrder, port: u16) -> Result<(), Fault> {
        let wanted = manifest::service(order, port);
        let name = wanted.name_any();
        if let Some(found) = list::<Service>(&self.client, namespace, "", Some(&name)).await?.items.pop() {
            own(order, "service", &found)?;
        }
        let api = Api::<Service>::namespaced(self.client.clone(), namespace);
        ask(api.patch(&name, &PatchParams::apply(WRITER).force(), &Patch::Apply(&wanted))).await.map(drop)
    }

    /// Removes all that was made for an environment, and nothing else.
    pub(super) async fn remove(&self, environment: &Environment) -> Result<(), Fault> {
        let Some(namespace) = &self.settings.namespace else {
            return Err(Fault::refused("`kubernetes.namespace` is not configured any more".to_owned()));
        };
        let labels = format!("{ENVIRONMENT}={}", environment.id);
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), namespace);
        for object in list::<Deployment>(&self.client, namespace, &labels, None).await? {
            gone(ask(deployments.delete(&object.name_any(), &exactly(&object))).await)?;
        }
        let services = Api::<Service>::namespaced(self.client.clone(), namespace);
        for object in list::<Service>(&self.client, namespace, &labels, None).await? {
            gone(ask(services.delete(&object.name_any(), &exactly(&object))).await)?;
        }
        Ok(())
    }

    /// What is made here.
    pub(super) fn own_scope(&self) -> Option<Scope> {
        self.settings.namespace.as_deref().map(Scope::own)
    }
}

/// An object of another's is left alone, whatever it is called.
fn own(order: &LaunchOrder, what: &str, found: &impl ResourceExt) -> Result<(), Fault> {
    if found.labels().get(ENVIRONMENT).is_some_and(|id| *id == order.environment_id.to_string()) {
        return Ok(());
    }
    Err(Fault::refused(format!(
        "there is a {what} `{}` already that does not belong to the environment",
        found.name_any()
    )))
}

/// This object, and not another of its name; what it has made goes after it.
fn exactly(object: &impl ResourceExt) -> DeleteParams {
    DeleteParams::background().preconditions(Preconditions { uid: object.uid(), resource_version: None })
}

fn gone<T>(deleted: Result<T, Fault>) -> Result<(), Fault> {
    match deleted {
        // There is another now, or none.
        Ok(_) | Err(Fault::NotFound | Fault::Conflict) => Ok(()),
        Err(fault) => Err(fault),
    }
}
