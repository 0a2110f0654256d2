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
    /// Told anew after each commit.
    written: watch::Sender<()>,
    /// Whether everything is to end.
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpoints {
    /// Begins. It ends by itself when nobody has this any more.
    pub(crate) fn begin(connection: AnyConnection, statement: &'static str) -> Self {
        let ((written, news), (closing, end)) = (watch::channel(()), watch::channel(false));
        let task = tokio::spawn(keep(connection, statement, news, end));
        Self(Arc::new(Inside { written, closing, task: Mutex::new(Some(task)) }))
    }

    /// Something was committed.
    pub(crate) fn written(&self) {
        self.0.written.send_replace(());
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

async fn keep(
    mut connection: AnyConnection,
    statement: &'static str,
    mut news: watch::Receiver<()>,
    mut end: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            told = news.changed() => if told.is_err() { break },
            _ = end.wait_for(|closing| *closing) => break,
        }
        // What is not moved now is moved later: the log only grows meanwhile.
        if let Err(error) = connection.execute(statement).await {
            tracing::warn!(%error, "the database's log was not moved into its file");
        }
        if timeout(PACE, end.wait_for(|closing| *closing)).await.is_ok() {
            break;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a connection was not closed in order");
    }
}
