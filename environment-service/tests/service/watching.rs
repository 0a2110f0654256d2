//! Watching environments: what is told, to whom, how soon, and when no more.

use std::time::{Duration, Instant};

use access::{AccountId, Claims, Confinement, Revision};
use jiff::{SignedDuration, Timestamp};
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::watch_envs_response::Event;
use proto::environment::v1::{SetEnvDisplayNameRequest, WatchEnvsRequest, WatchEnvsResponse, WatchedEnvironment};
use proto::{ErrorKind, Failure};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{TestDatabase, eventually};
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::authority::{ALICE, BOB, with_grant};
use crate::stage::{LONG, Stage, assert_kind, pids};

/// How soon a change has to show.
const SOON: Duration = Duration::from_secs(1);

const RUNNING: i32 = 1;
const STOPPED: i32 = 2;
const BROKEN: i32 = 11;

/// A stream that was begun.
#[derive(Debug)]
struct Watch(Streaming<WatchEnvsResponse>);

impl Watch {
    async fn begin(stage: &Stage, claims: &Claims) -> Result<Self, Failure> {
        Self::begin_by(stage.client(), stage, claims).await
    }

    async fn begin_by(mut client: ControlClient<Channel>, stage: &Stage, claims: &Claims) -> Result<Self, Failure> {
        let grant = stage.authority.signing_key.sign(claims);
        let begun = timeout(LONG, client.watch_envs(with_grant(&grant, WatchEnvsRequest {}))).await.unwrap();
        begun.map(|answer| Self(answer.into_inner())).map_err(Failure::from)
    }

    async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            let answer = timeout(LONG, self.0.message()).await.expect("an event or the end");
            if let Some(event) = answer.map_err(Failure::from)?.expect("a stream ends with a reason").event {
                return Ok(event);
            }
        }
    }

    /// The names and statuses of the first event.
    async fn snapshot(&mut self) -> Vec<(String, i32)> {
        match self.next().await.unwrap() {
            Event::Snapshot(all) => all.infos.iter().map(|info| (name(info), status(info))).collect(),
            other => panic!("not a snapshot: {other:?}"),
        }
    }

    async fn changed(&mut self) -> WatchedEnvironment {
        match self.next().await.unwrap() {
            Event::Changed(info) => info,
            other => panic!("not a change: {other:?}"),
        }
    }

    /// The environment, as soon as it is told to have this status and no operation is under way.
    async fn until(&mut self, shown: &str, wanted: i32) -> WatchedEnvironment {
        loop {
            let info = self.changed().await;
            let at_rest = info.last_operation.as_ref().is_none_or(|last| last.ended_on.is_some());
            if name(&info) == shown && status(&info) == wanted && at_rest {
                return info;
            }
        }
    }

    /// The end, before which nothing more is told.
    async fn end(&mut self) -> Failure {
        self.next().await.unwrap_err()
    }
}

fn name(info: &WatchedEnvironment) -> String {
    info.env.as_ref().unwrap().env_name.clone()
}

fn status(info: &WatchedEnvironment) -> i32 {
    info.env.as_ref().unwrap().status
}

async fn rename(stage: &Stage, claims: &Claims, env_name: &str, display_name: &str) -> Result<(), Failure> {
    let grant = stage.authority.signing_key.sign(claims);
    let request =
        SetEnvDisplayNameRequest { env_name: env_name.to_owned(), display_name: Some(display_name.to_owned()) };
    let renamed = stage.client().set_env_display_name(with_grant(&grant, request)).await;
    renamed.map(drop).map_err(Failure::from)
}

#[tokio::test]
async fn all_there_is_comes_first_and_then_what_changes_and_nothing_of_others() {
    for stage in Stage::on_each_engine().await {
        let (alice, bob) = (stage.alice(), stage.account(BOB));
        alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
        bob.create("bank", &[("cp", "pair", 1)]).await.unwrap();
        let mut watch = Watch::begin(&stage, &alice.claims()).await.unwrap();
        assert_eq!(watch.snapshot().await, [("shop".to_owned(), RUNNING)], "{}", stage.engine);

        bob.stop("bank").await.unwrap();
        alice.stop("shop").await.unwrap();
        let stopped = Instant::now();
        let told = watch.until("shop", STOPPED).await;
        assert!(stopped.elapsed() < SOON, "{:?}", stopped.elapsed());
        let info = alice.info("shop").await.unwrap();
        assert_eq!(told.last_operation, info.last_operation);
        assert_eq!((told.env, told.nodes, told.node_groups), (info.env, info.nodes, info.node_groups));
        assert_eq!((told.env_groups, told.right), (info.env_groups, info.right));

        alice.create("stall", &[("cp", "pair", 1)]).await.unwrap();
        let appid = watch.until("stall", RUNNING).await.env.unwrap().appid;
        rename(&stage, &alice.claims(), "stall", "The stall").await.unwrap();
        let renamed = Instant::now();
        assert_eq!(watch.changed().await.env.unwrap().display_name, "The stall");
        assert!(renamed.elapsed() < SOON, "{:?}", renamed.elapsed());
        alice.delete("stall").await.unwrap();
        let gone = loop {
            match watch.next().await.unwrap() {
                Event::Removed(gone) => break gone,
                Event::Changed(info) => assert_eq!(name(&info), "stall"),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((gone.env_name.as_str(), gone.appid), ("stall", appid));
    }
}

#[tokio::test]
async fn a_process_that_is_killed_shows_whoever_launched_it() {
    let mut stage = Stage::sqlite().await;
    let node = pids(&stage.alice().create("shop", &[("cp", "pair", 2)]).await.unwrap().nodes);
    for (index, by) in [(0, "this service"), (1, "the one before")] {
        if index == 1 {
            stage.stop_service().await;
            stage.start_service().await;
        }
        let mut watch = Watch::begin(&stage, &stage.alice().claims()).await.unwrap();
        watch.snapshot().await;
        kill_process(Pid::from_raw(node[index]).unwrap(), Signal::KILL).unwrap();
        let killed = Instant::now();
        let told = watch.changed().await;
        assert!(killed.elapsed() < SOON, "{by}: {:?}", killed.elapsed());
        assert_eq!(status(&told), BROKEN, "{by}");
        assert_eq!((told.nodes[index].status, told.nodes[index].ctid), (BROKEN, 0), "{by}");
    }
}

#[tokio::test]
async fn a_token_sees_the_environments_that_it_is_confined_to() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    for name in ["shop-a", "bank"] {
        alice.create(name, &[("cp", "pair", 1)]).await.unwrap();
    }
    let permission = proto::catalog().by_name("environment.control.WatchEnvs").unwrap().permission().unwrap().0;
    let environments = vec!["shop-*".parse().unwrap()];
    let token = Claims {
        confinement: Confinement { environments, networks: Vec::new() },
        ..stage.authority.token(ALICE, &[permission])
    };
    let mut watch = Watch::begin(&stage, &token).await.unwrap();
    assert_eq!(watch.snapshot().await, [("shop-a".to_owned(), RUNNING)]);
    alice.stop("bank").await.unwrap();
    alice.delete("bank").await.unwrap();
    alice.create("shop-b", &[("cp", "pair", 1)]).await.unwrap();
    loop {
        let told = watch.changed().await;
        assert_eq!(name(&told), "shop-b");
        if status(&told) == RUNNING {
            break;
        }
    }
    let other = stage.authority.token(ALICE, &[permission + 1]);
    assert_kind(Watch::begin(&stage, &other).await, ErrorKind::MissingPermission);
}

/// The environment gets one number after the other as its name. What was given after the confirmation is never told.
#[tokio::test]
async fn after_a_confirmed_change_of_the_credential_nothing_is_told() {
    let stage = Stage::sqlite().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let old = stage.authority.session(ALICE);
    let mut watch = Watch::begin(&stage, &old).await.unwrap();
    watch.snapshot().await;
    let (confirmed, mut number) = (std::cell::Cell::new(false), 0);
    let mut last_before = 0;
    let changes = async {
        // Some more after the confirmation.
        let mut more = 50;
        while more > 0 {
            let known = if confirmed.get() {
                more -= 1;
                Revision(1)
            } else {
                Revision(0)
            };
            if !confirmed.get() {
                last_before = number + 1;
            }
            let renamed =
                rename(&stage, &Claims { as_of: known, ..old.clone() }, "shop", &(number + 1).to_string()).await;
            // Between the change and its confirmation.
            if renamed.is_ok() {
                number += 1;
            }
        }
    };
    let revoked = async {
        watch.changed().await;
        stage.authority.change_alice().await;
        confirmed.set(true);
    };
    tokio::join!(changes, revoked);
    assert!(last_before > 0 && number > last_before, "{number} after {last_before}");
    let end = loop {
        match watch.next().await {
            Ok(Event::Changed(info)) => {
                let told: i32 = info.env.unwrap().display_name.parse().unwrap();
                assert!(told <= last_before, "{told} was told, and {last_before} was the last before the confirmation");
            }
            Ok(other) => panic!("{other:?}"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(end.kind(), ErrorKind::StaleGrant);
    assert_kind(Watch::begin(&stage, &old).await, ErrorKind::StaleGrant);
    Watch::begin(&stage, &Claims { as_of: Revision(1), ..old }).await.unwrap().snapshot().await;
}

#[tokio::test]
async fn another_credentials_change_ends_nothing() {
    let stage = Stage::sqlite().await;
    stage.account(BOB).create("bank", &[("cp", "pair", 1)]).await.unwrap();
    let mut watch = Watch::begin(&stage, &stage.account(BOB).claims()).await.unwrap();
    watch.snapshot().await;
    stage.authority.change_alice().await;
    stage.account(BOB).stop("bank").await.unwrap();
    watch.until("bank", STOPPED).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_grant_and_with_its_credential() {
    let stage = Stage::sqlite().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    type Ending = fn(Claims, Timestamp) -> Claims;
    let with_grant: Ending = |claims, soon| Claims { expires_at: soon, ..claims };
    let with_credential: Ending = |claims, soon| Claims { credential_expires_at: Some(soon), ..claims };
    for ending in [with_grant, with_credential] {
        let soon = Timestamp::now() + SignedDuration::from_millis(1500);
        let claims = ending(stage.authority.session(ALICE), soon);
        let mut watch = Watch::begin(&stage, &claims).await.unwrap();
        watch.snapshot().await;
        let end = watch.end().await;
        assert!(Timestamp::now() >= soon);
        assert_eq!((end.kind(), end.message()), (ErrorKind::StaleGrant, "the grant has expired"));
    }
}

#[tokio::test]
async fn without_a_lease_nothing_is_told() {
    let lease = SignedDuration::from_millis(500);
    let mut stage = Stage::start_with_lease(TestDatabase::sqlite(), lease).await;
    let node = pids(&stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap().nodes);
    let claims = stage.alice().claims();
    let mut watch = Watch::begin(&stage, &claims).await.unwrap();
    watch.snapshot().await;
    stage.authority.stop().await;
    let failure = watch.end().await;
    assert_eq!(failure.kind(), ErrorKind::Unavailable, "{failure}");
    kill_process(Pid::from_raw(node[0]).unwrap(), Signal::KILL).unwrap();
    assert_kind(Watch::begin(&stage, &claims).await, ErrorKind::Unavailable);
    stage.authority.start().await;
    let mut again = eventually("another lease", LONG, async || Watch::begin(&stage, &claims).await.ok()).await;
    assert_eq!(again.snapshot().await, [("shop".to_owned(), BROKEN)]);
}

#[tokio::test]
async fn an_account_has_so_many_streams_and_who_leaves_makes_room() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.watchers_per_account = 2;
    stage.authority.start().await;
    stage.start_service().await;
    let claims = stage.authority.session(ALICE);
    let mut first = Watch::begin(&stage, &claims).await.unwrap();
    let mut second = Watch::begin(&stage, &claims).await.unwrap();
    assert_eq!((first.snapshot().await, second.snapshot().await), (Vec::new(), Vec::new()));
    let refused = assert_kind(Watch::begin(&stage, &claims).await, ErrorKind::Throttled);
    assert!(refused.contains("watched 2 times"), "{refused}");
    Watch::begin(&stage, &stage.authority.session(AccountId(3))).await.unwrap();
    drop(first);
    let mut third = eventually("room", LONG, async || Watch::begin(&stage, &claims).await.ok()).await;
    assert_eq!(third.snapshot().await, []);
}

/// A caller that reads nothing holds up nobody, and is told the latest when it reads again.
#[tokio::test]
async fn a_slow_reader_is_told_the_latest_of_each_environment() {
    const CHANGES: usize = 40;
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.listen = ([127, 0, 0, 1], testkit::free_port()).into();
    stage.authority.start().await;
    stage.start_service().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let claims = stage.alice().claims();
    let endpoint = Endpoint::from_shared(format!("http://{}", stage.config.listen)).unwrap();
    let narrow = endpoint.initial_stream_window_size(512).connect().await.unwrap();
    let mut slow = Watch::begin_by(ControlClient::new(narrow), &stage, &claims).await.unwrap();
    let mut quick = Watch::begin(&stage, &claims).await.unwrap();
    quick.snapshot().await;
    for number in 0..CHANGES {
        rename(&stage, &claims, "shop", &number.to_string()).await.unwrap();
        assert_eq!(quick.changed().await.env.unwrap().display_name, number.to_string());
    }
    slow.snapshot().await;
    let mut told = 0;
    while slow.changed().await.env.unwrap().display_name != (CHANGES - 1).to_string() {
        told += 1;
        assert!(told < CHANGES / 4, "what is old is told");
    }
}

#[tokio::test]
async fn streams_end_when_the_service_does() {
    let mut stage = Stage::sqlite().await;
    let mut watch = Watch::begin(&stage, &stage.alice().claims()).await.unwrap();
    watch.snapshot().await;
    let begun = Instant::now();
    let (end, ()) = tokio::join!(watch.end(), stage.stop_service());
    assert_eq!(end.kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() < LONG / 3, "{:?}", begun.elapsed());
}
