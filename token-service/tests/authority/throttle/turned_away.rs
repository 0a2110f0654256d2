//! What comes too early stands in the audit log, however often it comes a few entries only.

use std::time::Duration;

use access::Origin;
use futures::future::join_all;
use proto::ErrorKind;
use proto::token::v1::{SigninRequest, Verify2FaCodeRequest};
use serde_json::Value;
use token_service::{export_audit, verify_audit};
use tonic::Request;

use super::signin_from;
use crate::second_factor::{enrolled, pending};
use crate::stage::{LOGIN, PASSWORD, Stage, failure, stop_request, timed_stages};

/// Every entry of the installation, oldest first, from after one on.
async fn entries_after(stage: &Stage, last: usize) -> Vec<Value> {
    verify_audit(&stage.config.database_url, None).await.unwrap();
    let mut out = Vec::new();
    export_audit(&stage.config.database_url, &mut out).await.unwrap();
    String::from_utf8(out).unwrap().lines().skip(last).map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn count(stage: &Stage) -> usize {
    entries_after(stage, 0).await.len()
}

/// Whose account it was, who did what to what, from where and under which request; what came of it.
fn told(entry: &Value) -> String {
    let text = |member: &str| entry[member].as_str().unwrap().to_owned();
    let (account, address, request) = (&entry["account"], text("address"), text("requestId"));
    format!(
        "{account}: {} {} [{}] {} {address} {request}",
        text("actor"),
        text("action"),
        text("object"),
        text("outcome")
    )
}

async fn told_after(stage: &Stage, last: usize) -> Vec<String> {
    entries_after(stage, last).await.iter().map(told).collect()
}

fn origin(request: &str) -> Origin {
    Origin::new("203.0.113.9".parse().ok(), "curl/8", request)
}

/// Tries to sign in, under a request's id.
async fn signin(stage: &Stage, login: &str, password: &str, request: &str) -> Option<ErrorKind> {
    let message = Request::new(SigninRequest { login: login.into(), password: password.into() });
    let answer = stage.authority.clone().signin(stage.from(&origin(request), message)).await;
    answer.err().map(|status| proto::Failure::from(status).kind())
}

#[tokio::test]
async fn the_first_sign_in_that_comes_too_early_is_an_entry_and_then_how_many_did() {
    for stage in timed_stages(|config| config.throttle.account_free = 2).await {
        for (login, account) in [(LOGIN, 1), ("nobody", 0)] {
            for _ in 0..3 {
                assert_eq!(signin(&stage, login, "wrong", "").await, Some(ErrorKind::WrongLogin));
            }
            let before = count(&stage).await;
            for request in ["request-1", "request-2", "request-3"] {
                assert_eq!(signin(&stage, login, PASSWORD, request).await, Some(ErrorKind::Throttled));
            }
            let first = format!("{account}: anonymous session.open [] THROTTLED 203.0.113.9 request-1");
            assert_eq!(told_after(&stage, before).await, [first.as_str()], "{}: {login}", stage.engine);

            stage.advance(Duration::from_secs(1));
            assert_eq!(signin(&stage, login, "wrong", "request-4").await, Some(ErrorKind::WrongLogin));
            assert_eq!(signin(&stage, login, "wrong", "request-5").await, Some(ErrorKind::Throttled));
            let expected = [
                first,
                format!("{account}: authority session.open [3] THROTTLED  "),
                format!("{account}: anonymous session.open [] WRONG_LOGIN 203.0.113.9 request-4"),
                format!("{account}: anonymous session.open [] THROTTLED 203.0.113.9 request-5"),
            ];
            assert_eq!(told_after(&stage, before).await, expected, "{}: the next wait", stage.engine);

            // Of a single one nothing is left to be told.
            stage.advance(Duration::from_secs(2));
            assert_eq!(signin(&stage, login, "wrong", "request-6").await, Some(ErrorKind::WrongLogin));
            assert_eq!(told_after(&stage, before).await.len(), 5, "{}: {login}", stage.engine);
        }
    }
}

#[tokio::test]
async fn however_many_come_too_early_at_once_at_two_replicas_they_are_two_entries() {
    const EARLY: usize = 40;
    for stage in timed_stages(|config| config.throttle.account_free = 0).await {
        let replica = stage.replica_at_its_time().await;
        assert_eq!(signin(&stage, LOGIN, "wrong", "").await, Some(ErrorKind::WrongLogin));
        let before = count(&stage).await;
        let early = (0..EARLY).map(|number| {
            let at = if number % 2 == 0 { &stage } else { &replica };
            signin(at, LOGIN, PASSWORD, "early")
        });
        assert!(join_all(early).await.into_iter().all(|kind| kind == Some(ErrorKind::Throttled)));
        stage.advance(Duration::from_secs(1));
        assert_eq!(signin(&stage, LOGIN, PASSWORD, "late").await, None);
        let expected = [
            "1: anonymous session.open [] THROTTLED 203.0.113.9 early".to_owned(),
            format!("1: authority session.open [{EARLY}] THROTTLED  "),
            "1: session 1 session.open [session 1] SUCCESS 203.0.113.9 late".to_owned(),
        ];
        assert_eq!(told_after(&stage, before).await, expected, "{}", stage.engine);
    }
}

#[tokio::test]
async fn an_address_that_is_turned_away_is_an_entry_of_its_own() {
    for stage in timed_stages(|config| config.throttle.address_free = 0).await {
        signin_from(&stage, "2001:db8::1", "nobody", "wrong").await.unwrap_err();
        let before = count(&stage).await;
        for login in [LOGIN, "somebody"] {
            signin_from(&stage, "2001:db8::2", login, PASSWORD).await.unwrap_err();
        }
        stage.advance(Duration::from_secs(1));
        signin_from(&stage, "2001:db8::3", LOGIN, PASSWORD).await.unwrap();
        let expected = [
            "1: anonymous session.open [address 2001:db8::] THROTTLED 2001:db8::2 ",
            "0: authority session.open [2 from 2001:db8::] THROTTLED  ",
            "1: session 1 session.open [session 1] SUCCESS 2001:db8::3 ",
        ];
        assert_eq!(told_after(&stage, before).await, expected, "{}", stage.engine);
    }
}

#[tokio::test]
async fn passwords_that_confirm_and_codes_that_come_too_early_are_entries_too() {
    for stage in timed_stages(|config| config.throttle.account_free = 0).await {
        let session = stage.session().await;
        let create = async |password: &str| {
            let mut request = stop_request();
            request.password = password.into();
            let request = stage.granted(&session, request).await;
            failure(stage.authority.clone().create_token(request).await).kind()
        };
        assert_eq!(create("wrong").await, ErrorKind::WrongPassword);
        let before = count(&stage).await;
        for _ in 0..2 {
            assert_eq!(create(PASSWORD).await, ErrorKind::Throttled);
        }
        let expected = ["1: session 1 password.confirm [account 1] THROTTLED 127.0.0.1 "];
        assert_eq!(told_after(&stage, before).await, expected, "{}", stage.engine);
        stage.advance(Duration::from_secs(1));
        stage.stop_token(&session).await;
        let told = told_after(&stage, before).await;
        assert_eq!(told[1], "1: authority password.confirm [2] THROTTLED  ", "{}", stage.engine);

        let (authenticator, _) = enrolled(&stage, &session).await;
        let waiting = pending(&stage, LOGIN).await;
        let show = async |code: &str, request: &str| {
            let message = Request::new(Verify2FaCodeRequest { session: waiting.clone(), code: code.into() });
            failure(stage.authority.clone().verify2_fa_code(stage.from(&origin(request), message)).await).kind()
        };
        assert_eq!(show(&authenticator.code(-1), "request-1").await, ErrorKind::WrongSecondFactor);
        let before = count(&stage).await;
        for request in ["request-2", "request-3"] {
            assert_eq!(show(&authenticator.code(0), request).await, ErrorKind::Throttled);
        }
        let expected = ["1: session 2 second_factor.verify [account 1] THROTTLED 203.0.113.9 request-2"];
        assert_eq!(told_after(&stage, before).await, expected, "{}", stage.engine);
    }
}
