//! Forgets what nobody asks for any more.

use std::time::Duration;

use lifecycle::{Clock, Lifecycle};
use storage::StorageError;

use crate::store::Store;

/// How often.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

pub(crate) async fn run(store: Store, clock: Clock, lifecycle: Lifecycle) {
    let mut tick = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = lifecycle.draining() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = forget(&store, &clock).await {
            tracing::warn!(%error, "what is old was not forgotten yet");
        }
    }
}

async fn forget(store: &Store, clock: &Clock) -> Result<(), StorageError> {
    let now = clock.now();
    store.forget_sessions(now).await?;
    store.forget_uses(now).await?;
    store.forget_changes(now).await?;
    store.forget_guesses(now).await?;
    store.forget_leases().await?;
    store.forget_notices(now).await
}
