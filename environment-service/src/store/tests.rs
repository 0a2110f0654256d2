//! The store, on both engines.

mod adoption;
mod departed;
mod quota;

use access::AccountId;
use jiff::Timestamp;
use storage::DatabaseOptions;
use testkit::databases;
use uuid::Uuid;

use super::*;
use crate::domain::{
    Cloudlets, Desired, DriverKind, EnvGroup, EnvName, Environment, EnvironmentId, EnvironmentSpec, Instance, Launch,
    LaunchId, NodeCount, NodeSpec, Operation, Quota, Tag, Variables, Workload,
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
        workload: Workload::template("web".parse().unwrap()),
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
        spec: spec
            .with_display_name("Läden".parse().ok())
            .with_wishes(Some(true), None)
            .with_groups(groups(&["b", "a"])),
        driver: DriverKind::Process,
        operation: Operation::Create,
        quota: QUOTA,
        created_at: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
    }
}

async fn at_rest(store: &Store, account: AccountId, text: &str) -> Environment {
    let environment = store.create(new(account, text)).await.unwrap();
    store.finish_operation(environment.id, Desired::Running, &Outcome::Done, AT).await.unwrap();
    store.get(environment.id).await.unwrap().unwrap()
}

fn groups(names: &[&str]) -> Vec<EnvGroup> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

const QUOTA: Quota = Quota { environments: 100, nodes: 100, cloudlets: 1000 };

const AT: Timestamp = Timestamp::UNIX_EPOCH;

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
        let begun = store.begin_operation(environment.id, Operation::Stop, AT).await.unwrap();
        assert_eq!(begun.operation, Some(Operation::Stop));
        for operation in [Operation::Stop, Operation::Start, Operation::Delete] {
            let second = store.begin_operation(environment.id, operation, AT).await;
            assert!(matches!(second, Err(BeginError::Busy(_, Operation::Stop))), "{second:?}");
        }
        let unknown = store.begin_operation(EnvironmentId(Uuid::new_v4()), Operation::Stop, AT).await;
        assert!(matches!(unknown, Err(BeginError::NotFound)));

        store.finish_operation(environment.id, Desired::Stopped, &Outcome::Done, AT).await.unwrap();
        assert!(
            store.finish_operation(environment.id, Desired::Running, &Outcome::Done, AT).await.is_err(),
            "it was finished already"
        );
        let after = store.get(environment.id).await.unwrap().unwrap();
        assert_eq!((after.operation, after.desired), (None, Desired::Stopped));
        store.begin_operation(environment.id, Operation::Start, AT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_many_that_begin_at_once_one_does() {
    on_both(async |store| {
        let id = at_rest(&store, ALICE, "shop").await.id;
        let tries = (0..8).map(|_| store.begin_operation(id, Operation::Stop, AT));
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
            Intent { node: first.id, launch: launch(), port: Some(8080), replaces: None },
            Intent { node: second.id, launch: launch(), port: None, replaces: None },
        ];
        store.intend(&intents).await.unwrap();
        assert_eq!(
            store.unrecorded().await.unwrap(),
            intents.map(|intent| (DriverKind::Process, environment.id, intent.node, intent.launch))
        );
        let both = [Intent { node: third.id, launch: launch(), port: None, replaces: None }, intents[0]];
        assert!(store.intend(&both).await.is_err(), "a launch that was not ended is not written over");

        let instance = Instance("4711:815:0".to_owned());
        store.record(intents[0].launch, &instance).await.unwrap();
        store.record(intents[0].launch, &instance).await.unwrap();
        assert!(store.record(intents[0].launch, &Instance("4711:816:0".to_owned())).await.is_err());
        // One that takes another's place is where that one was until it is recorded.
        let next = Intent { launch: launch(), replaces: Some(intents[0].launch), ..intents[0] };
        store.intend(&[next]).await.unwrap();
        assert!(store.intend(&[next]).await.is_err(), "it has taken it already");
        let replaced = store.get(environment.id).await.unwrap().unwrap().nodes.remove(0).launch;
        assert_eq!(replaced, Some(Launch { id: next.launch, instance: Some(instance.clone()) }));
        store.intend(&[Intent { replaces: Some(next.launch), ..intents[0] }]).await.unwrap();
        assert!(store.record(launch(), &instance).await.is_err());
        assert_eq!(
            store.unrecorded().await.unwrap(),
            [(DriverKind::Process, environment.id, intents[1].node, intents[1].launch)]
        );
        let nodes = store.get(environment.id).await.unwrap().unwrap().nodes;
        let recorded = Launch { id: intents[0].launch, instance: Some(instance) };
        assert_eq!((nodes[0].port, nodes[0].launch.clone()), (Some(8080), Some(recorded)));
        assert_eq!(nodes[1].launch, Some(Launch { id: intents[1].launch, instance: None }));
        assert_eq!(nodes[2].launch, None, "all of a transaction or nothing");

        store.begin_ending(&intents.map(|intent| intent.launch)).await.unwrap();
        let nodes = store.get(environment.id).await.unwrap().unwrap().nodes;
        assert_eq!(nodes.iter().map(|node| node.ending).collect::<Vec<_>>(), [true, true, false]);
        store.intend(&[Intent { launch: launch(), replaces: Some(intents[0].launch), ..intents[0] }]).await.unwrap();
        let nodes = store.get(environment.id).await.unwrap().unwrap().nodes;
        assert_eq!(nodes.iter().map(|node| node.ending).collect::<Vec<_>>(), [false, true, false], "the next is not");
        let launches: Vec<_> = nodes.into_iter().filter_map(|node| node.launch.map(|launch| launch.id)).collect();
        store.forget(&launches).await.unwrap();
        store.forget(&[launches[0]]).await.unwrap();
        let nodes = store.get(environment.id).await.unwrap().unwrap().nodes;
        assert!(nodes.iter().all(|node| node.launch.is_none() && !node.ending));
        assert_eq!(nodes[0].port, Some(8080), "it may have it again");
    })
    .await;
}

#[tokio::test]
async fn an_environment_is_forgotten_whole_within_an_operation() {
    on_both(async |store| {
        let environment = at_rest(&store, ALICE, "shop").await;
        assert!(store.delete(environment.id, &Outcome::Done, AT).await.is_err(), "no operation is under way");
        assert_eq!(store.get(environment.id).await.unwrap(), Some(environment.clone()));
        store.begin_operation(environment.id, Operation::Delete, AT).await.unwrap();
        store.delete(environment.id, &Outcome::Done, AT).await.unwrap();
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
        store.begin_operation(stopped.id, Operation::Stop, AT).await.unwrap();
        assert_eq!(store.unfinished().await.unwrap()[0].id, stopped.id);
        store.finish_operation(stopped.id, Desired::Stopped, &Outcome::Done, AT).await.unwrap();
        assert_eq!(store.unfinished().await.unwrap(), []);
        assert_eq!(store.meant_to_run().await.unwrap(), std::slice::from_ref(&running));
        let starting = store.begin_operation(running.id, Operation::Start, AT).await.unwrap();
        assert_eq!((starting.operation, starting.desired), (Some(Operation::Start), Desired::Running));
        assert_eq!(store.unfinished().await.unwrap(), [starting]);
        assert_eq!(store.meant_to_run().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn groups_are_an_accounts_own() {
    on_both(async |store| {
        let shop = at_rest(&store, ALICE, "shop").await;
        assert_eq!(shop.groups, groups(&["a", "b"]));
        store.attach_env_groups(shop.id, ALICE, &groups(&["c", "a"])).await.unwrap();
        store.detach_env_groups(shop.id, &groups(&["b", "z"])).await.unwrap();
        assert_eq!(store.get(shop.id).await.unwrap().unwrap().groups, groups(&["a", "c"]));
        assert_eq!(store.env_groups(ALICE).await.unwrap(), groups(&["a", "b", "c"]));
        assert_eq!(store.env_groups(BOB).await.unwrap(), []);
        let [a, b, z] = [0, 1, 2].map(|at| groups(&["a", "b", "z"]).remove(at));
        assert_eq!(store.rename_env_group(ALICE, &a, &b).await.unwrap(), GroupChange::Taken);
        assert_eq!(store.rename_env_group(BOB, &a, &z).await.unwrap(), GroupChange::NotFound);
        assert_eq!(store.rename_env_group(ALICE, &a, &z).await.unwrap(), GroupChange::Done);
        assert_eq!(store.get(shop.id).await.unwrap().unwrap().groups, groups(&["c", "z"]));
        assert_eq!(store.make_env_group(ALICE, &z).await.unwrap(), GroupChange::Taken);
        assert_eq!(store.remove_env_group(BOB, &z).await.unwrap(), GroupChange::NotFound);
        assert_eq!(store.remove_env_group(ALICE, &z).await.unwrap(), GroupChange::Done);
        store.set_env_groups(shop.id, ALICE, &groups(&["new"])).await.unwrap();
        assert_eq!(store.get(shop.id).await.unwrap().unwrap().groups, groups(&["new"]));
        assert_eq!(store.env_groups(ALICE).await.unwrap(), groups(&["b", "c", "new"]));
    })
    .await;
}

#[tokio::test]
async fn a_redeployment_is_kept_or_undone() {
    on_both(async |store| {
        let shop = at_rest(&store, ALICE, "shop").await;
        let (first, second) = (shop.nodes[0].id, shop.nodes[1].id);
        let tags = async || {
            let nodes = store.get(shop.id).await.unwrap().unwrap().nodes;
            nodes.iter().map(|node| node.workload.tag.to_string()).collect::<Vec<_>>()
        };
        let version: Tag = "2".parse().unwrap();
        store.begin_redeployment(&[first], &version).await.unwrap();
        assert_eq!(tags().await, ["2", "latest", "latest"]);
        let under_way = store.get(shop.id).await.unwrap().unwrap();
        assert_eq!(under_way.nodes[0].former_tag, Some(Tag::latest()));
        assert!(store.begin_redeployment(&[first], &version).await.is_err(), "one is under way");
        store.undo_redeployment(shop.id).await.unwrap();
        assert_eq!(tags().await, ["latest"; 3]);
        store.begin_redeployment(&[first, second], &version).await.unwrap();
        store.keep_redeployment(shop.id).await.unwrap();
        assert_eq!(tags().await, ["2", "2", "latest"]);
        assert!(store.get(shop.id).await.unwrap().unwrap().nodes.iter().all(|node| node.former_tag.is_none()));
    })
    .await;
}

#[tokio::test]
async fn what_is_changed_of_an_environment_is_read_again() {
    on_both(async |store| {
        let shop = at_rest(&store, ALICE, "shop").await;
        let node = shop.nodes[0].id;
        let variables = Variables::new([("A".to_owned(), "ä \"".to_owned())]).unwrap();
        store.set_variables(&[(node, variables.clone())]).await.unwrap();
        let size = Cloudlets::new(Some(3), Some(9)).unwrap();
        store.set_cloudlets((ALICE, node), size, QUOTA).await.unwrap().unwrap();
        store.set_display_name(shop.id, &"Neu".parse().unwrap()).await.unwrap();
        let changed = store.get(shop.id).await.unwrap().unwrap();
        assert_eq!(changed.display_name, "Neu");
        assert_eq!(changed.nodes[0].workload.variables, variables);
        assert_eq!((changed.nodes[0].cloudlets.fixed(), changed.nodes[0].cloudlets.flexible()), (3, 9));
        assert_eq!(changed.nodes[1], shop.nodes[1]);
        store.set_variables(&[(node, Variables::default())]).await.unwrap();
        assert_eq!(store.get(shop.id).await.unwrap().unwrap().nodes[0].workload.variables, Variables::default());
    })
    .await;
}

#[tokio::test]
async fn operations_are_logged_with_their_end() {
    on_both(async |store| {
        let shop = store.create(new(ALICE, "shop")).await.unwrap();
        let last = async || store.last_operation(shop.id).await.unwrap();
        let begun = last().await.unwrap();
        assert_eq!((begun.operation, begun.begun_at, begun.ended), (Operation::Create, shop.created_at, None));
        store.finish_operation(shop.id, Desired::Running, &Outcome::Done, AT).await.unwrap();
        assert_eq!(last().await.unwrap().ended, Some((AT, Outcome::Done)));
        store.begin_operation(shop.id, Operation::Stop, AT).await.unwrap();
        let failed = Outcome::Failed("it would not".to_owned());
        store.finish_operation(shop.id, Desired::Running, &failed, AT).await.unwrap();
        let logged = last().await.unwrap();
        assert_eq!((logged.operation, logged.ended), (Operation::Stop, Some((AT, failed))));
        store.begin_operation(shop.id, Operation::Delete, AT).await.unwrap();
        store.delete(shop.id, &Outcome::Done, AT).await.unwrap();
        assert_eq!(last().await.unwrap().ended, Some((AT, Outcome::Done)), "the log outlives it");
        assert_eq!(store.last_operation(EnvironmentId(Uuid::new_v4())).await.unwrap(), None);
    })
    .await;
}
