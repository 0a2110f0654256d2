//! What becomes of environments whose account is deleted.

use access::Revision;
use jiff::SignedDuration;
use proto::ErrorKind;
use proto::environment::v1::{CreateEnvironmentRequest, EnvironmentSpec, GetEnvsRequest, NodeSpec, StopEnvRequest};
use testkit::{TestDatabase, databases, eventually};

use crate::authority::{ALICE, BOB, with_grant};
use crate::stage::{LONG, Stage, all_alive, answer, assert_kind, pids};

/// A service and an authority that has accounts.
async fn inhabited(database: TestDatabase) -> Stage {
    let mut stage = Stage::prepare(database).await;
    // What the authority waits for when the service is not there.
    stage.authority.lease_for(SignedDuration::from_millis(500));
    stage.authority.make_accounts().await;
    stage.authority.start().await;
    stage.start_service().await;
    stage
}

/// How each deletion of an environment ended, and why it was done.
async fn deletions(stage: &Stage) -> Vec<(String, String, String)> {
    let rows = "select environment, coalesce(outcome, ''), coalesce(message, '') from operation \
                where operation = 'delete' order by environment, id";
    let database = stage.database().await;
    let rows = sqlx::query_as(rows).fetch_all(database.reader()).await.unwrap();
    database.close().await;
    rows
}

async fn until_left(stage: &Stage, names: &[&str]) {
    let database = stage.database().await;
    eventually("what is left", LONG, async || {
        let rows: Vec<(String,)> =
            sqlx::query_as("select name from environment order by name").fetch_all(database.reader()).await.unwrap();
        (rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>() == names).then_some(())
    })
    .await;
    database.close().await;
}

fn told(environment: &str) -> (String, String, String) {
    (environment.to_owned(), "done".to_owned(), "its account was deleted".to_owned())
}

#[tokio::test]
async fn a_deleted_accounts_environments_end_and_no_others() {
    for database in databases() {
        let stage = inhabited(database).await;
        let (alice, bob) = (stage.alice(), stage.account(BOB));
        let kept = alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
        let left = bob.create("blog", &[("cp", "stubborn", 2)]).await.unwrap();
        bob.create("wiki", &[("cp", "pair", 1)]).await.unwrap();
        bob.stop("wiki").await.unwrap();
        stage.authority.delete_account(BOB).await;
        until_left(&stage, &["shop"]).await;
        assert_eq!(deletions(&stage).await, [told("blog"), told("wiki")], "{}", stage.engine);
        assert!(pids(&left.nodes).iter().all(|pid| !all_alive(&[*pid])), "{}", stage.engine);
        assert!(all_alive(&pids(&kept.nodes)), "{}", stage.engine);
        assert!(!stage.file("data/environments/blog").exists() && stage.file("data/environments/shop").exists());
        // Its name is free.
        alice.create("blog", &[("cp", "pair", 1)]).await.unwrap();
    }
}

#[tokio::test]
async fn what_happens_while_the_service_is_down_is_made_up_for() {
    for database in databases() {
        let mut stage = inhabited(database).await;
        let left = stage.account(BOB).create("blog", &[("cp", "pair", 1)]).await.unwrap();
        stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
        stage.stop_service().await;
        stage.authority.delete_account(BOB).await;
        assert!(all_alive(&pids(&left.nodes)), "{}: nobody is there to end it", stage.engine);
        stage.start_service().await;
        until_left(&stage, &["shop"]).await;
        assert!(!all_alive(&pids(&left.nodes)), "{}", stage.engine);
        assert_eq!(deletions(&stage).await, [told("blog")], "{}", stage.engine);
    }
}

#[tokio::test]
async fn what_turns_up_of_an_account_that_is_gone_is_deleted_too() {
    let stage = inhabited(TestDatabase::sqlite()).await;
    let bob = stage.account(BOB);
    bob.create("blog", &[("cp", "pair", 1)]).await.unwrap();
    stage.authority.delete_account(BOB).await;
    until_left(&stage, &[]).await;
    // As a call does that was let in right before.
    let mut claims = bob.claims();
    claims.as_of = Revision(i64::MAX);
    let env = Some(EnvironmentSpec { shortdomain: "late".to_owned(), ..EnvironmentSpec::default() });
    let nodes = vec![NodeSpec { node_type: "pair".to_owned(), ..NodeSpec::default() }];
    let request = CreateEnvironmentRequest { env, nodes, env_groups: Vec::new() };
    let request = with_grant(&stage.authority.signing_key.sign(&claims), request);
    answer(stage.client().create_environment(request).await).unwrap();
    until_left(&stage, &[]).await;
    assert_eq!(stage.processes(), [] as [i32; 0]);
    assert_eq!(deletions(&stage).await, [told("blog"), told("late")]);
}

#[tokio::test]
async fn another_authority_deletes_nothing_until_the_operator_says_so() {
    for database in databases() {
        let mut stage = inhabited(database).await;
        let left = stage.account(BOB).create("blog", &[("cp", "pair", 1)]).await.unwrap();
        // Which authority it is, is known before anything is told.
        let known = stage.database().await;
        eventually("the authority to be known", LONG, async || {
            let rows: Vec<(String,)> =
                sqlx::query_as("select id from authority").fetch_all(known.reader()).await.unwrap();
            (rows.len() == 1).then_some(())
        })
        .await;
        known.close().await;
        stage.stop_service().await;
        stage.authority.stop().await;

        // Another one, which has a BOB of its own, and deletes that.
        let folder = stage.file("");
        stage.authority.replace_database(&folder).await;
        stage.authority.make_accounts().await;
        stage.authority.start().await;
        stage.authority.delete_account(BOB).await;
        stage.start_service().await;
        let made = stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
        // It asks when it starts, and does not end before it has done what follows from the answer.
        stage.stop_service().await;
        assert!(all_alive(&pids(&made.nodes)) && all_alive(&pids(&left.nodes)), "{}", stage.engine);
        assert_eq!(deletions(&stage).await, [], "{}", stage.engine);

        environment_service::forget_authority(&stage.config).await.unwrap();
        stage.start_service().await;
        until_left(&stage, &["shop"]).await;
        assert_eq!(deletions(&stage).await, [told("blog")], "{}", stage.engine);
    }
}

#[tokio::test]
async fn an_authority_that_is_out_of_reach_deletes_nothing() {
    let mut stage = inhabited(TestDatabase::sqlite()).await;
    let kept = stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let request = stage.alice().granted(StopEnvRequest { env_name: "shop".to_owned() });
    stage.authority.stop().await;
    eventually("the lease to be over", LONG, async || {
        let refused = stage.client().get_envs(stage.alice().granted(GetEnvsRequest::default())).await;
        refused.is_err().then_some(())
    })
    .await;
    assert_kind(answer(stage.client().stop_env(request).await), ErrorKind::Unavailable);
    stage.stop_service().await;
    stage.start_service().await;
    assert!(all_alive(&pids(&kept.nodes)));
    stage.authority.start().await;
    eventually("the service to serve", LONG, async || {
        let found = stage.client().get_envs(stage.account(ALICE).granted(GetEnvsRequest::default())).await;
        found.is_ok().then_some(())
    })
    .await;
    assert!(all_alive(&pids(&kept.nodes)));
    assert_eq!(deletions(&stage).await, []);
}
