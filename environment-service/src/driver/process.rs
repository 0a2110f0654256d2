//! Nodes as processes of this machine, each the leader of a session of its own, which has no terminal.
//!
//! A node runs as the service's own user: what the operator's templates run is trusted, and only kept apart, not locked up.
//! A process is known by its id, its start and the boot, never by its id alone, and by a mark among its variables, which
//! what it starts inherits. What clears its variables and leaves the session is known only by its control group, where the machine
//! lets this service make such.

mod bounds;
mod children;
mod end;
mod exec;
mod files;
mod hold;
mod identity;
mod launch;
mod rotate;
mod table;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, pending, select_all};
use tokio::sync::watch;
use uuid::Uuid;

pub use template::Template;

use self::bounds::Bounds;
pub(crate) use self::bounds::{Bounding, BoundingSettings};
use self::children::Children;
use self::end::Target;
use self::hold::Hold;
use self::identity::{Fate, Identity};
pub(crate) use self::rotate::LogLimits;
use self::table::Table;
use super::port::find_ports;
use super::{
    ClearError, Command, Discovery, Driver, EndError, Ended, LaunchError, LaunchOrder, LogFile, NodeAt, NodeError,
    Output, Restart, ScanError, TemplateError, Unfit, Window,
};
use crate::domain::{DriverKind, Environment, Instance, Launch, LaunchId, Node, NodeId, NodeType, Observed, Workload};

/// The variable that marks the processes of one launch.
const MARK: &str = "PORTCULLIS_INSTANCE";

/// How long the data folder may still be held: a child of a service that was killed holds it until it runs its own program.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// How nodes are run.
#[derive(Clone, Debug)]
pub(crate) struct ProcessSettings {
    /// The folder for the nodes' own folders. One service at a time uses it.
    pub(crate) data_dir: PathBuf,
    /// How long a node may take to end before it is killed.
    pub(crate) stop_grace: Duration,
    /// What nodes can run.
    pub(crate) templates: Vec<Template>,
    /// How long logs become.
    pub(crate) log: LogLimits,
    /// The programs that may be run in nodes.
    pub(crate) exec: Vec<String>,
    /// Whether nodes are held to their cloudlets.
    pub(crate) bounding: BoundingSettings,
}

/// Runs nodes as processes of this machine.
#[derive(Debug)]
pub(crate) struct ProcessDriver {
    templates: HashMap<NodeType, Template>,
    environments: PathBuf,
    stop_grace: Duration,
    boot: Uuid,
    children: Children,
    bounds: Bounds,
    tasks: lifecycle::Lifecycle,
    /// The programs that may be run in nodes: none by default.
    exec: Vec<String>,
    /// Held as long as the driver lives, so that no second one runs the same nodes.
    _lock: File,
}

/// Why processes can't be run here.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be used.
    #[error("the folder {0} cannot be used")]
    Folder(PathBuf, #[source] io::Error),
    /// Another service uses the folder.
    #[error("the folder {0} is in use by another environment-service")]
    InUse(PathBuf),
    /// `/proc` does not say which boot this is.
    #[error("the boot's id cannot be read")]
    Boot(#[source] procfs::ProcError),
    /// The boot's id is none.
    #[error("the boot's id is malformed")]
    MalformedBoot(#[source] uuid::Error),
    /// Nodes are to be held to their cloudlets, and it is not known how.
    #[error("nodes cannot be held to their cloudlets, as `node_limits.enforce` requires")]
    Bounds(#[source] cgroup::ReadError),
    /// Nodes are to be held to their cloudlets, and cannot be.
    #[error("nodes cannot be held to their cloudlets, as `node_limits.enforce` requires ({0})")]
    Unbounded(String),
    /// A template is wrong.
    #[error("a template is wrong")]
    Template(#[source] TemplateError),
}

impl ProcessDriver {
    /// Takes the data folder into use.
    ///
    /// # Errors
    /// Where another service uses it, or it can't be used at all.
    pub(crate) async fn open(settings: ProcessSettings, tasks: lifecycle::Lifecycle) -> Result<Self, OpenError> {
        let folder_error = |error| OpenError::Folder(settings.data_dir.clone(), error);
        let data_dir = std::path::absolute(&settings.data_dir).map_err(folder_error)?;
        launch::private_folder(&data_dir).map_err(folder_error)?;
        let lock = File::create(data_dir.join("lock")).map_err(folder_error)?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        while let Err(error) = lock.try_lock() {
            match error {
                TryLockError::WouldBlock if Instant::now() < deadline => tokio::time::sleep(LOCK_RETRY).await,
                TryLockError::WouldBlock => return Err(OpenError::InUse(data_dir)),
                TryLockError::Error(error) => return Err(folder_error(error)),
            }
        }
        let boot = procfs::sys::kernel::random::boot_id().map_err(OpenError::Boot)?;
        let boot = Uuid::try_parse(boot.trim()).map_err(OpenError::MalformedBoot)?;
        let templates: Result<_, TemplateError> =
            settings.templates.into_iter().map(|template| Ok((template.validate()?, template))).collect();
        let bounds = Bounds::open(&settings.bounding, &data_dir)?;
        // Files that were open before this program began may lack the flag that keeps them from nodes.
        close_fds::CloseFdsBuilder::new().threadsafe(true).cloexecfrom(3);
        let environments = data_dir.join("environments");
        tasks.spawn("node.logs", rotate::keep(environments.clone(), settings.log, tasks.clone()));
        Ok(Self {
            templates: templates.map_err(OpenError::Template)?,
            environments,
            stop_grace: settings.stop_grace,
            boot,
            children: Children::default(),
            bounds,
            tasks,
            exec: settings.exec,
            _lock: lock,
        })
    }

    fn template(&self, node_type: &NodeType) -> Result<&Template, LaunchError> {
        self.templates.get(node_type).ok_or_else(|| LaunchError::UnknownNodeType(node_type.clone()))
    }

    fn folder(&self, order: &LaunchOrder) -> PathBuf {
        self.environments.join(order.environment.as_str()).join(order.node.to_string())
    }

    fn node_folder(&self, node: NodeAt<'_>) -> PathBuf {
        self.environments.join(node.environment.name.as_str()).join(node.node.id.to_string())
    }

    /// Which process a launch began with.
    fn identity(&self, launch: &Launch) -> Option<Identity> {
        if let Some(child) = self.children.get(launch.id) {
            return Some(Identity { key: child.key, boot: self.boot });
        }
        let identity = launch.instance.as_ref()?.0.parse();
        identity.inspect_err(|error| tracing::error!(launch.id = %launch.id, %error, "a record is malformed")).ok()
    }

    fn observe(&self, launch: &Launch) -> Observed {
        let reason = match self.identity(launch).map(|identity| (identity.key, identity.fate(self.boot))) {
            Some((key, Fate::Alive)) => return Observed::Alive { number: i64::from(key.pid) },
            Some((_, Fate::OtherBoot)) => Some("has ended with the machine's restart".to_owned()),
            Some((_, Fate::Unseen)) => return Observed::Unknown,
            Some((_, Fate::Gone)) | None => {
                self.children.get(launch.id).and_then(|child| child.exit()).map(|exit| exit.reason)
            }
        };
        Observed::Dead { reason }
    }

    /// Waits for the end of a launch's first process; forever where there is none to wait for.
    async fn ended(&self, launch: &Launch) -> Ended {
        let ended = |reason: &str| Ended { launch: launch.id, reason: reason.to_owned() };
        if let Some(child) = self.children.get(launch.id)
            && let Some(exit) = child.ended().await
        {
            return ended(&exit.reason);
        }
        let Some(identity) = self.identity(launch) else { return pending().await };
        match Hold::take(identity.key) {
            Ok(Some(hold)) if identity.boot == self.boot => {
                drop(hold.ended().await);
                ended("has ended")
            }
            Ok(_) => ended("has ended"),
            Err(_) => pending().await,
        }
    }

    async fn end(&self, launches: &[Launch]) -> Result<(), EndError> {
        let target = |launch: &Launch| {
            let leader = self.identity(launch).filter(|identity| identity.boot == self.boot);
            let exit = self.children.get(launch.id).and_then(|child| child.exit());
            let left = exit.map(|exit| exit.left).unwrap_or_default();
            Target::new(launch.id, leader.map(|leader| leader.key), left).in_group(self.bounds.of(launch.id))
        };
        end::end(launches.iter().map(target).collect(), self.stop_grace).await?;
        for launch in launches {
            // It has ended; once it is collected too, there is no trace of it in the table of processes.
            if let Some(child) = self.children.get(launch.id) {
                child.ended().await;
            }
            if let Some(group) = self.bounds.of(launch.id) {
                bounds::remove(group).await?;
            }
        }
        self.children.forget(launches.iter().map(|launch| launch.id));
        Ok(())
    }

    /// Ends what runs in groups of ours that belong to no launch that is recorded.
    async fn end_others(&self, recorded: &HashSet<LaunchId>) -> Result<(), EndError> {
        let others = self.bounds.others(recorded);
        for launch in &others {
            tracing::warn!(launch.id = %launch, "a control group of no launch that is recorded is emptied and removed");
        }
        let others: Vec<Launch> = others.into_iter().map(|id| Launch { id, instance: None }).collect();
        self.end(&others).await
    }

    async fn find(&self, launches: &[(NodeId, LaunchId)]) -> Result<HashMap<LaunchId, Instance>, ScanError> {
        if launches.is_empty() {
            return Ok(HashMap::new());
        }
        let table = Table::read().await?;
        let first = |launch: &LaunchId| {
            // What it started itself may lead a group too, but later.
            let leaders = table.marked(*launch).filter(|entry| entry.key.pid == entry.group && !entry.over);
            let leader = leaders.min_by_key(|entry| (entry.key.started, entry.key.pid))?;
            Some((*launch, Instance(Identity { key: leader.key, boot: self.boot }.to_string())))
        };
        Ok(launches.iter().filter_map(|(_, launch)| first(launch)).collect())
    }
}

impl Driver for ProcessDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Process
    }

    fn accepts(&self, workload: &Workload) -> Result<(), Unfit> {
        if workload.image.is_some() {
            return Err(Unfit("must be a template's name: images are not run here".to_owned()));
        }
        self.template(&workload.node_type).map(drop).map_err(|error| Unfit(error.to_string()))
    }

    fn accepts_variables(&self, workload: &Workload) -> Result<(), Unfit> {
        match self.template(&workload.node_type) {
            Ok(template) => template.accepts(&workload.variables),
            Err(error) => Err(Unfit(error.to_string())),
        }
    }

    fn node_types(&self) -> Vec<&NodeType> {
        self.templates.keys().collect()
    }

    fn answered_type(&self, template: &NodeType) -> Option<NodeType> {
        self.templates.get(template)?.answered_type().ok()?
    }

    fn ports(&self, nodes: &[(&Workload, Option<u16>)]) -> Result<Vec<Option<u16>>, (usize, LaunchError)> {
        find_ports(nodes, |workload| self.template(&workload.node_type).map(|template| template.port))
    }

    fn prepare<'a>(&'a self, workload: &'a Workload) -> BoxFuture<'a, Result<(), LaunchError>> {
        async move { self.template(&workload.node_type).map(drop) }.boxed()
    }

    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> BoxFuture<'a, Result<Instance, LaunchError>> {
        self.launch(order).boxed()
    }

    fn ended_within<'a>(&'a self, launches: &'a [Launch], time: Duration) -> BoxFuture<'a, Option<Ended>> {
        async move {
            if launches.is_empty() {
                return None;
            }
            let first = select_all(launches.iter().map(|launch| self.ended(launch).boxed()));
            let (ended, ..) = tokio::time::timeout(time, first).await.ok()?;
            Some(ended)
        }
        .boxed()
    }

    fn end_others<'a>(&'a self, recorded: &'a HashSet<LaunchId>) -> BoxFuture<'a, Result<(), EndError>> {
        self.end_others(recorded).boxed()
    }

    fn find<'a>(
        &'a self,
        launches: &'a [(NodeId, LaunchId)],
    ) -> BoxFuture<'a, Result<HashMap<LaunchId, Instance>, ScanError>> {
        self.find(launches).boxed()
    }

    fn observe<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Vec<Observed>> {
        // A few reads of `/proc`, which are answered from memory.
        async move { launches.iter().map(|launch| self.observe(launch)).collect() }.boxed()
    }

    fn end<'a>(&'a self, launches: &'a [Launch]) -> BoxFuture<'a, Result<(), EndError>> {
        self.end(launches).boxed()
    }

    fn clear<'a>(&'a self, environment: &'a Environment) -> BoxFuture<'a, Result<(), ClearError>> {
        async move {
            let folder = self.environments.join(environment.name.as_str());
            let removed = match tokio::fs::remove_dir_all(&folder).await {
                // A node may have taken itself a permission.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    files::remove_unwritable(&folder).await
                }
                removed => removed,
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClearError::Folder(folder, error)),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn exec<'a>(&'a self, node: NodeAt<'a>, command: &'a Command) -> BoxFuture<'a, Result<Output, NodeError>> {
        self.exec(node, command).boxed()
    }

    fn logs<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<Vec<LogFile>, NodeError>> {
        async move { files::logs(&self.node_folder(node)) }.boxed()
    }

    fn read_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>> {
        async move { files::read_log(&self.node_folder(node), path, window) }.boxed()
    }

    fn read_file<'a>(
        &'a self,
        node: NodeAt<'a>,
        path: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, NodeError>> {
        async move { files::read_whole(&self.node_folder(node), path, most) }.boxed()
    }

    fn resize<'a>(&'a self, node: NodeAt<'a>) -> BoxFuture<'a, Result<(), NodeError>> {
        let resized = node.node.launch.as_ref().map_or(Ok(()), |it| self.bounds.resize(it.id, node.node.cloudlets));
        let resized = resized.map_err(|error| match error {
            cgroup::LimitError::InUse => NodeError::InUse,
            error => NodeError::Failed(error.into()),
        });
        async move { resized }.boxed()
    }

    fn discover(&self) -> BoxFuture<'_, Result<Discovery, ScanError>> {
        async move { Ok(Discovery::default()) }.boxed()
    }

    fn restarts(&self, node: &Node) -> bool {
        self.templates.get(&node.workload.node_type).is_some_and(|template| template.restart == Restart::Always)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.children.changes()
    }
}
