//! What is slowed down before it is looked at.

use access::Origin;
use jiff::Timestamp;
use proto::{ErrorKind, Failure};

use super::Authority;
use super::authority::storage_failure;
use crate::domain::{Guessed, Subject};

/// A guess that is counted as a wrong one, until it turns out to be right.
#[must_use = "a right guess is to be forgiven"]
pub(crate) struct Guess(Vec<Subject>);

impl Authority {
    /// Counts a guess before it is looked at, or turns it away: its caller is told nothing of it then.
    pub(crate) async fn guess(&self, guessed: Guessed<'_>, origin: &Origin) -> Result<Guess, Failure> {
        let now = self.clock.now();
        let subjects = self.policy.throttle.subjects(guessed, origin.address);
        match self.store.count_guess(guessed, &subjects, origin, now).await.map_err(storage_failure)? {
            None => Ok(Guess(subjects)),
            Some(until) => {
                tracing::warn!(request.id = origin.request_id, "a guess came too early");
                Err(throttled(until, now))
            }
        }
    }

    /// The guess was right.
    pub(crate) async fn forgive(&self, guess: Guess) -> Result<(), Failure> {
        self.store.forgive_guess(&guess.0).await.map_err(storage_failure)
    }
}

fn throttled(until: Timestamp, now: Timestamp) -> Failure {
    let left = until.duration_since(now);
    let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    Failure::new(ErrorKind::Throttled, format!("too many wrong tries: try again in {seconds} s"))
        .with("retryAfter", seconds.to_string())
}
