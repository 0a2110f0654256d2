//! The machine's cores: what is measured has one of them to itself, and what measures has another.

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Numbers of cores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// For all processes that serve.
    pub(crate) servers: usize,
    /// For the one that calls them.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that this process may run on.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let allowed =
            sched_getaffinity(None).context("the kernel does not tell on which cores this process may run")?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let (servers, load) = (allowed.next(), allowed.next());
        ensure!(load.is_some(), "it takes two cores: one for the servers and one for the load");
        Ok(Self { servers: servers.unwrap_or_default(), load: load.unwrap_or_default() })
    }

    /// Does something on the core for load, on a thread of its own, without the costs of a runtime of several threads.
    pub(crate) async fn load<T, F>(self, work: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = anyhow::Result<T>>,
    {
        let (send, receive) = oneshot::channel();
        std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            let done = pin(self.load).and_then(|()| {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(work())
            });
            // Nobody waits any more only if the whole was interrupted.
            let _ = send.send(done);
        })?;
        receive.await.context("the load ended in a panic")?
    }
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("this thread may not be bound to core {core}"))
}
