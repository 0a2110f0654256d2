//! The end of the authority beside clients that hold a health watch open.

use std::time::Duration;

use lifecycle::Lifecycle;
use token_service::{RunError, Service};
use tokio::task::JoinHandle;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::stage::{Stage, stages};

/// Far less than the authority waits for connections that do not end.
const PROMPT: Duration = Duration::from_secs(15);

/// More than it waits.
const LATE: Duration = Duration::from_secs(60);

struct Watched {
    lifecycle: Lifecycle,
    serving: JoinHandle<Result<(), RunError>>,
    watch: Streaming<HealthCheckResponse>,
}

/// Another authority on the same database, whose health is watched by a client of its own.
async fn watched(stage: &Stage, client: impl FnOnce(Endpoint) -> Endpoint) -> Watched {
    let lifecycle = Lifecycle::new();
    let service = Service::bind(stage.config.clone(), lifecycle.clone()).await.unwrap();
    let endpoint = Channel::from_shared(format!("http://{}", service.local_addr())).unwrap();
    let serving = tokio::spawn(service.serve());
    let channel = client(endpoint).connect().await.unwrap();
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    Watched { lifecycle, serving, watch }
}

#[tokio::test]
async fn a_health_watch_is_told_of_the_drain_and_does_not_hold_it_up() {
    for stage in stages().await {
        let Watched { lifecycle, serving, mut watch } = watched(&stage, |endpoint| endpoint).await;
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        lifecycle.begin_drain();
        let mut told = Vec::new();
        while let Some(message) = watch.message().await.unwrap() {
            told.push(message.status());
        }
        // It is told again and again that all is well, until it is not.
        assert_eq!(told.last(), Some(&ServingStatus::NotServing), "{}: and then the stream has ended", stage.engine);
        tokio::time::timeout(PROMPT, serving).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_health_watch_that_is_not_read_is_cut() {
    let ends = stages().await.into_iter().map(async |stage| {
        // There is no room for a single message.
        let stalled = watched(&stage, |endpoint| endpoint.initial_stream_window_size(1)).await;
        stalled.lifecycle.begin_drain();
        let ended = tokio::time::timeout(LATE, stalled.serving).await;
        ended.unwrap_or_else(|_| panic!("{}: the drain does not end", stage.engine)).unwrap().unwrap();
        drop(stalled.watch);
    });
    futures::future::join_all(ends).await;
}
