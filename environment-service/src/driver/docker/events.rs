//! What the engine tells by itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use bollard::query_parameters::EventsOptionsBuilder;
use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::sync::watch;

use super::engine::{Engine, EngineError, LOOK, within};

/// What can make a node another one to look at.
const EVENTS: [&str; 8] = ["create", "start", "die", "oom", "destroy", "health_status", "pause", "unpause"];
/// The first wait before an engine that does not answer is asked again; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How far back the engine is asked, in seconds: longer than the longest wait.
const SPARE: i64 = 3;
/// The engine tells of an end a moment before its list of containers shows it: whoever looks then would look in vain.
const ECHO: Duration = Duration::from_millis(200);

/// Tells of each change for ever. Nothing that happens while the engine does not answer is told, so an end and a new beginning of
/// the connection are changes too.
pub(super) async fn follow(engine: &Engine, changes: &watch::Sender<()>) {
    let mut wait = FIRST_WAIT;
    loop {
        // What happens before the engine listens to the question is told too.
        let since = (Timestamp::now().as_second() - SPARE).to_string();
        let ended = listen(engine, &since, changes, &mut wait).await;
        changes.send_replace(());
        if let Err(error) = ended
            && wait == FIRST_WAIT
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the Docker engine tells nothing any more");
        }
        tokio::time::sleep(wait).await;
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

async fn listen(
    engine: &Engine,
    since: &str,
    changes: &watch::Sender<()>,
    wait: &mut Duration,
) -> Result<Infallible, EngineError> {
    let filters = HashMap::from([("type", vec!["container"]), ("event", EVENTS.to_vec())]);
    let client = engine.client()?;
    within(LOOK, client.ping()).await?;
    changes.send_replace(());
    let mut events =
        std::pin::pin!(client.events(Some(EventsOptionsBuilder::default().since(since).filters(&filters).build())));
    let mut again = false;
    loop {
        let patience = if again { ECHO } else { Duration::MAX };
        again = match tokio::time::timeout(patience, events.try_next()).await {
            Ok(event) if event.as_ref().is_ok_and(Option::is_none) => break,
            Ok(event) => event?.is_some(),
            Err(_) => false,
        };
        *wait = FIRST_WAIT;
        changes.send_replace(());
    }
    Err(EngineError::Refused("the engine ended the connection".to_owned()))
}
