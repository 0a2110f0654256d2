use std::sync::Arc;
use std::time::Duration;

use access::AccountId;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::watch;

use super::{Described, Environments, Sight, Unseen, View, Watchers};
use crate::domain::{EnvName, Environment, Observed};
use crate::driver::Drivers;

/// How often there is a look in any case: not everything that changes is told by a driver or an operation of this process.
const EVERY: Duration = Duration::from_millis(500);
/// The pause after a look, so that what happens in quick succession is seen at once.
const PAUSE: Duration = Duration::from_millis(50);
/// How many accounts are looked at side by side.
const AT_ONCE: usize = 8;

impl<T: PartialEq + Send + Sync + 'static> Watchers<T> {
    /// Looks again and again, as long as somebody watches.
    pub(super) async fn observe(self) {
        let _observation = Observation(&self);
        let operations = &self.0.operations;
        let mut news: Vec<watch::Receiver<()>> = operations.drivers.all().map(|driver| driver.changes()).collect();
        news.push(operations.news.subscribe());
        while let Some((look, accounts)) = self.begin() {
            let looks: Vec<_> = accounts.into_iter().map(|account| self.look(account, look).boxed()).collect();
            let looks = stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>();
            tokio::select! {
                () = operations.lifecycle.draining() => return,
                () = looks => (),
            }
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                () = operations.lifecycle.draining() => return,
                () = self.0.wanted.notified() => (),
                () = Drivers::changed(&mut news) => (),
                () = tokio::time::sleep(EVERY.saturating_sub(PAUSE)) => (),
            }
        }
    }

    /// Begins a look; nothing where nobody watches any more.
    fn begin(&self) -> Option<(u64, Vec<AccountId>)> {
        let mut state = self.lock();
        if state.accounts.is_empty() {
            // Under the same lock: whoever comes now starts another observation.
            state.observed = false;
            return None;
        }
        state.looks += 1;
        Some((state.looks, state.accounts.keys().copied().collect()))
    }

    async fn look(&self, account: AccountId, look: u64) {
        let environments = self.environments(account).await;
        self.publish(account, look, environments);
    }

    async fn environments(&self, account: AccountId) -> Result<Environments<T>, Unseen> {
        let store = &self.0.operations.store;
        let unseen = |error| Unseen::Storage(Arc::new(error));
        let environments = store.list(account).await.map_err(unseen)?;
        let mut last = store.last_operations(account).await.map_err(unseen)?;
        let seen = self.0.operations.observe_all(&environments).await;
        let describe = |(environment, seen): (&Environment, Vec<Observed>)| {
            let sight = Sight { environment, seen: &seen, last: last.remove(&environment.id) };
            let described = Described { id: environment.id, description: (self.0.describe)(sight) };
            (environment.name.clone(), Arc::new(described))
        };
        Ok(environments.iter().zip(seen).map(describe).collect())
    }

    fn publish(&self, account: AccountId, look: u64, environments: Result<Environments<T>, Unseen>) {
        if let Err(error) = &environments {
            tracing::warn!(account.id = account.0, %error, "nobody sees how environments are");
        }
        let state = self.lock();
        let Some(watched) = state.accounts.get(&account) else { return };
        watched.view.send_modify(|view| {
            let environments = environments.map(|now| Arc::new(kept(now, view.environments.as_deref().ok())));
            *view = View { look, environments };
        });
    }
}

/// What is as it was stays the very same.
fn kept<T: PartialEq>(now: Environments<T>, before: Option<&Environments<T>>) -> Environments<T> {
    let Some(before) = before else { return now };
    let kept = |(name, described): (EnvName, Arc<Described<T>>)| {
        let same = before.get(&name).filter(|known| **known == described).map(Arc::clone);
        (name, same.unwrap_or(described))
    };
    now.into_iter().map(kept).collect()
}

/// An observation. However it ends, nobody goes on to wait for it.
struct Observation<'a, T>(&'a Watchers<T>);

impl<T> Drop for Observation<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.observed {
            state.observed = false;
            for watched in state.accounts.values() {
                watched.view.send_modify(|view| *view = View { look: u64::MAX, environments: Err(Unseen::Torn) });
            }
        }
    }
}
