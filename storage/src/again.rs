//! A transaction that gave way to another is done again.

use std::error::Error;
use std::iter::successors;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::{Database, StorageError};

/// How long the waits for the second and the third time are at most. There is no fourth.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(40)];

impl Database {
    /// Does work that is one transaction, from its beginning to its commit. Where the database has rolled it back in favour of
    /// another, it is done again, three times in all and no longer than the patience: nothing of it is left then. What the work
    /// does beside the transaction must bear being done again.
    ///
    /// # Errors
    /// What the work fails with; of one that gave way again and again, the last time's.
    pub async fn again<T, E, F>(&self, mut work: impl FnMut() -> F) -> Result<T, E>
    where
        E: Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        for pause in PAUSES {
            match work().await {
                Err(error) if gave_way(&error) && begun.elapsed() < self.patience() => {
                    tracing::warn!(%error, "a transaction gave way to another, and is done again");
                }
                done => return done,
            }
            let pause = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
            tokio::time::sleep(pause).await;
        }
        work().await
    }
}

/// Whether work failed because its transaction was rolled back in favour of another.
fn gave_way(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |error| (*error).source())
        .any(|error| matches!(error.downcast_ref(), Some(StorageError::GaveWay(_))))
}
