//! What becomes of environments whose account is gone: they are stopped and deleted; those that were there before are let go, and left
//! as they are. Only what the authority has told by name counts, and is kept before anything is done: silence deletes nothing.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use storage::StorageError;

use super::{DeleteError, Operations};
use crate::domain::{Environment, EnvironmentId, Operation};
use crate::grpc::{Departures, DeparturesError};
use crate::store::{Learned, Outcome};

/// How often the authority is asked.
const INTERVAL: Duration = Duration::from_secs(3);
/// After what time a deletion that has failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// How many environments are deleted at the same time.
const AT_ONCE: usize = 8;

/// Why an environment is deleted, for the log of operations.
pub(super) const REASON: &str = "its account was deleted";

/// Why nothing is learned of accounts that are gone.
#[derive(Debug, thiserror::Error)]
enum LearnError {
    #[error("it is not known which accounts are gone")]
    Authority(#[from] DeparturesError),
    #[error("the database did not keep which accounts are gone")]
    Storage(#[from] StorageError),
    #[error(
        "the authority is another than the one that the accounts here are of: no environment of a deleted account is deleted. If that is \
         meant to be, stop this service and run its command `forget-authority`"
    )]
    OtherAuthority,
}

impl Operations {
    /// Learns which accounts are gone, and deletes what was theirs, until the drain begins.
    pub(crate) async fn follow_departures(self, mut departures: Departures) {
        let mut failed = HashMap::new();
        let mut trouble = None;
        loop {
            match self.learn(&mut departures).await {
                Ok(()) => trouble = None,
                Err(error) => tell(&error, &mut trouble),
            }
            if let Err(error) = self.delete_departed(&mut failed).await {
                tracing::warn!(%error, "environments of deleted accounts are not known");
            }
            tokio::select! {
                () = self.lifecycle.draining() => return,
                () = tokio::time::sleep(INTERVAL) => (),
            }
        }
    }

    /// Keeps all that the authority tells.
    async fn learn(&self, departures: &mut Departures) -> Result<(), LearnError> {
        loop {
            let page = departures.ask().await?;
            match self.store.learn_departed(&page.authority, &page.accounts, self.clock.now()).await? {
                Learned::Kept => departures.kept(&page),
                Learned::OtherAuthority => return Err(LearnError::OtherAuthority),
            }
            if page.is_last || self.lifecycle.is_draining() {
                return Ok(());
            }
        }
    }

    /// Deletes what accounts have left that are gone. What cannot be deleted is tried again later; so is what something is done to.
    async fn delete_departed(&self, failed: &mut HashMap<EnvironmentId, Duration>) -> Result<(), StorageError> {
        let now = self.clock.monotonic();
        let mut left = self.store.of_departed().await?;
        failed.retain(|id, _| left.iter().any(|environment| environment.id == *id));
        left.retain(|environment| failed.get(&environment.id).is_none_or(|at| now.saturating_sub(*at) >= AGAIN));
        let deleted = futures::stream::iter(left).map(|environment| async move {
            let result = self.delete_one_departed(&environment).await;
            (environment, result)
        });
        let results: Vec<(Environment, Result<(), DeleteError>)> = deleted.buffer_unordered(AT_ONCE).collect().await;
        for (environment, result) in results {
            let (name, account) = (&environment.name, environment.account);
            match result {
                Ok(()) => tracing::info!(environment.name = %name, account.id = %account, "{REASON}: it is gone too"),
                Err(DeleteError::Begin(_)) => {}
                Err(error) => {
                    failed.insert(environment.id, now);
                    tracing::error!(environment.name = %name, account.id = %account, %error, "{REASON}, and it is not");
                }
            }
        }
        self.store.clear_departed_groups().await
    }

    async fn delete_one_departed(&self, environment: &Environment) -> Result<(), DeleteError> {
        if environment.adopted.is_some() {
            self.store.disown(environment).await?;
            self.news.send_replace(());
            return Ok(());
        }
        let (operations, account, name) = (self.clone(), environment.account, environment.name.clone());
        self.detached("environment.delete", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Delete).await?;
            tracing::info!(environment.name = %name, account.id = %account, "{REASON}: it is stopped and deleted");
            operations.finish_delete(&environment, &Outcome::Done).await
        })
        .await?
    }
}

/// Tells what is wrong, once as long as it is the same.
fn tell(error: &LearnError, before: &mut Option<String>) {
    let text = error.to_string();
    if before.as_ref() == Some(&text) {
        return;
    }
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match error {
        LearnError::OtherAuthority => tracing::error!("{text}"),
        // The authority is looked for by others too, who tell that it is not there.
        LearnError::Authority(_) => tracing::debug!(cause, "{text}"),
        LearnError::Storage(_) => tracing::warn!(cause, "{text}"),
    }
    *before = Some(text);
}
