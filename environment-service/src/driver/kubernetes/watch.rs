//! Hears of changes in the cluster: one task for each namespace and kind, which tells that something has changed, not what.

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client, Resource};
use lifecycle::Lifecycle;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::cluster::{Fault, ask};

/// The first wait after something failed; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long one watch lasts, in seconds.
const LASTS: u32 = 290;

/// Begins to watch a kind of objects of a namespace, until the drain.
pub(super) fn begin<K>(client: &Client, namespace: &str, changes: &watch::Sender<()>, tasks: &Lifecycle)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let (changes, draining, namespace) = (changes.clone(), tasks.draining(), namespace.to_owned());
    tasks.spawn("kubernetes.watch", async move {
        tokio::select! {
            () = draining => (),
            () = watch(&api, &namespace, &changes) => (),
        }
    });
}

async fn watch<K>(api: &Api<K>, namespace: &str, changes: &watch::Sender<()>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let mut wait = FIRST_WAIT;
    loop {
        let begun = tokio::time::Instant::now();
        let kind = K::kind(&());
        match watch_once(api, changes).await {
            // Somebody has to see to that.
            Err(error @ Fault::Refused(..)) => {
                let cause = std::error::Error::source(&error);
                tracing::warn!(kubernetes.namespace = namespace, kubernetes.kind = %kind, %error, cause, "a watch is refused");
            }
            Err(error) => {
                tracing::debug!(kubernetes.namespace = namespace, kubernetes.kind = %kind, %error, "a watch has ended");
            }
            Ok(()) => {}
        }
        // Much may have changed in between.
        changes.send_replace(());
        wait = if begun.elapsed() > LONGEST_WAIT { FIRST_WAIT } else { LONGEST_WAIT.min(wait * 2) };
        tokio::time::sleep(wait).await;
    }
}

async fn watch_once<K>(api: &Api<K>, changes: &watch::Sender<()>) -> Result<(), Fault>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let now = ask(api.list_metadata(&ListParams::default().limit(1))).await?;
    let version = now.metadata.resource_version.unwrap_or_default();
    changes.send_replace(());
    let params = WatchParams::default().timeout(LASTS);
    let events = ask(api.watch_metadata(&params, &version)).await?;
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
            WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_) => {
                changes.send_replace(());
            }
        }
    }
    Ok(())
}
