//! Environments that were there before: drivers are asked again and again for what they discover.

use std::time::Duration;

use storage::StorageError;

use super::Operations;
use crate::domain::{DriverKind, EnvName};
use crate::driver::{Discovered, Driver, ScanError, label_of};
use crate::store::{Adoption, is_current};

/// How often drivers are asked.
const INTERVAL: Duration = Duration::from_secs(3);
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
        loop {
            self.adopt_all().await;
            tokio::select! {
                () = self.lifecycle.draining() => return,
                () = tokio::time::sleep(INTERVAL) => (),
            }
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

    async fn adopt(&self, driver: &dyn Driver) -> Result<(), AdoptError> {
        let kind = driver.kind();
        let found = driver.discover().await?;
        let recorded = self.store.adopted(kind).await?;
        for environment in &recorded {
            let key = environment.adopted.as_ref();
            match found.iter().find(|found| Some(&found.key) == key) {
                Some(found) if is_current(environment, found) => (),
                Some(found) => self.store.refresh(environment, found).await?,
                None => {
                    tracing::info!(environment.name = %environment.name, "an environment is not there any more");
                    self.store.disown(environment).await?;
                }
            }
        }
        let is_new = |found: &&Discovered| !recorded.iter().any(|known| known.adopted.as_ref() == Some(&found.key));
        for found in found.iter().filter(is_new).filter(|found| !found.nodes.is_empty()) {
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
fn names(text: &str) -> impl Iterator<Item = EnvName> {
    let base = label_of(text, "project");
    let numbered = (2..).map({
        let base = base.clone();
        move |number: u32| {
            let suffix = format!("-{number}");
            let kept: String = base.chars().take(32 - suffix.len()).collect();
            format!("{}{suffix}", kept.trim_end_matches('-'))
        }
    });
    std::iter::once(base).chain(numbered).filter_map(|name| name.parse().ok())
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
