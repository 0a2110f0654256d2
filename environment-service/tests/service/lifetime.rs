//! Environments over the service's planned end and start.

use environment_service::{OnShutdown, RunError, Service};
use jiff::SignedDuration;
use lifecycle::Lifecycle;
use rustix::process::{Pid, Signal, kill_process};
use storage::SchemaError;
use testkit::TestDatabase;

use crate::stage::{Stage, all_alive, pids};

#[tokio::test]
async fn environments_outlive_the_service_and_are_found_again() {
    let mut stage = Stage::sqlite().await;
    let created = stage.alice().create("shop", &[("cp", "pair", 2)]).await.unwrap();
    let before = pids(&created.nodes);
    stage.stop_service().await;
    assert!(all_alive(&before));
    kill_process(Pid::from_raw(before[1]).unwrap(), Signal::KILL).unwrap();

    stage.start_service().await;
    let info = stage.alice().info("shop").await.unwrap();
    assert_eq!(info.env.unwrap().status, 11);
    assert_eq!(pids(&info.nodes), [before[0], 0]);
    assert_eq!(info.nodes[1].messages, ["the node has ended; how is not known"]);
    stage.alice().stop("shop").await.unwrap();
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn where_it_is_asked_for_they_stop_with_the_service_and_start_with_it() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.on_shutdown = OnShutdown::Stop;
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    let before = pids(&alice.create("shop", &[("cp", "pair", 1)]).await.unwrap().nodes);
    alice.create("asleep", &[("cp", "pair", 1)]).await.unwrap();
    alice.stop("asleep").await.unwrap();
    stage.stop_service().await;
    assert_eq!(stage.processes(), [] as [i32; 0]);

    stage.start_service().await;
    stage.alice().until_status("shop", 1).await;
    let after = pids(&stage.alice().info("shop").await.unwrap().nodes);
    assert!(all_alive(&after) && after != before);
    assert_eq!(stage.alice().status("asleep").await, 2);
}

#[tokio::test]
async fn an_accepted_call_is_answered_before_the_service_ends() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.stop_grace = SignedDuration::from_secs(30);
    stage.authority.start().await;
    stage.start_service().await;
    stage.alice().create("shop", &[("cp", "slow", 1)]).await.unwrap();
    let draining = stage.draining();
    let alice = stage.alice();
    let (stopped, ()) = tokio::join!(alice.stop("shop"), async {
        alice.until_status("shop", 13).await;
        draining();
        stage.open_gate();
    });
    stopped.unwrap();
    drop(alice);
    stage.stop_service().await;
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn an_unknown_schema_and_a_second_service_are_refused() {
    let mut stage = Stage::sqlite().await;
    let second = Service::bind(stage.config.clone(), Lifecycle::new()).await.err().unwrap();
    assert!(matches!(second, RunError::Driver(environment_service::OpenError::InUse(_))), "{second:?}");
    stage.stop_service().await;

    let empty = TestDatabase::sqlite();
    let mut config = stage.config.clone();
    config.database_url = empty.url.parse().unwrap();
    let refused = Service::bind(config, Lifecycle::new()).await.err().unwrap();
    assert!(matches!(refused, RunError::Schema(SchemaError::Older { .. })), "{refused:?}");
}
