use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{AnyConnection, Connection, Executor};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the log grows at least before it is moved into the file again.
const PACE: Duration = Duration::from_secs(1);

/// Moves a log of what was committed into the database's file, beside the transactions and on a connection of its own. Within
/// a commit, as SQLite does it by itself, it makes one in a hundred take ten times as long as the others.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    /// Told anew after each commit. Whether everything is to end.
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpoints {
    /// Begins. It ends by itself when nobody has this any more.
    pub(crate) fn begin(connection: AnyConnection, statement: &'static str) -> Self {
        let (closing, told) = watch::channel(false);
        let task = tokio::spawn(keep(connection, statement, told));
        Self(Arc::new(Inside { closing, task: Mutex::new(Some(task)) }))
    }

    /// Something was committed.
    pub(crate) fn written(&self) {
        self.0.closing.send_modify(|_| {});
    }

    /// Ends, and waits until the connection is closed.
    pub(crate) async fn end(&self) {
        self.0.closing.send_replace(true);
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "the database's log was not looked after to the end");
        }
    }
}

async fn keep(mut connection: AnyConnection, statement: &'static str, mut told: watch::Receiver<bool>) {
    while told.changed().await.is_ok() && !*told.borrow_and_update() {
        // What is not moved now is moved later: the log only grows meanwhile.
        if let Err(error) = connection.execute(statement).await {
            tracing::warn!(%error, "the database's log was not moved into its file");
        }
        if timeout(PACE, told.wait_for(|closing| *closing)).await.is_ok() {
            break;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a connection was not closed in order");
    }
}
