//! Cron jobs of environments that were there before: suspended while nothing of the environment runs. Those that somebody else has
//! suspended stay so.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::cluster::{Fault, ask, params};
use super::place::Scope;
use super::workload::WRITER;

/// The annotation of those that were suspended here.
const SUSPENDED: &str = "portcullis.dev/suspended";
/// How often a change is made anew because somebody else was faster.
const ATTEMPTS: usize = 10;
/// The versions of the API, the better ones first. Servers before 1.21 do not know the first.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// Suspends those that are not.
pub(super) async fn suspend(client: &Client, scope: &Scope) -> Result<(), Fault> {
    let patch = |job: &DynamicObject| {
        let suspended = job.data["spec"]["suspend"] == true;
        (!suspended).then(|| patch(&json!("true"), true))
    };
    each(client, scope, patch).await
}

/// Resumes those that were suspended here.
pub(super) async fn resume(client: &Client, scope: &Scope) -> Result<(), Fault> {
    let patch = |job: &DynamicObject| job.annotations().contains_key(SUSPENDED).then(|| patch(&Value::Null, false));
    each(client, scope, patch).await
}

fn patch(annotation: &Value, suspend: bool) -> Value {
    json!({ "metadata": { "annotations": { SUSPENDED: annotation } }, "spec": { "suspend": suspend } })
}

async fn each(client: &Client, scope: &Scope, patch: impl Fn(&DynamicObject) -> Option<Value>) -> Result<(), Fault> {
    for version in VERSIONS {
        let kind = GroupVersionKind::gvk("batch", version, "CronJob");
        let resource = ApiResource::from_gvk_with_plural(&kind, "cronjobs");
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &scope.namespace, &resource);
        let jobs = match ask(api.list(&params(&scope.labels, None))).await {
            // The server does not know this version.
            Err(Fault::NotFound) => continue,
            jobs => jobs?,
        };
        for job in jobs {
            change(&api, &scope.labels, job, &patch).await?;
        }
        return Ok(());
    }
    Ok(())
}

async fn change(
    api: &Api<DynamicObject>,
    labels: &str,
    mut job: DynamicObject,
    patch: &impl Fn(&DynamicObject) -> Option<Value>,
) -> Result<(), Fault> {
    let name = job.name_any();
    for _ in 0..ATTEMPTS {
        let Some(mut patch) = patch(&job) else { return Ok(()) };
        patch["metadata"]["resourceVersion"] = json!(job.metadata.resource_version);
        let writer = PatchParams { field_manager: Some(WRITER.to_owned()), ..PatchParams::default() };
        match ask(api.patch(&name, &writer, &Patch::Merge(patch))).await {
            Err(Fault::Conflict) => {}
            Err(Fault::NotFound) => return Ok(()),
            changed => return changed.map(drop),
        }
        match ask(api.list(&params(labels, Some(&name)))).await?.items.pop() {
            Some(current) => job = current,
            None => return Ok(()),
        }
    }
    Err(Fault::Conflict)
}
