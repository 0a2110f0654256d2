//! The store, on both engines.

use access::AccountId;
use jiff::Timestamp;
use storage::DatabaseOptions;
use testkit::databases;
use uuid::Uuid;

use super::*;
use crate::domain::{
    Cloudlets, Desired, EnvName, Environment, EnvironmentId, EnvironmentSpec, Instance, Launch, LaunchId, NodeCount,
    NodeSpec, Operation,
};

const ALICE: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

/// Runs a test on a fresh store of each engine.
async fn on_both(test: impl AsyncFn(Store)) {
    for database in databases() {
        let opened = Database::open(&database.url.parse().unwrap(), &DatabaseOptions::default()).await.unwrap();
        opened.migrate(&MIGRATIONS).await.unwrap();
        opened.check_schema(&MIGRATIONS).await.unwrap();
        let store = Store::new(opened);
        test(store.clone()).await;
        store.close().await;
    }
}

fn name(text: &str) -> EnvName {
    text.parse().unwrap()
}

fn nodes(group: &str, count: i32) -> NodeSpec {
    NodeSpec {
        node_type: "web".parse().unwrap(),
        group: group.parse().unwrap(),
        count: NodeCount::new(count).unwrap(),
        cloudlets: Cloudlets::new(Some(2), Some(8)).unwrap(),
        display_name: None,
    }
}

fn new(account: AccountId, text: &str) -> NewEnvironment {
    let spec = EnvironmentSpec::new(name(text), vec![nodes("cp", 2), nodes("sqldb", 1)]).unwrap();
    NewEnvironment {
        id: EnvironmentId(Uuid::new_v4()),
        account,
        spec: spec.with_display_name("Läden".parse().ok()).with_wishes(Some(true), None),
        created_at: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
    }
}

async fn at_rest(store: &Store, account: AccountId, text: &str) -> Environment {
    let environment = store.create(new(account, text)).await.unwrap();
    store.finish_operation(environment.id, Desired::Running).await.unwrap();
    store.get(environment.id).await.unwrap().unwrap()
}

fn launch() -> LaunchId {
    LaunchId(Uuid::new_v4())
}

#[tokio::test]
async fn what_is_recorded_is_read_again() {
    on_both(async |store| {
        let created = store.create(new(ALICE, "shop")).await.unwrap();
        assert_eq!(created.operation, Some(Operation::Create));
        assert_eq!(created.desired, Desired::Stopped);
        assert_eq!(created.nodes.len(), 3);
        assert!(created.nodes.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(store.find(ALICE, &name("shop")).await.unwrap(), Some(created.clone()));
        assert_eq!(store.get(created.id).await.unwrap(), Some(created.clone()));
        assert_eq!(store.unfinished().await.unwrap(), [created]);
    })
    .await;
}

#[tokio::test]
async fn an_account_sees_its_own() {
    on_both(async |store| {
        let (second, first) = (at_rest(&store, ALICE, "b").await, at_rest(&store, ALICE, "a").await);
        let other = at_rest(&store, BOB, "c").await;
        assert_eq!(store.list(ALICE).await.unwrap(), [first, second]);
        assert_eq!(store.list(BOB).await.unwrap(), [other]);
        assert_eq!(store.list(AccountId(3)).await.unwrap(), []);
        assert_eq!(store.find(ALICE, &name("c")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_name_is_given_once_in_the_installation() {
    on_both(async |store| {
        store.create(new(ALICE, "shop")).await.unwrap();
        for account in [ALICE, BOB] {
            assert!(matches!(store.create(new(account, "shop")).await, Err(CreateError::NameTaken)));
        }
        assert_eq!(store.list(BOB).await.unwrap(), []);
        let nodes = store.list(ALICE).await.unwrap().remove(0).nodes;
        assert_eq!(nodes.len(), 3, "nothing was added to it");
    })
    .await;
}

#[tokio::test]
async fn one_operation_is_under_way_at_a_time() {
    on_both(async |store| {
        let environment = at_rest(&store, ALICE, "shop").await;
        let begun = store.begin_operation(environment.id, Operation::Stop).await.unwrap();
        assert_eq!(begun.operation, Some(Operation::Stop));
        for operation in [Operation::Stop, Operation::Start, Operation::Delete] {
            let second = store.begin_operation(environment.id, operation).await;
            assert!(matches!(second, Err(BeginError::Busy(_, Operation::Stop))), "{second:?}");
        }
        let unknown = store.begin_operation(EnvironmentId(Uuid::new_v4()), Operation::Stop).await;
        assert!(matches!(unknown, Err(BeginError::NotFound)));

        store.finish_operation(environment.id, Desired::Stopped).await.unwrap();
        assert!(store.finish_operation(environment.id, Desired::Running).await.is_err(), "it was finished already");
        let after = store.get(environment.id).await.unwrap().unwrap();
        assert_eq!((after.operation, after.desired), (None, Desired::Stopped));
        store.begin_operation(environment.id, Operation::Start).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_many_that_begin_at_once_one_does() {
    on_both(async |store| {
        let id = at_rest(&store, ALICE, "shop").await.id;
        let tries = (0..8).map(|_| store.begin_operation(id, Operation::Stop));
        let tries = futures::future::join_all(tries).await;
        assert_eq!(tries.iter().filter(|begun| begun.is_ok()).count(), 1);
        assert_eq!(tries.iter().filter(|begun| matches!(begun, Err(BeginError::Busy(_, Operation::Stop)))).count(), 7);
    })
    .await;
}

#[tokio::test]
async fn launches_are_intended_recorded_and_forgotten() {
    on_both(async |store| {
        let environment = store.create(new(ALICE, "shop")).await.unwrap();
        let [first, second, third] = &environment.nodes[..] else { panic!("three nodes") };
        let intents = [
            Intent { node: first.id, launch: launch(), port: Some(8080) },
            Intent { node: second.id, launch: launch(), port: None },
        ];
        store.intend(&intents).await.unwrap();
        assert_eq!(store.unrecorded().await.unwrap(), intents.map(|intent| intent.launch));
        let both = [Intent { node: third.id, launch: launch(), port: None }, intents[0]];
        assert!(store.intend(&both).await.is_err(), "a launch that was not ended is not written over");

        let instance = Instance("4711:815:0".to_owned());
        store.record(intents[0].launch, &instance).await.unwrap();
        assert!(store.record(intents[0].launch, &instance).await.is_err());
        assert!(store.record(launch(), &instance).await.is_err());
        assert_eq!(store.unrecorded().await.unwrap(), [intents[1].launch]);
        let nodes = store.get(environment.id).await.unwrap().unwrap().nodes;
        let recorded = Launch { id: intents[0].launch, instance: Some(instance) };
        assert_eq!((nodes[0].port, nodes[0].launch.clone()), (Some(8080), Some(recorded)));
        assert_eq!(nodes[1].launch, Some(Launch { id: intents[1].launch, instance: None }));
        assert_eq!(nodes[2].launch, None, "all of a transaction or nothing");

        store.forget(&intents.map(|intent| intent.launch)).await.unwrap();
        store.forget(&[intents[0].launch]).await.unwrap();
        let nodes = store.get(environment.id).await.unwrap().unwrap().nodes;
        assert!(nodes.iter().all(|node| node.launch.is_none()));
        assert_eq!(nodes[0].port, Some(8080), "it may have it again");
    })
    .await;
}

#[tokio::test]
async fn an_environment_is_forgotten_whole_within_an_operation() {
    on_both(async |store| {
        let environment = at_rest(&store, ALICE, "shop").await;
        assert!(store.delete(environment.id).await.is_err(), "no operation is under way");
        assert_eq!(store.get(environment.id).await.unwrap(), Some(environment.clone()));
        store.begin_operation(environment.id, Operation::Delete).await.unwrap();
        store.delete(environment.id).await.unwrap();
        assert_eq!(store.get(environment.id).await.unwrap(), None);
        let next = store.create(new(BOB, "shop")).await.unwrap();
        assert!(next.nodes[0].id > environment.nodes[2].id, "a node's number is never given again");
    })
    .await;
}

#[tokio::test]
async fn what_is_meant_to_run_and_what_is_unfinished_are_told_apart() {
    on_both(async |store| {
        let (running, stopped) = (at_rest(&store, ALICE, "a").await, at_rest(&store, BOB, "b").await);
        store.begin_operation(stopped.id, Operation::Stop).await.unwrap();
        assert_eq!(store.unfinished().await.unwrap()[0].id, stopped.id);
        store.finish_operation(stopped.id, Desired::Stopped).await.unwrap();
        assert_eq!(store.unfinished().await.unwrap(), []);
        assert_eq!(store.meant_to_run().await.unwrap(), std::slice::from_ref(&running));
        let starting = store.begin_operation(running.id, Operation::Start).await.unwrap();
        assert_eq!((starting.operation, starting.desired), (Some(Operation::Start), Desired::Running));
        assert_eq!(store.unfinished().await.unwrap(), [starting]);
        assert_eq!(store.meant_to_run().await.unwrap(), []);
    })
    .await;
}
