//! What the service does when it starts: it finds again what it launched, and finishes what was torn off.

use storage::StorageError;

use super::Operations;
use crate::driver::ScanError;

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
        let unrecorded = self.store.unrecorded().await?;
        for driver in self.drivers.all() {
            let of_it = unrecorded.iter().filter(|(kind, ..)| *kind == driver.kind());
            let launches: Vec<_> = of_it.map(|(_, node, launch)| (*node, *launch)).collect();
            if launches.is_empty() {
                continue;
            }
            let found = match driver.find(&launches).await {
                // Whoever runs them elsewhere is not waited for: what it runs shows when it answers.
                Err(error @ ScanError::Unreachable(..)) => {
                    tracing::warn!(%error, "what was launched and not recorded cannot be looked for");
                    continue;
                }
                found => found?,
            };
            for (launch, instance) in found {
                tracing::warn!(launch.id = %launch, instance = %instance.0, "a launch that was not recorded was found");
                self.store.record(launch, &instance).await?;
            }
        }
        for environment in self.store.unfinished().await? {
            let Some(operation) = environment.operation else { continue };
            if let Ok(claim) = self.claims.claim(environment.id, operation) {
                self.take_up(environment, operation, claim);
            }
        }
        Ok(())
    }
}
