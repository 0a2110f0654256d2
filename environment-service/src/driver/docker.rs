//! Nodes as containers of a Docker engine: those that are made here, and those of Docker Compose projects that were there before.
//!
//! What is made here bears labels that say what it is of, and is found again by them. A node has at most one container, which stays
//! when the node is stopped and is started again with its files, unless something else is to be run then. A container of a Compose
//! project is started and stopped, and never made, changed or removed.
//!
//! A node gets nothing of the machine: no privileges, devices, mounts or networks of its, and never the engine's socket.

mod compose;
mod end;
mod engine;
mod events;
mod exec;
mod files;
mod image;
mod label;
mod launch;
mod observe;
mod settle;
mod template;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

pub use template::{ComposeProject, DockerTemplate};

use self::engine::Engine;
use self::label::Target;
use super::port::find_ports;
use super::{
    ClearError, Command, Discovery, Driver, EndError, Ended, LaunchError, LaunchOrder, LogFile, NodeAt, NodeError,
    Output, Restart, ScanError, TemplateError, Unfit, Window,
};
use crate::domain::{
    DriverKind, Environment, ImagePatterns, Instance, Launch, LaunchId, Node, NodeId, NodeType, Observed, Workload,
};

/// How containers are run.
#[derive(Clone, Debug)]
pub(crate) struct DockerSettings {
    /// Where the engine listens: `unix://` and a path.
    pub(crate) socket: String,
    /// How long a node may take to end before it is killed.
    pub(crate) stop_grace: Duration,
    /// The images that may be run.
    pub(crate) images: ImagePatterns,
    /// Whether nodes of these are launched again that have ended by themselves.
    pub(crate) restart: Restart,
    /// What else nodes can run.
    pub(crate) templates: Vec<DockerTemplate>,
    /// Whose which Compose projects are.
    pub(crate) compose: Vec<ComposeProject>,
}

/// Runs nodes as containers.
#[derive(Debug)]
pub(crate) struct DockerDriver {
    engine: Engine,
    stop_grace: Duration,
    images: ImagePatterns,
    restart: Restart,
    templates: HashMap<NodeType, DockerTemplate>,
    compose: Vec<ComposeProject>,
    /// The port that each image which was looked at listens on.
    exposed: Mutex<HashMap<String, Option<u16>>>,
    /// What was begun to be launched by this service: it is known even if the engine's answer was lost.
    attempts: Mutex<HashMap<LaunchId, Target>>,
    changes: watch::Sender<()>,
}

impl DockerDriver {
    /// A driver for an engine, which need not answer yet.
    ///
    /// # Errors
    /// Where a template is wrong.
    pub(crate) fn open(settings: DockerSettings, tasks: &lifecycle::Lifecycle) -> Result<Self, TemplateError> {
        let templates = settings.templates.into_iter().map(|template| Ok((template.validate()?, template)));
        let driver = Self {
            engine: Engine::new(settings.socket),
            stop_grace: settings.stop_grace,
            images: settings.images,
            restart: settings.restart,
            templates: templates.collect::<Result<_, TemplateError>>()?,
            compose: settings.compose,
            exposed: Mutex::default(),
            attempts: Mutex::default(),
            changes: watch::Sender::new(()),
        };
        let (engine, changes, draining) = (driver.engine.clone(), driver.changes.clone(), tasks.draining());
        tasks.spawn("docker.events", async move {
            tokio::select! {
                () = events::follow(&engine, &changes) => (),
                () = draining => (),
            }
        });
        Ok(driver)
    }

    fn exposed(&self) -> MutexGuard<'_, HashMap<String, Option<u16>>> {
        self.exposed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, HashMap<LaunchId, Target>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a launch is of.
    fn target(&self, launch: &Launch) -> Target {
        match &launch.instance {
            Some(instance) => Target::of_instance(instance),
            None => self.attempts().get(&launch.id).cloned().unwrap_or(Target::Mark(launch.id)),
        }
    }
}

impl Driver for DockerDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Docker
    }

    fn node_types(&self) -> Vec<&NodeType> {
        self.templates.keys().collect()
    }

    fn accepts(&self, workload: &Workload) -> Result<(), Unfit> {
        self.program(workload).map(drop)
    }

    fn ports(&self, nodes: &[(&Workload, Option<u16>)]) -> Result<Vec<Option<u16>>, (usize, LaunchError)> {
        find_ports(nodes, |workload| Ok(self.known_port(&self.program(workload)?).is_some()))
    }

    fn restarts(&self, node: &Node) -> bool {
        // Compose has the engine see to its own.
        node.adopted.is_none() && self.restart(&node.workload) == Restart::Always
    }

    fn prepare<'a>(&'a self, workload: &'a Workload) -> BoxFuture<'a, Result<(), LaunchError>> {
        async move { self.get_image(&self.program(workload)?).await.map(drop) }.boxed()
    }

    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> BoxFuture<'a, Result<Instance, LaunchError>> {
        self.launch(order).boxed()
    }

    fn ended_within<'a>(&'a self, launches: &'a [Launch], time: Duration) -> BoxFuture<'a, Option<Ended>> {
        self.ended_within(launches, time).boxed()
    }

    fn find<'a>(
        &'a self,
        launches: &'a [(NodeId, LaunchId)],
    ) -> BoxFuture<'a, Result<HashMap<LaunchId, Instance>, ScanError>> {
        self.find(launches).boxed()
    }

    fn observe<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Vec<Observed>> {
        self.observe(launches).boxed()
    }

    fn end<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Result<(), EndError>> {
        self.end(launches).boxed()
    }

    fn clear<'a>(&'a self, environment: &'a Environment) -> BoxFuture<'a, Result<(), ClearError>> {
        self.clear(environment).boxed()
    }

    fn exec<'a>(&'a self, node: NodeAt<'a>, command: &'a Command) -> BoxFuture<'a, Result<Output, NodeError>> {
        self.exec(node, command).boxed()
    }

    fn logs<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<Vec<LogFile>, NodeError>> {
        self.logs(node).boxed()
    }

    fn read_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>> {
        self.read_log(node, path, window).boxed()
    }

    fn read_file<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>> {
        self.read_file(node, path, most).boxed()
    }

    fn resize<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<(), NodeError>> {
        self.resize(node).boxed()
    }

    fn discover(&self) -> BoxFuture<'_, Result<Discovery, ScanError>> {
        self.discover().boxed()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}
