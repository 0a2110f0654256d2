use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

type Counts = Arc<watch::Sender<BTreeMap<&'static str, usize>>>;

/// How many tasks of each name run, in a part and in each whole that it belongs to (the part comes first).
#[derive(Clone, Debug)]
pub(crate) struct Tasks(Arc<[Counts]>);

impl Tasks {
    pub(crate) fn root() -> Self {
        Self(Arc::new([Counts::default()]))
    }

    pub(crate) fn child(&self) -> Self {
        Self(std::iter::once(Counts::default()).chain(self.0.iter().cloned()).collect())
    }

    /// Counts a task until what is returned is dropped.
    pub(crate) fn begin(&self, name: &'static str) -> Running {
        for counts in self.0.iter() {
            counts.send_modify(|counts| *counts.entry(name).or_default() += 1);
        }
        Running { name, tasks: self.clone() }
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0[0].borrow().keys().copied().collect()
    }

    pub(crate) async fn none(&self) {
        let mut counts = self.0[0].subscribe();
        counts.wait_for(BTreeMap::is_empty).await.expect("the sender is ours");
    }
}

#[derive(Debug)]
pub(crate) struct Running {
    name: &'static str,
    tasks: Tasks,
}

impl Drop for Running {
    fn drop(&mut self) {
        for counts in self.tasks.0.iter() {
            counts.send_modify(|counts| {
                if let Some(count) = counts.get_mut(self.name) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(self.name);
                    }
                }
            });
        }
    }
}
