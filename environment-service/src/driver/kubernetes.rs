//! Nodes as workloads of a Kubernetes cluster: a node is a Deployment that was made here, or a Deployment or StatefulSet that was
//! there before.
//!
//! A launch gives a workload replicas, and an end takes them: what is configured of it stays. A workload of several replicas is one
//! node, and runs when as many are ready as there are to be. What was there before is only scaled, and is known by its name and
//! by the labels that the operator has configured; what is made here is known by the environment's identity among its labels.
//! Every change is of an object as it was read, by its resource version, and is made anew where somebody else was faster.

mod adopted;
mod cluster;
mod cron;
mod discover;
mod end;
mod inside;
mod locate;
mod manifest;
mod own;
mod place;
mod standing;
#[cfg(test)]
mod tests;
mod watch;
mod workload;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use access::AccountId;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use tokio::time::Instant;

pub use cluster::KubernetesError;

use self::cluster::{Fault, list};
use self::locate::Located;
use self::place::{Home, Place, Scope};
use self::standing::Standing;
use self::workload::Seen;
use super::{
    ClearError, Command, Discovery, Driver, EndError, Ended, LaunchError, LaunchOrder, LogFile, NodeAt, NodeError,
    Output, ScanError, Unfit, Window,
};
use crate::domain::{
    DriverKind, Environment, ImagePatterns, Instance, Launch, LaunchId, NodeId, NodeType, Observed, Workload,
};

/// How often something is looked at that is waited for, where no change is heard of.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How nodes are run.
#[derive(Clone, Debug)]
pub(crate) struct KubernetesSettings {
    /// Where the cluster is; `None` for the one that the service runs in.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The images that may be run.
    pub(crate) images: ImagePatterns,
    /// The namespace for what is made here.
    pub(crate) namespace: Option<String>,
    /// The port that nodes are told to listen on.
    pub(crate) port: u16,
    /// How long a workload may take to be ready.
    pub(crate) ready_timeout: Duration,
    /// How long a node that is made here may take to end before it is killed.
    pub(crate) stop_grace: Duration,
    /// The environments that are there already.
    pub(crate) environments: Vec<Adoptable>,
}

/// An environment that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Adoptable {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    pub(crate) namespace: String,
    /// Labels of what belongs to it; all of the namespace otherwise.
    pub(crate) selector: Option<String>,
}

/// Runs nodes in a Kubernetes cluster.
pub(crate) struct KubernetesDriver {
    client: Client,
    settings: KubernetesSettings,
    changes: tokio::sync::watch::Sender<()>,
}

impl KubernetesDriver {
    /// Begins to watch what is configured. The cluster need not answer yet.
    ///
    /// # Errors
    /// Where what is configured is not there, or is none.
    pub(crate) async fn open(
        settings: KubernetesSettings,
        tasks: &lifecycle::Lifecycle,
    ) -> Result<Self, KubernetesError> {
        let client = cluster::client(settings.kubeconfig.as_ref()).await?;
        let driver = Self { client, settings, changes: tokio::sync::watch::Sender::new(()) };
        let namespaces: BTreeSet<String> = driver.scopes().into_iter().map(|scope| scope.namespace).collect();
        for namespace in &namespaces {
            watch::begin::<Deployment>(&driver.client, namespace, &driver.changes, tasks);
            watch::begin::<StatefulSet>(&driver.client, namespace, &driver.changes, tasks);
            watch::begin::<Pod>(&driver.client, namespace, &driver.changes, tasks);
        }
        Ok(driver)
    }

    /// All that is within reach.
    fn scopes(&self) -> Vec<Scope> {
        self.settings.environments.iter().map(Scope::adopted).chain(self.own_scope()).collect()
    }

    /// Where a place is, as it is configured now.
    fn scope(&self, place: &Place) -> Result<Scope, Fault> {
        match &place.home {
            Home::Own(namespace) => Ok(Scope::own(namespace)),
            Home::Adopted(name) => {
                let found = self.settings.environments.iter().find(|environment| environment.name == *name);
                let gone =
                    || Fault::refused(format!("the environment `{name}` of Kubernetes is not configured any more"));
                found.map(Scope::adopted).ok_or_else(gone)
            }
        }
    }

    async fn one(&self, place: &Place) -> Result<Seen, Fault> {
        workload::one(&self.client, &self.scope(place)?, place.kind, &place.name).await
    }

    fn accepts_image(&self, workload: &Workload) -> Result<(), Unfit> {
        match &workload.image {
            Some(image) if !self.settings.images.allows(image) => {
                Err(Unfit(format!("must be an image that the operator allows, and `{image}` is none")))
            }
            _ => Ok(()),
        }
    }

    fn accepts_own(&self, workload: &Workload) -> Result<(), Unfit> {
        if workload.image.is_none() {
            return Err(Unfit("must be an image: templates are not run in Kubernetes".to_owned()));
        }
        if self.settings.namespace.is_none() {
            return Err(Unfit("cannot be run in Kubernetes: the operator gives no namespace for it".to_owned()));
        }
        self.accepts_image(workload)
    }

    async fn launch(&self, order: &LaunchOrder, restarted_at: Option<String>) -> Result<Place, LaunchError> {
        let place = match &order.adopted {
            Some(key) => self.restore(order, key, restarted_at).await?,
            None => self.make(order, restarted_at).await?,
        };
        tracing::info!(node.id = %order.node, launch.id = %order.launch, workload = %place, "a workload was launched");
        Ok(place)
    }

    /// What launches are, in their order: a list for each scope, and the pods of a namespace only where something is wrong.
    async fn standings(&self, launches: &[Launch]) -> Vec<Standing> {
        let places = match self.places(launches).await {
            Ok(places) => places,
            Err(fault) => {
                unseen(&fault);
                return vec![Standing::Unseen; launches.len()];
            }
        };
        let mut lists: HashMap<Scope, Option<Vec<Seen>>> = HashMap::new();
        let mut pods: HashMap<String, Vec<Pod>> = HashMap::new();
        let mut standings = Vec::new();
        for place in places {
            let place = match place {
                Located::At(place) => place,
                Located::Nowhere => {
                    standings.push(Standing::Gone);
                    continue;
                }
                Located::Unseen => {
                    standings.push(Standing::Unseen);
                    continue;
                }
            };
            let Ok(scope) = self.scope(&place) else {
                standings.push(Standing::Unseen);
                continue;
            };
            if !lists.contains_key(&scope) {
                let seen = workload::all(&self.client, &scope).await.inspect_err(unseen).ok();
                lists.insert(scope.clone(), seen);
            }
            let found = match lists.get(&scope) {
                Some(Some(all)) => all.iter().find(|seen| seen.kind == place.kind && seen.name == place.name),
                _ => {
                    standings.push(Standing::Unseen);
                    continue;
                }
            };
            let Some(seen) = found else {
                standings.push(Standing::Gone);
                continue;
            };
            if seen.ready < seen.wanted && !pods.contains_key(&scope.namespace) {
                // Without them there is only less to tell.
                let all = list::<Pod>(&self.client, &scope.namespace, "", None).await.inspect_err(unseen);
                pods.insert(scope.namespace.clone(), all.map(|all| all.items).unwrap_or_default());
            }
            standings.push(Standing::of(seen, pods.get(&scope.namespace).map_or(&[], Vec::as_slice)));
        }
        standings
    }

    /// Waits until all are ready, or one is not in time.
    async fn ended_within(&self, launches: &[Launch], time: Duration) -> Option<Ended> {
        let time = time.max(self.settings.ready_timeout);
        let deadline = Instant::now() + time;
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let standings = self.standings(launches).await;
            let looked = launches.iter().zip(standings);
            let mut waited_for = None;
            for (launch, standing) in looked {
                match standing.settled() {
                    Some(Ok(())) => {}
                    Some(Err(reason)) => return Some(Ended { launch: launch.id, reason }),
                    None => waited_for = Some((launch, standing)),
                }
            }
            let (launch, standing) = waited_for?;
            if Instant::now() >= deadline {
                return Some(Ended { launch: launch.id, reason: standing.given_up(time) });
            }
            self.change_until(&mut changes, deadline).await;
        }
    }

    /// Waits for a change, but not for long: a watch may have ended.
    async fn change_until(&self, changes: &mut tokio::sync::watch::Receiver<()>, deadline: Instant) {
        let until = deadline.min(Instant::now() + LOOK_INTERVAL);
        // The sender is our own.
        let _ = tokio::time::timeout_at(until, changes.changed()).await;
    }

    async fn resize(&self, node: NodeAt<'_>) -> Result<(), NodeError> {
        let of_launch = node.node.launch.as_ref().and_then(|launch| launch.instance.as_ref()?.0.parse().ok());
        let of_key = || node.node.adopted.as_deref().and_then(|key| Place::from_key(key).ok());
        // One that is made here and does not run has its size from its next launch on.
        let Some(place) = of_launch.or_else(of_key) else { return Ok(()) };
        Ok(self.size(node.node, &place).await?)
    }
}

fn unseen(fault: &Fault) {
    tracing::debug!(%fault, cause = std::error::Error::source(fault), "workloads cannot be seen");
}

impl Driver for KubernetesDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Kubernetes
    }

    fn node_types(&self) -> Vec<&NodeType> {
        Vec::new()
    }

    fn accepts(&self, workload: &Workload) -> Result<(), Unfit> {
        self.accepts_own(workload)
    }

    fn accepts_adopted(&self, workload: &Workload) -> Result<(), Unfit> {
        if workload.image.is_none() {
            return Err(Unfit(
                "cannot be set: the image of the node has no name by which its version could be told".to_owned(),
            ));
        }
        self.accepts_image(workload)
    }

    /// Each node has an address of its own, so all can have one port.
    fn ports(&self, nodes: &[(&Workload, Option<u16>)]) -> Result<Vec<Option<u16>>, (usize, LaunchError)> {
        Ok(vec![Some(self.settings.port); nodes.len()])
    }

    /// The cluster's machines get images themselves.
    fn prepare<'a>(&'a self, workload: &'a Workload) -> BoxFuture<'a, Result<(), LaunchError>> {
        async move { Ok(self.accepts_adopted(workload)?) }.boxed()
    }

    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> BoxFuture<'a, Result<Instance, LaunchError>> {
        async move { Ok(Instance(self.launch(order, None).await?.to_string())) }.boxed()
    }

    fn restart<'a>(&'a self, order: &'a LaunchOrder, _: &'a Launch) -> Option<BoxFuture<'a, Result<(), LaunchError>>> {
        // A rollout: where there are several replicas, some of them always run.
        Some(async move { self.launch(order, Some(Timestamp::now().to_string())).await.map(drop) }.boxed())
    }

    fn ended_within<'a>(&'a self, launches: &'a [Launch], time: Duration) -> BoxFuture<'a, Option<Ended>> {
        self.ended_within(launches, time).boxed()
    }

    fn find<'a>(
        &'a self,
        launches: &'a [(NodeId, LaunchId)],
    ) -> BoxFuture<'a, Result<HashMap<LaunchId, Instance>, ScanError>> {
        async move {
            let launches: Vec<LaunchId> = launches.iter().map(|(_, launch)| *launch).collect();
            // What a namespace that refuses has is left to those who look at it.
            let found = self.marked(&launches).await?.places;
            Ok(found.into_iter().map(|(launch, place)| (launch, Instance(place.to_string()))).collect())
        }
        .boxed()
    }

    fn observe<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Vec<Observed>> {
        async move { self.standings(launches).await.into_iter().map(Standing::observed).collect() }.boxed()
    }

    fn end<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Result<(), EndError>> {
        self.end(launches).boxed()
    }

    fn clear<'a>(&'a self, environment: &'a Environment) -> BoxFuture<'a, Result<(), ClearError>> {
        async move {
            if environment.adopted.is_some() {
                return Ok(());
            }
            Ok(self.remove(environment).await?)
        }
        .boxed()
    }

    fn exec<'a>(&'a self, node: NodeAt<'a>, command: &'a Command) -> BoxFuture<'a, Result<Output, NodeError>> {
        self.run(node, command).boxed()
    }

    fn logs<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<Vec<LogFile>, NodeError>> {
        self.log_files(node).boxed()
    }

    fn read_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>> {
        self.log(node, path, window).boxed()
    }

    fn read_file<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>> {
        self.file(node, path, most).boxed()
    }

    fn resize<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<(), NodeError>> {
        self.resize(node).boxed()
    }

    fn launches_over(&self) -> bool {
        true
    }

    fn discover(&self) -> BoxFuture<'_, Result<Discovery, ScanError>> {
        async move { Ok(self.discovered().await?) }.boxed()
    }

    fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.changes.subscribe()
    }
}
