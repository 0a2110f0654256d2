//! A client that calls through one gateway, one call after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;

use crate::api::{Api, Clock};
use crate::board::Board;
use crate::history::{Call, Outcome};

/// How long a client waits that was not answered: a gateway that is down refuses thousands of times a second.
const PAUSE: Duration = Duration::from_millis(20);

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) board: Board,
    pub(crate) clock: Clock,
    /// The names of the accounts' environments.
    pub(crate) environments: Vec<String>,
    pub(crate) enough: AtomicBool,
    pub(crate) calls: AtomicU64,
}

/// Calls until it is enough, and answers what came of it.
pub(crate) async fn call(gateway: usize, api: Api, shared: Arc<Shared>, mut rng: StdRng) -> Vec<Call> {
    let mut calls = Vec::new();
    while !shared.enough.load(Ordering::Relaxed) {
        let Some(job) = shared.board.pick(gateway, &mut rng) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (value, environment) = (job.target.value(job.value), &shared.environments[job.target.account]);
        let began = shared.clock.now();
        let outcome = api.call(gateway, job.method, &value, environment).await.outcome();
        let ended = shared.clock.now();
        let credential = job.target.credential;
        calls.push(Call { credential, value: job.value, method: job.method, gateway, began, ended, outcome });
        shared.calls.fetch_add(1, Ordering::Relaxed);
        shared.board.made(&job, gateway);
        if matches!(outcome, Outcome::Unknown | Outcome::Refused(9105)) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    calls
}
