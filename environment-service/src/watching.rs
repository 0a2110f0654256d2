//! Watching: accounts see how their environments change. One observation serves all who watch, and without them there is none.

mod observer;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::{AccountId, Confinement};
use storage::StorageError;
use tokio::sync::{Notify, watch};

use crate::domain::{EnvName, Environment, EnvironmentId, Observed};
use crate::operation::Operations;
use crate::store::LoggedOperation;
use told::Told;

/// All that is seen of an environment at once.
pub(crate) struct Sight<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) seen: &'a [Observed],
    pub(crate) last: Option<LoggedOperation>,
}

/// How a sight is described to who watches.
pub(crate) type Describe<T> = Box<dyn Fn(Sight<'_>) -> T + Send + Sync>;

/// Those who watch. Cheap to clone; every clone is the same.
pub(crate) struct Watchers<T>(Arc<Shared<T>>);

impl<T> Clone for Watchers<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<T> {
    operations: Operations,
    describe: Describe<T>,
    /// How many of one account there may be.
    most: usize,
    state: Mutex<State<T>>,
    /// Somebody waits for a look.
    wanted: Notify,
}

struct State<T> {
    accounts: HashMap<AccountId, Watched<T>>,
    /// The number of the last look that has begun.
    looks: u64,
    /// Whether the observer runs.
    observed: bool,
}

/// An account that somebody watches.
struct Watched<T> {
    watchers: usize,
    view: watch::Sender<View<T>>,
}

/// An account's environments at a look.
struct View<T> {
    look: u64,
    environments: Result<Arc<Environments<T>>, Unseen>,
}

type Environments<T> = BTreeMap<EnvName, Arc<Described<T>>>;

/// An environment, as it is described.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described<T> {
    pub(crate) id: EnvironmentId,
    pub(crate) description: T,
}

/// What has happened since a watcher was told last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<T> {
    /// All that there is, at first.
    Snapshot(Vec<Arc<Described<T>>>),
    /// An environment is another one than before, or new.
    Changed(Arc<Described<T>>),
    /// An environment is there no more.
    Removed(EnvName, EnvironmentId),
}

/// What there is cannot be seen.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unseen {
    #[error("the environments cannot be read")]
    Storage(#[source] Arc<StorageError>),
    #[error("the observation was torn off")]
    Torn,
}

/// As many watch an account's environments as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account's environments are watched {0} times already, which is as often as they may be")]
pub(crate) struct TooMany(usize);

impl<T: PartialEq + Send + Sync + 'static> Watchers<T> {
    /// Nobody yet; of one account there may be so many.
    pub(crate) fn new(operations: Operations, most: usize, describe: Describe<T>) -> Self {
        let state = State { accounts: HashMap::new(), looks: 0, observed: false };
        Self(Arc::new(Shared { operations, describe, most, state: Mutex::new(state), wanted: Notify::new() }))
    }

    /// One more, of what is in reach of an account's credential.
    pub(crate) fn watch(&self, account: AccountId, reach: Confinement) -> Result<Watcher<T>, TooMany> {
        let mut state = self.lock();
        let looks = state.looks;
        let empty = || Watched {
            watchers: 0,
            view: watch::Sender::new(View { look: looks, environments: Ok(Arc::default()) }),
        };
        let watched = state.accounts.entry(account).or_insert_with(empty);
        if watched.watchers >= self.0.most {
            return Err(TooMany(self.0.most));
        }
        watched.watchers += 1;
        let views = watched.view.subscribe();
        if !std::mem::replace(&mut state.observed, true) {
            drop(self.0.operations.lifecycle.spawn("environment.observation", self.clone().observe()));
        }
        drop(state);
        self.0.wanted.notify_one();
        Ok(Watcher { watchers: self.clone(), account, views, since: looks, told: Told::new(reach) })
    }
}

impl<T> Watchers<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who watches, until it is dropped.
pub(crate) struct Watcher<T> {
    watchers: Watchers<T>,
    account: AccountId,
    views: watch::Receiver<View<T>>,
    /// Only a look that began after the watcher was there shows all that it may count on.
    since: u64,
    told: Told<T>,
}

impl<T> Watcher<T> {
    /// What has happened since this was asked last: of each environment the latest, however much there was in between. Nothing is
    /// lost where the answer is not awaited.
    pub(crate) async fn next(&mut self) -> Result<Event<T>, Unseen> {
        loop {
            let now = {
                let view = self.views.borrow_and_update();
                if view.look > self.since { Some(view.environments.clone()?) } else { None }
            };
            if let Some(event) = now.and_then(|now| self.told.advance(&now)) {
                return Ok(event);
            }
            // The sender is there as long as the account is watched.
            self.views.changed().await.map_err(|_| Unseen::Torn)?;
        }
    }
}

impl<T> Drop for Watcher<T> {
    fn drop(&mut self) {
        let mut state = self.watchers.lock();
        let Some(watched) = state.accounts.get_mut(&self.account) else { return };
        watched.watchers -= 1;
        if watched.watchers == 0 {
            state.accounts.remove(&self.account);
        }
    }
}
