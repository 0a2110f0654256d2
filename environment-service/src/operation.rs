//! What is done to environments: one operation at a time on each, recorded before it begins and finished even if its caller
//! goes away or the service is torn away. A pure function plans, this acts.

mod adopt;
mod begin;
mod claim;
mod converge;
mod create;
mod delete;
mod departed;
mod exec;
mod recover;
mod redeploy;
mod restart;
mod shutdown;
mod start;
mod stop;
mod supervise;
mod update;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Lifecycle};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub(crate) use begin::BeginError;
pub(crate) use claim::Claims;
pub(crate) use converge::{BringDownError, BringUpError};
pub(crate) use create::CreateError;
pub(crate) use delete::DeleteError;
pub(crate) use exec::{Commands, ExecError};
pub use recover::RecoverError;
pub(crate) use redeploy::RedeployError;
pub(crate) use restart::RestartError;
pub(crate) use start::StartError;
pub(crate) use stop::StopError;
pub(crate) use update::{UpdateError, VariablesChange};

use crate::domain::{Desired, DriverKind, Environment, Launch, LaunchId, Node, Observed, Policies};
use crate::driver::{Driver, Drivers};
use crate::store::{Outcome, Store};

/// The first wait before a record that the database did not take is tried again; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a driver may take to say how nodes are before that is not known.
const OBSERVATION: Duration = Duration::from_secs(5);

/// Carries out operations.
#[derive(Clone)]
pub(crate) struct Operations(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) drivers: Drivers,
    pub(crate) policies: Policies,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    /// How long a node has to run before it counts as started.
    pub(crate) settle: Duration,
    /// What is worked on.
    pub(crate) claims: Claims,
    /// Of each driver when the last look at what was there before has begun; held by whoever looks.
    pub(crate) adopting: HashMap<DriverKind, tokio::sync::Mutex<Option<Duration>>>,
    /// The tasks that work on it.
    pub(crate) under_way: TaskTracker,
    /// Told anew when an operation begins, ends, or has changed what is recorded.
    pub(crate) news: watch::Sender<()>,
    /// The calls that run commands in nodes.
    pub(crate) commands: Commands,
    /// How many may watch one account's environments.
    pub(crate) watchers_per_account: usize,
}

impl std::ops::Deref for Operations {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Operations {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Carries something out to its end, whether or not anybody waits for it.
    async fn detached<F>(&self, name: &'static str, operation: F) -> Result<F::Output, JoinError>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.lifecycle.spawn(name, self.under_way.track_future(operation).in_current_span()).await
    }

    /// What is seen of an environment's nodes, in their order.
    pub(crate) async fn observe(&self, environment: &Environment) -> Vec<Observed> {
        self.observe_all(std::slice::from_ref(environment)).await.pop().unwrap_or_default()
    }

    /// The same of many environments: each driver is asked once.
    pub(crate) async fn observe_all(&self, environments: &[Environment]) -> Vec<Vec<Observed>> {
        let of_driver = async |driver: &Arc<dyn Driver>| {
            let of_it = environments.iter().filter(|environment| environment.driver == driver.kind());
            let launches: Vec<Launch> =
                of_it.flat_map(|found| &found.nodes).filter_map(|node| node.launch.clone()).collect();
            if launches.is_empty() {
                return Vec::new();
            }
            // Whoever does not answer in time leaves its nodes unknown, and holds up nobody.
            let observed = tokio::time::timeout(OBSERVATION, driver.observe(&launches)).await.unwrap_or_default();
            launches.into_iter().map(|launch| launch.id).zip(observed).collect()
        };
        let looks = futures::future::join_all(self.drivers.all().map(of_driver)).await;
        let seen: HashMap<LaunchId, Observed> = looks.into_iter().flatten().collect();
        let of = |environment: &Environment, node: &Node| match &node.launch {
            _ if self.drivers.of(environment).is_err() => Observed::Unknown,
            Some(launch) => seen.get(&launch.id).cloned().unwrap_or(Observed::Unknown),
            None => Observed::Absent,
        };
        environments.iter().map(|found| found.nodes.iter().map(|node| of(found, node)).collect()).collect()
    }

    /// Ends the recorded operation, and says what the environment is meant to be from now on.
    async fn finish(&self, environment: &Environment, desired: Desired, outcome: &Outcome) {
        let at = self.clock.now();
        let finish = || self.store.finish_operation(environment.id, desired, outcome, at);
        let finished = self.persist(environment, finish).await;
        if let Err(error) = finished {
            tracing::error!(environment.name = %environment.name, %error, "an operation's end was not recorded");
        }
        self.news.send_replace(());
    }
}

/// How something went, for the log of operations.
fn outcome<T, E: std::fmt::Display>(result: &Result<T, E>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
