//! Environments that were there before: drivers are asked again and again for what they discover, and whenever they tell
//! of a change.

use std::time::Duration;

use storage::StorageError;
use tokio::sync::watch;

use super::Operations;
use crate::domain::{DriverKind, EnvName, Environment, labels_near};
use crate::driver::{Discovered, Discovery, Driver, Drivers, ScanError};
use crate::store::{Adoption, is_current};

/// How often drivers are asked where they tell of no change, and how often at most.
const INTERVAL: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(250);
/// How long an operation waits for a look at what was there before.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many names are tried for an environment whose own is taken.
const MOST_NAMES: usize = 1000;

/// Why what was discovered is not recorded.
#[derive(Debug, thiserror::Error)]
enum AdoptError {
    #[error("it cannot be discovered")]
    Scan(#[from] ScanError),
    #[error("the database did not keep it")]
    Storage(#[from] StorageError),
}

impl Operations {
    /// Keeps what is recorded as it is discovered, until the service drains.
    pub(crate) async fn keep_adopting(self) {
        let mut changes: Vec<watch::Receiver<()>> = self.drivers.all().map(|driver| driver.changes()).collect();
        let keep = async {
            loop {
                self.adopt_all().await;
                // The time alone counts where a driver tells nothing.
                let _ = tokio::time::timeout(INTERVAL, Drivers::changed(&mut changes)).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = self.lifecycle.draining() => (),
            () = keep => (),
        }
    }

    /// Asks each driver once. One that does not answer changes nothing.
    pub(crate) async fn adopt_all(&self) {
        for driver in self.drivers.all() {
            let kind = driver.kind();
            if let Err(error) = self.adopt(driver.as_ref()).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(driver = kind.as_str(), error, "what was there before is not looked at");
            }
        }
    }

    /// Looks at what was there before right before something is done to it: others may have started or stopped some of it.
    pub(super) async fn look_again(&self, environment: &Environment) {
        let Ok(driver) = self.drivers.of(environment) else { return };
        let asked = self.clock.monotonic();
        let looked = tokio::time::timeout(PATIENCE, self.adopt_since(driver.as_ref(), asked)).await;
        // What is wrong the operation finds out by itself.
        if let Ok(Err(error)) = looked {
            tracing::debug!(error = &error as &dyn std::error::Error, "what was there before is not looked at");
        }
    }

    async fn adopt(&self, driver: &dyn Driver) -> Result<(), AdoptError> {
        self.adopt_since(driver, self.clock.monotonic()).await
    }

    /// One look at a time at each driver; one that has begun since then is good enough for all who wait.
    async fn adopt_since(&self, driver: &dyn Driver, asked: Duration) -> Result<(), AdoptError> {
        let kind = driver.kind();
        let Some(last) = self.adopting.get(&kind) else { return Ok(()) };
        let mut last = last.lock().await;
        if last.is_some_and(|begun| begun >= asked) {
            return Ok(());
        }
        let begun = self.clock.monotonic();
        self.adopt_now(driver).await?;
        *last = Some(begun);
        Ok(())
    }

    async fn adopt_now(&self, driver: &dyn Driver) -> Result<(), AdoptError> {
        let kind = driver.kind();
        // Read first: what an operation does between the two is not taken back by what was discovered before it.
        let recorded = self.store.adopted(kind).await?;
        let Discovery { mut found, unseen } = driver.discover().await?;
        // What belongs to an account that is gone is nobody's here, and left as it is; what has no nodes left is none.
        let departed = self.store.departed().await?;
        found.retain(|found| !found.nodes.is_empty() && !departed.contains(&found.account));
        for environment in recorded.iter().filter(|environment| environment.operation.is_none()) {
            let key = environment.adopted.as_ref();
            match found.iter().find(|found| Some(&found.key) == key) {
                Some(found) if is_current(environment, found) => (),
                Some(found) => self.store.refresh(environment, found).await?,
                None if key.is_some_and(|key| unseen.contains(key)) => (),
                None => {
                    tracing::info!(environment.name = %environment.name, "an environment is not there any more");
                    self.store.disown(environment).await?;
                }
            }
        }
        let is_new = |found: &&Discovered| !recorded.iter().any(|known| known.adopted.as_ref() == Some(&found.key));
        for found in found.iter().filter(is_new) {
            self.record_adopted(kind, found).await?;
        }
        Ok(())
    }

    async fn record_adopted(&self, kind: DriverKind, found: &Discovered) -> Result<(), AdoptError> {
        for name in names(&found.name).take(MOST_NAMES) {
            if self.store.adopt(kind, found, &name, self.clock.now()).await? == Adoption::Done {
                tracing::info!(environment.name = %name, driver = kind.as_str(), "an environment that was there is adopted");
                return Ok(());
            }
        }
        tracing::error!(driver = kind.as_str(), name = found.name, "no name is free for what was discovered");
        Ok(())
    }
}

/// The name, made one, and then with numbers.
fn names(text: &str) -> impl Iterator<Item = EnvName> + use<> {
    labels_near(text, "project").filter_map(|name| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_projects_or_as_near_as_can_be() {
        let first = |text: &str| names(text).take(2).map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(first("shop"), ["shop", "shop-2"]);
        assert_eq!(first("My_Shop"), ["my-shop", "my-shop-2"]);
        assert_eq!(first("7"), ["project-7", "project-7-2"]);
        assert_eq!(first(&"a".repeat(40)), ["a".repeat(32), format!("{}-2", "a".repeat(30))]);
    }
}
