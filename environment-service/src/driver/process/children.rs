//! The processes that this very service has launched: their ends are awaited, collected and remembered.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cgroup::Group;
use tokio::sync::watch;

use super::hold::Hold;
use super::identity::Key;
use super::table::Table;
use crate::domain::LaunchId;

/// How a launch ended.
#[derive(Clone, Debug)]
pub(super) struct Exit {
    /// In words, to be read after the node's name.
    pub(super) reason: String,
    /// What was left of its session and its group.
    pub(super) left: HashSet<Key>,
}

/// A child.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Which process it is.
    pub(super) key: Key,
    exit: watch::Receiver<Option<Exit>>,
}

/// The launches whose processes are children of this one.
#[derive(Clone, Debug, Default)]
pub(super) struct Children(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    watched: Mutex<HashMap<LaunchId, Watched>>,
    /// Told anew at each end.
    changes: watch::Sender<()>,
}

impl Watched {
    /// How it has ended, if it has.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// Waits for its end. `None` where it is not watched any more, since this service ends.
    pub(super) async fn ended(mut self) -> Option<Exit> {
        self.exit.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl Children {
    /// Remembers a child. What is returned collects it when it ends, and has to be run.
    pub(super) fn add(
        &self,
        launch: LaunchId,
        child: Child,
        hold: Hold,
        group: Option<Group>,
    ) -> impl Future<Output = ()> + use<> {
        let (sender, exit) = watch::channel(None);
        self.lock().insert(launch, Watched { key: hold.key(), exit });
        let inside = Arc::clone(&self.0);
        async move {
            let mut exit = collect(child, hold).await;
            if group.is_some_and(|group| group.killed_for_memory() > 0) {
                exit.reason.push_str(", and was out of memory before: its cloudlets are the limit");
            }
            tracing::info!(launch.id = %launch, reason = exit.reason, "a node's process has ended");
            sender.send_replace(Some(exit));
            inside.changes.send_replace(());
        }
    }

    /// A launch's first process. `None` where it is no child of this one.
    pub(super) fn get(&self, launch: LaunchId) -> Option<Watched> {
        self.lock().get(&launch).cloned()
    }

    /// Forgets launches of which nothing is left.
    pub(super) fn forget(&self, launches: impl IntoIterator<Item = LaunchId>) {
        let mut children = self.lock();
        for launch in launches {
            children.remove(&launch);
        }
    }

    /// Tells whenever one has ended.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LaunchId, Watched>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a child's end and collects it. Until it is collected its id, and so its session's and its group's, is nobody
/// else's: what else is in them at that moment belongs to the launch, mark or not.
async fn collect(mut child: Child, hold: Hold) -> Exit {
    if let Err(error) = hold.ended().await {
        tracing::warn!(process.id = hold.key().pid, %error, "a process could not be watched any more");
    }
    let left = match Table::read_unmarked().await {
        Ok(table) => table.led_by(hold.key().pid).filter(|entry| !entry.over).map(|entry| entry.key).collect(),
        Err(_) => HashSet::new(),
    };
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    let reason = match status {
        Ok(Ok(status)) => describe(status),
        _ => "has ended; how is not known".to_owned(),
    };
    Exit { reason, left }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("has ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "has ended".to_owned(),
    }
}
