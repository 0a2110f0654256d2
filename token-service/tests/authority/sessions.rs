use std::time::Duration;

use access::Origin;
use futures::future::join_all;
use proto::ErrorKind;
use proto::token::v1::{
    CheckSignRequest, CredentialKind, CredentialUse, GetSessionsRequest, ReportUsesRequest, Session, SigninRequest,
    SignoutSessionsRequest,
};

use crate::accounts::another_account;
use crate::stage::{LOGIN, PASSWORD, Stage, assert_invalid, failure, stages, timed_stages, with_grant};

async fn sessions(stage: &Stage, session: &str) -> Vec<Session> {
    let request = stage.granted(session, GetSessionsRequest {}).await;
    stage.authority.clone().get_sessions(request).await.unwrap().into_inner().sessions
}

async fn signout(stage: &Stage, session: &str, ids: &[i64], all: bool) -> Result<(), tonic::Status> {
    let request = SignoutSessionsRequest { ids: ids.to_vec(), all: all.then_some(true) };
    let request = stage.granted(session, request).await;
    stage.authority.clone().signout_sessions(request).await.map(drop)
}

async fn number(stage: &Stage, session: &str) -> i64 {
    stage.introspect(session).await.claims.unwrap().credential_id
}

#[tokio::test]
async fn sessions_are_listed_with_where_they_were_opened() {
    for stage in stages().await {
        let origin = Origin::new(Some("203.0.113.7".parse().unwrap()), "a browser", "r-1");
        let request = SigninRequest { login: LOGIN.into(), password: PASSWORD.into() };
        let request = stage.from(&origin, tonic::Request::new(request));
        let first = stage.authority.clone().signin(request).await.unwrap().into_inner().session;
        let second = stage.session().await;
        let strange = another_account(&stage, "bob").await;

        let listed = sessions(&stage, &second).await;
        let strange = number(&stage, &strange).await;
        assert!(listed.iter().all(|session| session.id != strange && session.uid == 1), "{}", stage.engine);
        let first = number(&stage, &first).await;
        let found = listed.iter().find(|session| session.id == first).unwrap();
        assert_eq!(
            (found.host.as_str(), found.user_agent.as_str(), found.current),
            ("203.0.113.7", "a browser", false)
        );
        assert_eq!(found.created_on, found.last_access);
        let current: Vec<i64> = listed.iter().filter(|session| session.current).map(|session| session.id).collect();
        assert_eq!(current, [number(&stage, &second).await], "{}", stage.engine);
    }
}

#[tokio::test]
async fn sessions_are_ended_by_their_numbers_or_all_but_the_one_that_asks() {
    for stage in stages().await {
        let (asking, first, second, third) =
            (stage.session().await, stage.session().await, stage.session().await, stage.session().await);
        let strange = another_account(&stage, "bob").await;
        let ended = number(&stage, &first).await;
        let grant = stage.introspect(&first).await.grant;

        assert_invalid(signout(&stage, &asking, &[], false).await, "ids");
        assert_invalid(signout(&stage, &asking, &[ended], true).await, "ids");
        let foreign = signout(&stage, &asking, &[ended, number(&stage, &strange).await], false).await;
        assert_eq!(failure(foreign).kind(), ErrorKind::ObjectNotFound);
        assert!(stage.introspect(&first).await.active, "{}: nothing was changed", stage.engine);

        signout(&stage, &asking, &[ended], false).await.unwrap();
        assert!(!stage.introspect(&first).await.active, "{}", stage.engine);
        let again = stage.authority.clone().check_sign(with_grant(&grant, CheckSignRequest {})).await;
        assert_eq!(failure(again).kind(), ErrorKind::NotAuthenticated, "{}: a grant of before", stage.engine);
        assert!(stage.introspect(&second).await.active, "{}", stage.engine);

        signout(&stage, &asking, &[], true).await.unwrap();
        for dead in [&second, &third] {
            assert!(!stage.introspect(dead).await.active, "{}", stage.engine);
        }
        assert_eq!(sessions(&stage, &asking).await.len(), 1, "{}", stage.engine);
        assert!(stage.introspect(&strange).await.active, "{}: another account's", stage.engine);
    }
}

/// Tells the authority, as a gateway does, that a session was used now.
async fn used(stage: &Stage, session: &str, sequence: i64) {
    let claims = stage.introspect(session).await.claims.unwrap();
    let report = ReportUsesRequest {
        reporter: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
        sequence,
        uses: vec![CredentialUse {
            kind: CredentialKind::Session.into(),
            credential_id: claims.credential_id,
            last_used_at: claims.issued_at,
            count: 1,
            ..CredentialUse::default()
        }],
    };
    stage.uses.clone().report_uses(stage.by_service(report)).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_without_a_call_and_at_the_latest_after_its_lifetime() {
    const MINUTE: Duration = Duration::from_secs(60);
    let stages = timed_stages(|config| {
        config.session_idle_lifetime = jiff::SignedDuration::from_mins(10);
        config.session_lifetime = jiff::SignedDuration::from_mins(25);
    });
    for stage in stages.await {
        let (idle, busy) = (stage.session().await, stage.session().await);
        stage.advance(9 * MINUTE);
        assert!(stage.introspect(&idle).await.active, "{}", stage.engine);
        used(&stage, &busy, 1).await;
        let grant = stage.introspect(&idle).await.grant;
        stage.advance(MINUTE);
        assert!(!stage.introspect(&idle).await.active, "{}: ten minutes without a call", stage.engine);
        let late = stage.authority.clone().check_sign(with_grant(&grant, CheckSignRequest {})).await;
        assert_eq!(failure(late).kind(), ErrorKind::NotAuthenticated, "{}: a grant of before", stage.engine);
        assert_eq!(sessions(&stage, &busy).await.len(), 1, "{}", stage.engine);

        stage.advance(8 * MINUTE);
        used(&stage, &busy, 2).await;
        stage.advance(7 * MINUTE - Duration::from_micros(1));
        assert!(stage.introspect(&busy).await.active, "{}", stage.engine);
        stage.advance(Duration::from_micros(1));
        assert!(!stage.introspect(&busy).await.active, "{}: twenty-five minutes at the most", stage.engine);
    }
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_was_used_longest_ago() {
    for stage in timed_stages(|config| config.sessions_per_account = 3).await {
        let strange = another_account(&stage, "bob").await;
        signout(&stage, &stage.session().await, &[], true).await.unwrap();
        stage.advance(Duration::from_secs(1));
        let mut opened = Vec::new();
        for _ in 0..3 {
            opened.push(stage.session().await);
            stage.advance(Duration::from_secs(1));
        }
        used(&stage, &opened[0], 1).await;
        opened.push(stage.session().await);
        let mut alive = Vec::new();
        for session in &opened {
            alive.push(stage.introspect(session).await.active);
        }
        assert_eq!(alive, [true, false, true, true], "{}", stage.engine);
        assert!(stage.introspect(&strange).await.active, "{}: another account's", stage.engine);
    }
}

#[tokio::test]
async fn sign_ins_at_once_open_no_more_sessions_than_there_may_be() {
    for stage in timed_stages(|config| config.sessions_per_account = 3).await {
        let replica = stage.replica().await;
        let sign_ins = (0..12).map(|number| {
            let stage = if number % 2 == 0 { &stage } else { &replica };
            stage.session()
        });
        let mut alive = 0;
        for session in join_all(sign_ins).await {
            alive += usize::from(stage.introspect(&session).await.active);
        }
        assert_eq!(alive, 3, "{}", stage.engine);
    }
}
