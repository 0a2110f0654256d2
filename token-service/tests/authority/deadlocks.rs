//! However many change one account at once, none waits for another that waits for it.

use std::fmt::Debug;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use proto::token::v1::{
    ChangePasswordRequest, DeleteTokensRequest, EditTokenRequest, SignoutRequest, SignoutSessionsRequest,
};
use proto::{ErrorKind, Failure};
use storage::{Database, DatabaseOptions};
use testkit::{Postgres, TestDatabase, eventually};
use tonic::{Request, Response, Status};

use crate::second_factor::{enrolled, pending, verify};
use crate::stage::{LOGIN, PASSWORD, Stage, stop_request, with_grant};

const ROUNDS: usize = 6;
const AT_ONCE: usize = 3;

/// An authority and another replica of it, on a PostgreSQL of theirs.
async fn two(sessions: u32) -> (Stage, Stage) {
    let adjust = |config: &mut token_service::Config| {
        config.throttle.account_free = 100;
        config.sessions_per_account = sessions;
    };
    let first = Stage::start(TestDatabase::postgres(), adjust).await;
    let second = first.replica().await;
    (first, second)
}

/// Any answer will do but that something is out of reach or broken.
fn is_answered<T: Debug>(answer: Result<T, Status>) -> Option<T> {
    let failure = match answer {
        Ok(answer) => return Some(answer),
        Err(status) => Failure::from(status),
    };
    assert!(!matches!(failure.kind(), ErrorKind::Unavailable | ErrorKind::Internal), "{failure:?}");
    None
}

/// A request of a session, where that is still one.
async fn granted<T>(stage: &Stage, session: &str, message: T) -> Option<Request<T>> {
    let introspected = stage.introspect(session).await;
    introspected.active.then(|| with_grant(&introspected.grant, message))
}

async fn sign_in(stage: &Stage) -> Option<String> {
    is_answered(stage.signin(LOGIN, PASSWORD).await).map(|answer| answer.session)
}

/// Makes a token, changes it and deletes all that there are, as long as the session lives.
async fn change_tokens(stage: &Stage) -> Option<()> {
    let session = sign_in(stage).await?;
    let create = granted(stage, &session, stop_request()).await?;
    let made = is_answered(stage.authority.clone().create_token(create).await)?.into_inner().token?;
    let edit = EditTokenRequest { id: made.id, password: PASSWORD.into(), ..EditTokenRequest::default() };
    let edit = granted(stage, &session, edit).await?;
    is_answered(stage.authority.clone().edit_token(edit).await)?;
    let delete = DeleteTokensRequest { ids: Vec::new(), password: PASSWORD.into(), all: Some(true) };
    let delete = granted(stage, &session, delete).await?;
    is_answered(stage.authority.clone().delete_tokens(delete).await).map(Response::into_inner)?;
    Some(())
}

async fn sign_in_and_out(stage: &Stage) -> Option<()> {
    let session = sign_in(stage).await?;
    let signout = granted(stage, &session, SignoutRequest {}).await?;
    is_answered(stage.authority.clone().signout(signout).await).map(drop)
}

async fn end_others(stage: &Stage, session: &str) -> Option<()> {
    let all = SignoutSessionsRequest { all: Some(true), ..SignoutSessionsRequest::default() };
    let signout = granted(stage, session, all).await?;
    is_answered(stage.authority.clone().signout_sessions(signout).await).map(drop)
}

/// Gives the account the password that it has: that ends all other sessions.
async fn change_password(stage: &Stage) -> Option<()> {
    let session = sign_in(stage).await?;
    let change = ChangePasswordRequest { password: PASSWORD.into(), new_password: PASSWORD.into() };
    let change = granted(stage, &session, change).await?;
    is_answered(stage.account.clone().change_password(change).await).map(drop)
}

#[tokio::test]
async fn changes_of_one_account_at_once_do_not_wait_for_each_other_in_a_circle() {
    let (one, other) = two(4).await;
    let url = one.config.database_url.to_string();
    for _ in 0..ROUNDS {
        let mut work: Vec<BoxFuture<'_, Option<()>>> = Vec::new();
        for stage in [&one, &other].into_iter().cycle().take(AT_ONCE) {
            work.push(change_tokens(stage).boxed());
            work.push(sign_in_and_out(stage).boxed());
            work.push(change_password(stage).boxed());
            work.push(async { end_others(stage, &sign_in(stage).await?).await }.boxed());
        }
        let done = join_all(work).await;
        assert!(done.iter().any(Option::is_some), "something was done");
    }
    assert_eq!(Postgres::shared().deadlocks(&url), 0);
}

/// A sign-in takes the place of one that waits for its second factor, and then writes into the audit log. Here the end of all
/// sessions comes to the log first, and to that one later.
#[tokio::test]
async fn a_sign_in_that_makes_room_does_not_stand_in_the_way_of_the_end_of_all_sessions() {
    let (one, other) = two(3).await;
    let session = one.session().await;
    let (_, codes) = enrolled(&one, &session).await;
    let opened = pending(&one, LOGIN).await;
    verify(&one, &opened, &codes[0]).await.unwrap();
    // The one whose place is taken: there are as many as there may be.
    let replaced = pending(&one, LOGIN).await;
    for _ in 0..2 {
        pending(&one, LOGIN).await;
    }
    let url = one.config.database_url.clone();
    let database = Database::open(&url, &DatabaseOptions::default()).await.unwrap();
    let waiting = async |wanted: i64| {
        eventually("somebody who waits for a lock", Duration::from_secs(4), async || {
            let waiting = "select count(*) from pg_stat_activity \
                           where datname = current_database() and wait_event_type = 'Lock'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(database.reader()).await.unwrap();
            (waiting == wanted).then_some(())
        })
        .await;
    };

    let mut log = database.begin("test.log").await.unwrap();
    sqlx::query("update counter set value = value where name = 'audit'").execute(&mut *log).await.unwrap();
    let release = async {
        waiting(2).await;
        log.commit().await.unwrap();
    };
    let begin = async {
        waiting(1).await;
        tokio::join!(sign_in(&other), release).0
    };
    let (ended, begun) = tokio::join!(end_others(&one, &session), begin);
    ended.unwrap();
    begun.unwrap();
    for gone in [opened, replaced] {
        assert!(!one.introspect_anew(&gone).await.active);
    }
    assert_eq!(Postgres::shared().deadlocks(&url.to_string()), 0);
}
