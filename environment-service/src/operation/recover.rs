//! What the service does when it starts: it finds again what it launched, and finishes what was torn off.

use std::sync::Arc;
use std::time::Duration;

use storage::StorageError;

use super::Operations;
use crate::domain::{DriverKind, Environment, Instance, LaunchId, NodeId, Operation};
use crate::driver::{Driver, ScanError};

/// How long it takes until a driver that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why what was torn off cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The database does not say what there is.
    #[error("the database cannot be read")]
    Storage(#[from] StorageError),
    /// The machine cannot be searched.
    #[error("the machine cannot be searched for what was launched")]
    Scan(#[from] ScanError),
}

impl Operations {
    /// Takes up the operations that were torn off, and finds what else was launched and not recorded. The operations go on by
    /// themselves; until they end, their environments are locked by them as ever.
    pub(crate) async fn recover(&self) -> Result<(), RecoverError> {
        for driver in self.drivers.all() {
            // Before anything is launched: all that is meant to run is recorded now.
            if let Err(error) = driver.end_others(&self.store.launches().await?).await {
                tracing::error!(driver = driver.kind().as_str(), %error, "not all that nobody asks for any more has ended");
            }
        }
        for environment in self.store.unfinished().await? {
            let Some(operation) = environment.operation.filter(|_| self.drivers.of(&environment).is_ok()) else {
                continue;
            };
            if let Ok(claim) = self.claims.claim(environment.id, operation) {
                self.take_up(environment, operation, claim);
            }
        }
        for driver in self.drivers.all() {
            match self.find_unrecorded(driver.as_ref()).await {
                Err(RecoverError::Scan(error @ ScanError::Unreachable(..))) => {
                    self.find_unrecorded_later(driver.clone(), &error);
                }
                found => found?,
            }
        }
        Ok(())
    }

    /// Finds what was launched of environments that are at rest, and not recorded.
    async fn find_unrecorded(&self, driver: &dyn Driver) -> Result<(), RecoverError> {
        let unrecorded = self.store.unrecorded().await?.into_iter();
        // Whoever works on an environment sees to its launches.
        let left = unrecorded.filter(|(kind, id, ..)| *kind == driver.kind() && self.claims.operation(*id).is_none());
        let launches: Vec<_> = left.map(|(_, _, node, launch)| (node, launch)).collect();
        if launches.is_empty() {
            return Ok(());
        }
        for (launch, instance) in driver.find(&launches).await? {
            self.record_found(launch, &instance).await?;
        }
        Ok(())
    }

    /// Whoever runs nodes does not answer: that is no reason not to serve the others.
    fn find_unrecorded_later(&self, driver: Arc<dyn Driver>, error: &ScanError) {
        let kind = driver.kind();
        tracing::warn!(driver = kind.as_str(), %error, "what was launched before is looked for later");
        let operations = self.clone();
        let later = async move {
            while operations.waited().await {
                match operations.find_unrecorded(driver.as_ref()).await {
                    Err(RecoverError::Scan(ScanError::Unreachable(..))) => (),
                    Err(error) => {
                        tracing::error!(driver = kind.as_str(), %error, "what was launched before is not found");
                    }
                    Ok(()) => return,
                }
            }
        };
        drop(self.lifecycle.spawn("environment.recover", later));
    }

    /// An environment whose operation was torn off, with all that was launched of it recorded. Waits for whoever runs its nodes: it
    /// must not fail because the engine was started after this service. `None` where the service ends first, and where there is
    /// nothing to take up any more.
    pub(super) async fn found_again(&self, torn: &Environment, operation: Operation) -> Option<Environment> {
        let launched = torn.nodes.iter().filter_map(|node| Some((node.id, node.launch.as_ref()?)));
        let unrecorded = launched.filter(|(_, launch)| launch.instance.is_none());
        let launches: Vec<(NodeId, LaunchId)> = unrecorded.map(|(node, launch)| (node, launch.id)).collect();
        if let Ok(driver) = self.drivers.of(torn) {
            for (launch, instance) in self.find_patiently(driver.as_ref(), &launches).await? {
                let recorded = self.persist(torn, || self.record_found(launch, &instance)).await;
                recorded.inspect_err(|error| not_taken_up(torn, error)).ok()?;
            }
        }
        let current = self.persist(torn, || self.store.get(torn.id)).await;
        let current = current.inspect_err(|error| not_taken_up(torn, error)).ok()?;
        current.filter(|current| current.operation == Some(operation))
    }

    async fn find_patiently(
        &self,
        driver: &dyn Driver,
        launches: &[(NodeId, LaunchId)],
    ) -> Option<Vec<(LaunchId, Instance)>> {
        let mut told = false;
        loop {
            match driver.find(launches).await {
                Ok(found) => return Some(found.into_iter().collect()),
                Err(error) if !told => {
                    tell_waiting(driver.kind(), &error);
                    told = true;
                }
                Err(_) => (),
            }
            if !self.waited().await {
                return None;
            }
        }
    }

    async fn record_found(&self, launch: LaunchId, instance: &Instance) -> Result<(), StorageError> {
        tracing::warn!(launch.id = %launch, instance = %instance.0, "a launch that was not recorded was found");
        self.store.record(launch, instance).await
    }

    /// Waits a while; not where the service ends.
    async fn waited(&self) -> bool {
        tokio::select! {
            () = self.lifecycle.draining() => false,
            () = tokio::time::sleep(AGAIN) => true,
        }
    }
}

/// It is recorded still, and taken up by the next run, or when somebody asks for another one.
fn not_taken_up(environment: &Environment, error: &StorageError) {
    tracing::error!(environment.name = %environment.name, %error, "an unfinished operation is not taken up");
}

fn tell_waiting(kind: DriverKind, error: &ScanError) {
    tracing::warn!(driver = kind.as_str(), %error, "an unfinished operation waits for whoever runs its nodes");
}
