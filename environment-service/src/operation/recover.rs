//! What the service does when it starts: it finds again what it launched, and finishes what was torn off.

use std::sync::Arc;
use std::time::Duration;

use storage::StorageError;

use super::Operations;
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
    /// Finds what was launched and not recorded, then takes up the operations that were torn off. Those go on by
    /// themselves; until they end, their environments are locked by them as ever.
    pub(crate) async fn recover(&self) -> Result<(), RecoverError> {
        for driver in self.drivers.all() {
            match self.recover_of(driver.as_ref()).await {
                Err(RecoverError::Scan(error @ ScanError::Unreachable(..))) => {
                    self.recover_later(driver.clone(), &error);
                }
                recovered => recovered?,
            }
        }
        Ok(())
    }

    async fn recover_of(&self, driver: &dyn Driver) -> Result<(), RecoverError> {
        // Before anything is launched: all that is meant to run is recorded now.
        if let Err(error) = driver.end_others(&self.store.launches().await?).await {
            tracing::error!(driver = driver.kind().as_str(), %error, "not all that nobody asks for any more has ended");
        }
        let unrecorded = self.store.unrecorded().await?;
        let of_it = unrecorded.iter().filter(|(kind, ..)| *kind == driver.kind());
        let launches: Vec<_> = of_it.map(|(_, node, launch)| (*node, *launch)).collect();
        if !launches.is_empty() {
            for (launch, instance) in driver.find(&launches).await? {
                tracing::warn!(launch.id = %launch, instance = %instance.0, "a launch that was not recorded was found");
                self.store.record(launch, &instance).await?;
            }
        }
        for environment in self.store.unfinished().await?.into_iter().filter(|found| found.driver == driver.kind()) {
            let Some(operation) = environment.operation else { continue };
            if let Ok(claim) = self.claims.claim(environment.id, operation) {
                self.take_up(environment, operation, claim);
            }
        }
        Ok(())
    }

    /// Whoever runs nodes does not answer: that is no reason not to serve the others. What was torn off waits for them.
    fn recover_later(&self, driver: Arc<dyn Driver>, error: &ScanError) {
        let kind = driver.kind();
        tracing::warn!(driver = kind.as_str(), %error, "what was begun before is taken up later");
        let operations = self.clone();
        let later = async move {
            loop {
                tokio::select! {
                    () = operations.lifecycle.draining() => return,
                    () = tokio::time::sleep(AGAIN) => (),
                }
                match operations.recover_of(driver.as_ref()).await {
                    Err(RecoverError::Scan(ScanError::Unreachable(..))) => (),
                    Err(error) => {
                        tracing::error!(driver = kind.as_str(), %error, "what was begun before is not taken up");
                    }
                    Ok(()) => return,
                }
            }
        };
        drop(self.lifecycle.spawn("environment.recover", later));
    }
}
