use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::tasks::Tasks;

/// How a process ends: first it drains (takes nothing new, finishes what it took), and if that is too slow it aborts.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    drain: CancellationToken,
    abort: CancellationToken,
    tasks: Tasks,
}

/// Tasks that were still running when the patience ended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("still running: {}", .tasks.join(", "))]
pub struct Undrained {
    /// Their names, each once.
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
        Self { drain: CancellationToken::new(), abort: CancellationToken::new(), tasks: Tasks::root() }
    }

    /// A part that can drain, abort and be waited for before the whole is. It also ends when the whole does, and its
    /// tasks are the whole's.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { drain: self.drain.child_token(), abort: self.abort.child_token(), tasks: self.tasks.child() }
    }

    /// Drains on the first SIGINT or SIGTERM; one that comes during the drain aborts.
    ///
    /// # Errors
    /// Where the signals cannot be listened to.
    pub fn install_signals(&self) -> io::Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let lifecycle = self.clone();
        // Not tracked: it waits for signals for as long as the process lives.
        tokio::spawn(async move {
            loop {
                either(&mut interrupt, &mut terminate).await;
                if lifecycle.is_draining() {
                    tracing::warn!("stopping at once");
                    return lifecycle.abort();
                }
                tracing::info!("draining; another signal stops at once");
                lifecycle.begin_drain();
            }
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
        let running = self.tasks.begin(name);
        let task = async move {
            let output = future.await;
            drop(running);
            output
        };
        tokio::spawn(task.instrument(tracing::debug_span!("task", task.name = name)))
    }

    /// Waits until no task runs, of this part and of those made from it.
    ///
    /// # Errors
    /// Names those that still run when the grace is over, or when everything is to end at once.
    pub async fn drained(&self, grace: Duration) -> Result<(), Undrained> {
        tokio::select! {
            biased;
            () = self.tasks.none() => return Ok(()),
            () = self.aborted() => {}
            () = tokio::time::sleep(grace) => {}
        }
        Err(Undrained { tasks: self.tasks.names() })
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn still(names: &[&'static str]) -> Result<(), Undrained> {
        Err(Undrained { tasks: names.to_vec() })
    }

    #[tokio::test]
    async fn draining_waits_for_tasks_and_names_those_that_stay() {
        let lifecycle = Lifecycle::new();
        let (finish, finished) = oneshot::channel::<()>();
        let task = lifecycle.child().spawn("slow", finished);
        lifecycle.begin_drain();
        lifecycle.draining().await;
        assert_eq!(lifecycle.drained(Duration::ZERO).await, still(&["slow"]));
        finish.send(()).unwrap();
        assert_eq!(lifecycle.drained(LONG).await, Ok(()));
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_part_drains_alone_and_with_the_whole() {
        let whole = Lifecycle::new();
        let (first, second) = (whole.child(), whole.child());
        let (first_task, second_task) =
            (first.spawn("first", first.draining()), second.spawn("second", second.draining()));
        first.begin_drain();
        assert_eq!(first.drained(LONG).await, Ok(()));
        assert!(!second.is_draining() && !whole.is_draining());
        assert_eq!(whole.drained(Duration::ZERO).await, still(&["second"]));
        whole.begin_drain();
        assert!(second.is_draining());
        assert_eq!(whole.drained(LONG).await, Ok(()));
        first_task.await.unwrap();
        second_task.await.unwrap();
    }

    #[tokio::test]
    async fn an_abort_ends_the_wait_and_reaches_the_parts() {
        let whole = Lifecycle::new();
        let part = whole.child();
        part.spawn("endless", pending::<()>());
        part.abort();
        assert_eq!(part.drained(LONG).await, still(&["endless"]));
        assert!(!whole.is_draining(), "a part does not end the whole");
        let other = whole.child();
        whole.abort();
        other.aborted().await;
        assert_eq!(whole.drained(LONG).await, still(&["endless"]));
    }

    #[tokio::test]
    async fn a_task_that_panics_or_is_cancelled_is_over() {
        let lifecycle = Lifecycle::new();
        let failing = lifecycle.spawn("failing", async { panic!("expected by this test") });
        lifecycle.spawn("endless", pending::<()>()).abort();
        assert_eq!(lifecycle.drained(LONG).await, Ok(()));
        assert!(failing.await.unwrap_err().is_panic());
    }
}
