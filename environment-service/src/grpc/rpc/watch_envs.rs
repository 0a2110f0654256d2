use std::time::Duration;

use access::{AccountPermit, Answers, HandleAnswers};
use futures::{StreamExt, stream};
use lifecycle::Lifecycle;
use proto::environment::v1::rpc::WatchEnvs;
use proto::environment::v1::watch_envs_response::Event as WireEvent;
use proto::environment::v1::{
    RemovedEnvironment, WatchEnvsRequest, WatchEnvsResponse, WatchedEnvironment, WatchedEnvironments,
};
use proto::{ErrorKind, Failure};
use tokio::time::timeout;

use crate::grpc::Control;
use crate::watching::{Event, Unseen, Watcher};

/// After so long without an event the caller is told that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl HandleAnswers<WatchEnvs> for Control {
    async fn handle_answers(
        &self,
        permit: &AccountPermit,
        _: WatchEnvsRequest,
    ) -> Result<Answers<WatchEnvsResponse>, Failure> {
        let lifecycle = self.operations.lifecycle.clone();
        if lifecycle.is_draining() {
            return Err(draining());
        }
        let watcher = self.watchers.watch(permit.account(), permit.confinement().clone());
        let watcher = watcher.map_err(|error| Failure::new(ErrorKind::Throttled, error.to_string()))?;
        let answers = stream::unfold(Some((watcher, lifecycle)), async |watching| {
            let (mut watcher, lifecycle) = watching?;
            match next(&mut watcher, &lifecycle).await {
                Ok(event) => Some((Ok(WatchEnvsResponse { event }), Some((watcher, lifecycle)))),
                Err(failure) => Some((Err(failure), None)),
            }
        });
        Ok(answers.boxed())
    }
}

/// The next event; none where it is only to be said that the stream lives.
async fn next(watcher: &mut Watcher<WatchedEnvironment>, lifecycle: &Lifecycle) -> Result<Option<WireEvent>, Failure> {
    tokio::select! {
        biased;
        () = lifecycle.draining() => Err(draining()),
        event = timeout(KEEP_ALIVE, watcher.next()) => match event {
            Ok(event) => event.map(wire).map(Some).map_err(unseen),
            Err(_) => Ok(None),
        },
    }
}

fn wire(event: Event<WatchedEnvironment>) -> WireEvent {
    match event {
        Event::Snapshot(all) => {
            let infos = all.iter().map(|found| found.description.clone()).collect();
            WireEvent::Snapshot(WatchedEnvironments { infos })
        }
        Event::Changed(found) => WireEvent::Changed(found.description.clone()),
        Event::Removed(name, id) => {
            WireEvent::Removed(RemovedEnvironment { env_name: name.to_string(), appid: id.to_string() })
        }
    }
}

fn draining() -> Failure {
    Failure::new(ErrorKind::Unavailable, "the environment service is about to end, try again")
}

/// Whoever watches does not see what has become wrong, so an outage ends the stream.
fn unseen(error: Unseen) -> Failure {
    Failure::unavailable("the environment service", error)
}
