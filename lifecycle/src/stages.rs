use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How a process ends: first it drains (takes nothing new, finishes what it took), and if that is too slow it aborts.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    drain: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
    names: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

/// Tasks that were still running when the patience ended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("still running: {}", .tasks.join(", "))]
pub struct Undrained {
    /// Their names.
    pub tasks: Vec<&'static str>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A process that runs.
    #[must_use]
    pub fn new() -> Self {
        Self {
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            names: Arc::default(),
        }
    }

    /// A part that can drain before the whole does. Its tasks are the whole's.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { drain: self.drain.child_token(), ..self.clone() }
    }

    /// Drains on the first SIGINT or SIGTERM, and aborts on the second.
    ///
    /// # Errors
    /// Where the signals cannot be listened to.
    pub fn install_signals(&self) -> io::Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let lifecycle = self.clone();
        // Not tracked: it waits for signals for as long as the process lives.
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            tracing::info!("draining; the same signal again stops at once");
            lifecycle.begin_drain();
            either(&mut interrupt, &mut terminate).await;
            tracing::warn!("stopping at once");
            lifecycle.abort();
        });
        Ok(())
    }

    /// Takes nothing new from now on.
    pub fn begin_drain(&self) {
        self.drain.cancel();
    }

    /// Ends at once, finished or not.
    pub fn abort(&self) {
        self.drain.cancel();
        self.abort.cancel();
    }

    /// Resolves when the drain begins.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.drain.clone().cancelled_owned()
    }

    /// Whether the drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves when everything is to end at once.
    pub fn aborted(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.abort.clone().cancelled_owned()
    }

    /// Starts a task that has a name in logs and is waited for at the end.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let running = Running::new(name, Arc::clone(&self.names));
        let task = async move {
            let _running = running;
            future.await
        };
        self.tasks.spawn(task.instrument(tracing::info_span!("task", task.name = name)))
    }

    /// Waits until every task has ended.
    ///
    /// # Errors
    /// Names those that had not when the grace was over, or when everything was to end at once.
    pub async fn drained(&self, grace: Duration) -> Result<(), Undrained> {
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => return Ok(()),
            () = tokio::time::sleep(grace) => {}
            () = self.aborted() => {}
        }
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        Err(Undrained { tasks: names.keys().copied().collect() })
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// Keeps a task's name in the list while the task is there.
struct Running {
    name: &'static str,
    names: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Running {
    fn new(name: &'static str, names: Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *names.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        Self { name, names }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = names.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                names.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn draining_waits_for_tasks_and_names_those_that_stay() {
        let lifecycle = Lifecycle::new();
        let (finish, finished) = oneshot::channel::<()>();
        let task = lifecycle.child().spawn("slow", async move { finished.await });
        lifecycle.begin_drain();
        lifecycle.draining().await;
        assert_eq!(lifecycle.drained(Duration::ZERO).await, Err(Undrained { tasks: vec!["slow"] }));
        finish.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(lifecycle.drained(Duration::from_secs(10)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_child_drains_alone_and_with_its_parent() {
        let parent = Lifecycle::new();
        let (first, second) = (parent.child(), parent.child());
        first.begin_drain();
        assert!(first.is_draining() && !second.is_draining() && !parent.is_draining());
        parent.begin_drain();
        assert!(second.is_draining());
    }

    #[tokio::test]
    async fn an_abort_ends_the_wait() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("endless", std::future::pending::<()>());
        lifecycle.abort();
        assert!(lifecycle.drained(Duration::from_secs(60)).await.is_err());
    }
}
