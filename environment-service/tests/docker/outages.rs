//! The engine goes away, and so does the service.

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::{ListNetworksOptions, RemoveContainerOptionsBuilder};
use proto::ErrorKind;
use testkit::eventually;

use crate::host::Host;
use crate::stage::{LONG, assert_kind};

#[tokio::test]
async fn an_engine_that_does_not_run_is_an_outage_of_its_environments_alone() {
    let mut host = Host::start().await;
    host.alice().create("shop", &[("cp", "box", 1)]).await.unwrap();
    host.engine.kill();
    let alice = host.alice();
    assert_eq!(alice.status("shop").await, 5);
    assert_kind(alice.create("other", &[("cp", "box", 1)]).await, ErrorKind::Unavailable);
    assert_kind(alice.start("shop").await, ErrorKind::Unavailable);
    assert_kind(alice.stop("shop").await, ErrorKind::Unavailable);
    assert_kind(alice.delete("shop").await, ErrorKind::Unavailable);
    assert_kind(alice.exec("shop", "true").await, ErrorKind::Unavailable);
    alice.create("processes", &[("cp", "pair", 1)]).await.unwrap();
    assert_eq!(alice.list().await.len(), 2, "what was not made is not there");
    drop(alice);

    host.stop_service().await;
    host.start_service().await;
    assert_eq!(host.alice().status("shop").await, 5, "the service starts without the engine");
    host.engine.restart().await;
    let alice = host.alice();
    alice.until_status("shop", 11).await;
    alice.start("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, host.containers().await.len()), (1, 1));
    alice.delete("shop").await.unwrap();
    assert_eq!(host.containers().await.len(), 0);
}

#[tokio::test]
async fn an_engine_that_is_frozen_is_not_waited_for() {
    let host = Host::start().await;
    let alice = host.alice();
    alice.create("shop", &[("cp", "box", 1)]).await.unwrap();
    host.engine.pause().await;
    assert_eq!(alice.status("shop").await, 5);
    assert_kind(alice.stop("shop").await, ErrorKind::Unavailable);
    host.engine.resume();
    alice.until_status("shop", 1).await;
    alice.stop("shop").await.unwrap();
}

#[tokio::test]
async fn an_engine_that_is_killed_in_the_middle_leaves_what_can_be_gone_on_with() {
    let mut host = Host::start().await;
    host.alice().create("shop", &[("cp", "slow-box", 2)]).await.unwrap();
    let alice = host.alice();
    let stopping = {
        let alice = host.alice();
        async move { alice.stop("shop").await }
    };
    let failed = tokio::select! {
        stopped = stopping => Some(stopped),
        () = alice.until_status("shop", 13) => None,
    };
    assert!(failed.is_none(), "it takes two seconds");
    drop(alice);
    host.engine.kill();
    let alice = host.alice();
    alice.until_status("shop", 5).await;
    drop(alice);
    host.engine.restart().await;
    let alice = host.alice();
    alice.until_status("shop", 11).await;
    alice.start("shop").await.unwrap();
    assert_eq!((host.running().await, host.containers().await.len()), (2, 2));
}

#[tokio::test]
async fn the_next_service_finds_the_containers() {
    let mut host = Host::start().await;
    let before = host.alice().create("shop", &[("cp", "box", 2)]).await.unwrap().nodes;
    host.stop_service().await;
    assert_eq!(host.running().await, 2);
    let database = host.database().await;
    let mut tx = database.begin("test").await.unwrap();
    // As if it had been killed between the launches and their records, in the middle of a start.
    for text in ["update node set instance = null", "update environment set operation = 'start'"] {
        sqlx::query(text).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    database.close().await;
    host.start_service().await;
    let alice = host.alice();
    eventually("the start is finished", LONG, async || (alice.status("shop").await == 1).then_some(())).await;
    let after = alice.info("shop").await.unwrap().nodes;
    let numbers = |nodes: &[proto::environment::v1::Node]| nodes.iter().map(|node| node.ctid).collect::<Vec<_>>();
    assert_eq!((numbers(&after), host.running().await), (numbers(&before), 2));
}

#[tokio::test]
async fn what_was_torn_off_waits_for_the_engine() {
    let mut host = Host::start().await;
    host.alice().create("shop", &[("cp", "box", 1)]).await.unwrap();
    host.stop_service().await;
    let database = host.database().await;
    let mut tx = database.begin("test").await.unwrap();
    // As if it had been killed in the middle of a stop.
    sqlx::query("update environment set operation = 'stop'").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    database.close().await;
    host.engine.kill();
    host.start_service().await;
    let alice = host.alice();
    let text = assert_kind(alice.start("shop").await, ErrorKind::EnvironmentStatus);
    assert!(text.contains("stopping (13)"), "{text}");
    drop(alice);
    host.engine.restart().await;
    // A stop that had failed meanwhile would leave it broken.
    host.alice().until_status("shop", 2).await;
}

#[tokio::test]
async fn what_is_to_be_launched_again_is_after_the_engine_was() {
    let mut host = Host::start().await;
    host.alice().create("shop", &[("cp", "immortal-box", 1)]).await.unwrap();
    host.alice().create("other", &[("cp", "box", 1)]).await.unwrap();
    host.engine.kill();
    host.engine.restart().await;
    let alice = host.alice();
    alice.until_status("other", 11).await;
    alice.until_status("shop", 1).await;
    assert_eq!((host.running().await, alice.status("other").await), (1, 11));
}

#[tokio::test]
async fn two_networks_of_one_name_keep_nothing_from_starting() {
    let host = Host::start().await;
    let alice = host.alice();
    alice.create("shop", &[("cp", "box", 2)]).await.unwrap();
    alice.stop("shop").await.unwrap();
    let networks = host.docker().list_networks(None::<ListNetworksOptions>).await.unwrap();
    let found = networks.into_iter().find(|network| network.name.as_deref() == Some("portcullis-shop"));
    let found = found.expect("the environment has one");
    // As if a service that was killed had asked for it too.
    let again = NetworkCreateRequest { name: found.name.unwrap(), labels: found.labels, ..Default::default() };
    host.docker().create_network(again).await.unwrap();
    for container in host.containers().await {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        host.docker().remove_container(container.id.as_deref().unwrap(), Some(options)).await.unwrap();
    }
    alice.start("shop").await.unwrap();
    assert_eq!((alice.status("shop").await, host.networks().await), (1, 1));
    alice.delete("shop").await.unwrap();
    assert_eq!(host.networks().await, 0);
}
