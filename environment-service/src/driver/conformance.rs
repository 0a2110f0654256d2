//! What every driver does, as tests: each driver's own tests run all of these on a fixture of theirs.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use testkit::eventually;
use uuid::Uuid;

use super::{Command, Discovery, Driver, LaunchOrder, NodeAt, NodeError, Window};
use crate::domain::{
    Desired, Environment, Instance, Launch, LaunchId, Node, NodeId, NodeType, Observed, Tag, Workload,
};

/// Longer than anything that succeeds takes.
const LONG: Duration = Duration::from_secs(60);
/// Not to wait for anything.
const SHORT: Duration = Duration::from_millis(50);

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It writes `begun` and runs until it is told to end.
    Lasting,
    /// It ends at once, whenever it is started, with exit code 3.
    Failing,
}

/// A place where a driver runs nodes. Whatever is left of them goes with it.
pub(crate) trait Fixture: Send {
    /// Makes the driver, or one more after the former was dropped: as a service does that starts again after it was killed.
    fn open(&mut self) -> BoxFuture<'_, Box<dyn Driver>>;

    /// An order to launch a node of this number in the fixture's one environment, with a mark of its own.
    fn order(&mut self, node: NodeId, behaviour: Behaviour) -> LaunchOrder;

    /// A command that writes `out` and, as an error, `error`, and ends with exit code 3. `None`: the fixture's nodes are none that
    /// run anything.
    fn command(&self) -> Option<Command>;

    /// Whether what runs has a number of its own.
    fn has_numbers(&self) -> bool {
        true
    }
}

/// Makes each of the suite's functions a test on a fixture.
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::driver::conformance::conformance!(
            $fixture;
            a_launch_runs_until_it_is_ended,
            what_was_ended_is_launched_again,
            a_launch_that_ends_is_told_with_its_reason,
            launches_are_observed_in_their_order,
            a_launch_that_was_not_recorded_is_found,
            a_launch_is_known_to_the_next_service,
            only_what_was_ended_has_gone,
            what_is_not_offered_is_not_accepted,
            a_command_runs_in_a_node_that_runs,
            a_log_is_read,
            an_end_is_told,
            a_node_that_runs_is_resized,
            nothing_is_discovered_that_it_launched
        );
    };
    ($fixture:expr; $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::driver::conformance::$name(&mut $fixture.await).await;
            }
        )+
    };
}
pub(crate) use conformance;

fn command_of_time(command: &Command, time: Duration) -> Command {
    Command { time, ..command.clone() }
}

/// The environment of these nodes, as it is recorded.
fn environment(nodes: &[(&LaunchOrder, Option<Launch>)]) -> Environment {
    let (first, _) = nodes[0];
    let node = |(order, launch): &(&LaunchOrder, Option<Launch>)| Node {
        id: order.node,
        group: order.group.clone(),
        workload: order.workload.clone(),
        former_tag: None,
        rank: 1,
        adopted: None,
        display_name: "node".to_owned(),
        cloudlets: order.cloudlets,
        port: order.port,
        launch: launch.clone(),
        ending: false,
    };
    Environment {
        id: first.environment_id,
        name: first.environment.clone(),
        account: first.account,
        display_name: "environment".to_owned(),
        highly_available: false,
        tls: false,
        desired: Desired::Running,
        operation: None,
        created_at: Timestamp::UNIX_EPOCH,
        driver: crate::domain::DriverKind::Process,
        adopted: None,
        groups: Vec::new(),
        nodes: nodes.iter().map(node).collect(),
    }
}

/// Does what the service does to launch a node.
async fn launch(driver: &dyn Driver, order: &mut LaunchOrder) -> Launch {
    driver.accepts(&order.workload).unwrap();
    driver.prepare(&order.workload).await.unwrap();
    order.port = driver.ports(&[(&order.workload, order.port)]).unwrap().remove(0);
    let instance = driver.launch(order).await.unwrap();
    Launch { id: order.launch, instance: Some(instance) }
}

async fn seen(driver: &dyn Driver, launch: &Launch) -> Observed {
    let mut seen = driver.observe(std::slice::from_ref(launch)).await;
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}

/// Whether it runs, once it has settled.
async fn lives(driver: &dyn Driver, launch: &Launch) -> bool {
    let ended = driver.ended_within(std::slice::from_ref(launch), SHORT).await;
    ended.is_none() && seen(driver, launch).await.is_alive()
}

async fn until_dead(driver: &dyn Driver, launch: &Launch) -> Option<String> {
    eventually("its end is seen", LONG, async || match seen(driver, launch).await {
        Observed::Dead { reason } => Some(reason),
        _ => None,
    })
    .await
}

async fn finish(driver: &dyn Driver, order: &LaunchOrder, launches: &[Launch]) {
    driver.end(launches).await.unwrap();
    driver.clear(&environment(&[(order, None)])).await.unwrap();
}

pub(crate) async fn a_launch_runs_until_it_is_ended(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    assert_eq!(driver.ended_within(std::slice::from_ref(&launch), SHORT).await, None);
    let Observed::Alive { number } = seen(&*driver, &launch).await else { panic!("it runs") };
    assert_eq!(number > 0, fixture.has_numbers());
    assert_eq!(driver.ended_within(&[], SHORT).await, None);
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(!seen(&*driver, &launch).await.is_alive(), "it has ended when the answer is there");
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    driver.end(&[]).await.unwrap();
    for _ in 0..2 {
        driver.clear(&environment(&[(&order, None)])).await.unwrap();
    }
}

pub(crate) async fn what_was_ended_is_launched_again(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut first = fixture.order(NodeId(1), Behaviour::Lasting);
    let one = launch(&*driver, &mut first).await;
    driver.end(&[one]).await.unwrap();
    let mut second = fixture.order(NodeId(1), Behaviour::Lasting);
    second.port = first.port;
    let other = launch(&*driver, &mut second).await;
    assert_eq!(second.port, first.port, "it has the port that it had");
    assert!(lives(&*driver, &other).await);
    finish(&*driver, &second, std::slice::from_ref(&other)).await;
    assert!(!seen(&*driver, &other).await.is_alive());
}

pub(crate) async fn a_launch_that_ends_is_told_with_its_reason(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Failing);
    let launch = launch(&*driver, &mut order).await;
    let ended = driver.ended_within(std::slice::from_ref(&launch), LONG).await.unwrap();
    assert_eq!(ended.launch, launch.id);
    assert!(ended.reason.contains("has ended with exit code 3"), "{}", ended.reason);
    let reason = until_dead(&*driver, &launch).await.unwrap();
    assert!(ended.reason.starts_with(&reason), "{reason}, and {}", ended.reason);
    finish(&*driver, &order, &[launch]).await;
}

pub(crate) async fn launches_are_observed_in_their_order(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut orders = [
        fixture.order(NodeId(1), Behaviour::Failing),
        fixture.order(NodeId(2), Behaviour::Lasting),
        fixture.order(NodeId(3), Behaviour::Lasting),
    ];
    let mut launches = Vec::new();
    for order in &mut orders {
        launches.push(launch(&*driver, order).await);
    }
    let ended = driver.ended_within(&launches, LONG).await.unwrap();
    assert_eq!(ended.launch, launches[0].id);
    until_dead(&*driver, &launches[0]).await;
    let never = Launch { id: LaunchId(Uuid::new_v4()), instance: None };
    let order = [&launches[2], &never, &launches[0], &launches[1]].map(Clone::clone);
    let alive: Vec<bool> = driver.observe(&order).await.iter().map(Observed::is_alive).collect();
    assert_eq!(alive, [true, false, false, true]);
    let all = driver.observe(&launches).await;
    let numbers: Vec<&Observed> = all.iter().filter(|seen| seen.is_alive()).collect();
    assert_eq!(numbers[0] != numbers[1], fixture.has_numbers(), "each has a number of its own");
    finish(&*driver, &orders[0], &launches).await;
}

pub(crate) async fn a_launch_that_was_not_recorded_is_found(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    drop(driver);

    let driver = fixture.open().await;
    let marks = [(NodeId(99), LaunchId(Uuid::new_v4())), (NodeId(1), launch.id)];
    let found: HashMap<LaunchId, Instance> = driver.find(&marks).await.unwrap();
    assert_eq!(found, HashMap::from([(launch.id, launch.instance.clone().unwrap())]));
    assert_eq!(driver.find(&[]).await.unwrap(), HashMap::new());
    let unrecorded = Launch { instance: None, ..launch.clone() };
    finish(&*driver, &order, &[unrecorded]).await;
    assert!(!seen(&*driver, &launch).await.is_alive(), "what has only its mark is ended by it");
}

pub(crate) async fn a_launch_is_known_to_the_next_service(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    let before = seen(&*driver, &launch).await;
    drop(driver);

    let driver = fixture.open().await;
    assert_eq!(seen(&*driver, &launch).await, before);
    assert_eq!(driver.ended_within(std::slice::from_ref(&launch), SHORT).await, None);
    finish(&*driver, &order, std::slice::from_ref(&launch)).await;
    assert!(!seen(&*driver, &launch).await.is_alive());
}

pub(crate) async fn only_what_was_ended_has_gone(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut orders = [1, 2].map(|node| fixture.order(NodeId(node), Behaviour::Lasting));
    let first = launch(&*driver, &mut orders[0]).await;
    let second = launch(&*driver, &mut orders[1]).await;
    driver.end(std::slice::from_ref(&first)).await.unwrap();
    assert!(!seen(&*driver, &first).await.is_alive());
    assert!(lives(&*driver, &second).await, "another node runs on");
    finish(&*driver, &orders[1], &[second]).await;
}

pub(crate) async fn what_is_not_offered_is_not_accepted(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let order = fixture.order(NodeId(1), Behaviour::Lasting);
    driver.accepts(&order.workload).unwrap();
    let unknown = Workload::template("no-such-template".parse().unwrap());
    assert!(driver.accepts(&unknown).is_err());
    assert!(driver.prepare(&unknown).await.is_err());
    assert!(driver.launch(&LaunchOrder { workload: unknown, ..order }).await.is_err());
    let refused = driver.accepts(&Workload::image("forbidden/image".parse().unwrap(), Tag::latest()));
    assert!(!refused.unwrap_err().to_string().is_empty());
    assert!(!driver.node_types().contains(&&NodeType::of_images()), "images are not a template");
}

pub(crate) async fn a_command_runs_in_a_node_that_runs(fixture: &mut impl Fixture) {
    let Some(command) = fixture.command() else { return };
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    let recorded = environment(&[(&order, Some(launch.clone()))]);
    let node = NodeAt { environment: &recorded, node: &recorded.nodes[0] };
    let output = driver.exec(node, &command_of_time(&command, LONG)).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    assert_eq!((output.code, text(&output.out), text(&output.error)), (3, "out".to_owned(), "error".to_owned()));
    let short = Command { most_output: 2, ..command_of_time(&command, LONG) };
    let output = driver.exec(node, &short).await.unwrap();
    assert_eq!((output.code, output.out.as_slice(), output.error.as_slice()), (3, &b"ou"[..], &b"er"[..]));

    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(matches!(driver.exec(node, &command).await, Err(NodeError::NotRunning)));
    let recorded = environment(&[(&order, None)]);
    let node = NodeAt { environment: &recorded, node: &recorded.nodes[0] };
    assert!(matches!(driver.exec(node, &command).await, Err(NodeError::NotRunning)));
    finish(&*driver, &order, &[launch]).await;
}

pub(crate) async fn a_log_is_read(fixture: &mut impl Fixture) {
    if fixture.command().is_none() {
        return;
    }
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    let recorded = environment(&[(&order, Some(launch.clone()))]);
    let node = NodeAt { environment: &recorded, node: &recorded.nodes[0] };
    let path = eventually("its first line", LONG, async || {
        for log in driver.logs(node).await.unwrap() {
            let all = driver.read_log(node, &log.path, Window { from: Some(0), count: 100 }).await.unwrap();
            if all == b"begun\n" {
                return Some(log.path);
            }
        }
        None
    })
    .await;
    let part = async |from, count| driver.read_log(node, &path, Window { from, count }).await.unwrap();
    assert_eq!(part(Some(1), 3).await, b"egu");
    assert_eq!(part(None, 3).await, b"un\n", "up to its end");
    assert_eq!(part(None, 100).await, b"begun\n");
    assert_eq!(part(Some(100), 3).await, b"");
    for other in ["nothing.log", "../../secret", "/etc/passwd", ""] {
        let read = driver.read_log(node, other, Window { from: None, count: 10 }).await;
        assert!(matches!(read, Err(NodeError::NoFile)), "{other:?}: {read:?}");
    }
    for other in ["/no/such/file", "/", ""] {
        let read = driver.read_file(node, other, 10).await;
        assert!(matches!(read, Err(NodeError::NoFile)), "{other:?}: {read:?}");
    }
    finish(&*driver, &order, &[launch]).await;
}

pub(crate) async fn an_end_is_told(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut changes = driver.changes();
    changes.borrow_and_update();
    let mut order = fixture.order(NodeId(1), Behaviour::Failing);
    let launch = launch(&*driver, &mut order).await;
    let dead = async {
        while seen(&*driver, &launch).await.is_alive() {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LONG, dead).await.expect("whoever waits for changes learns of its end");
    finish(&*driver, &order, &[launch]).await;
}

pub(crate) async fn a_node_that_runs_is_resized(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    let mut recorded = environment(&[(&order, Some(launch.clone()))]);
    for cloudlets in [4, 2] {
        recorded.nodes[0].cloudlets = crate::domain::Cloudlets::new(Some(1), Some(cloudlets)).unwrap();
        driver.resize(NodeAt { environment: &recorded, node: &recorded.nodes[0] }).await.unwrap();
        assert!(lives(&*driver, &launch).await);
    }
    finish(&*driver, &order, &[launch]).await;
}

pub(crate) async fn nothing_is_discovered_that_it_launched(fixture: &mut impl Fixture) {
    let driver = fixture.open().await;
    let mut order = fixture.order(NodeId(1), Behaviour::Lasting);
    let launch = launch(&*driver, &mut order).await;
    assert_eq!(driver.discover().await.unwrap(), Discovery::default());
    finish(&*driver, &order, &[launch]).await;
}
