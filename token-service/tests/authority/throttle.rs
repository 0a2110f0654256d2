//! Guessing is slowed down.

mod turned_away;

use std::time::Duration;

use access::{Credential, CredentialKind, Origin};
use futures::future::join_all;
use proto::token::v1::{ReportLeakedTokenRequest, SigninRequest};
use proto::{ErrorKind, Failure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tonic::Request;

use crate::stage::{LOGIN, PASSWORD, Stage, failure, stages, stop_request, timed_stages};

/// How many wrong tries at an account are free.
const FREE: usize = 10;

fn from(address: &str) -> Origin {
    Origin::new(address.parse().ok(), "", "")
}

async fn signin_from(stage: &Stage, address: &str, login: &str, password: &str) -> Result<(), Failure> {
    let request = Request::new(SigninRequest { login: login.into(), password: password.into() });
    let answer = stage.authority.clone().signin(stage.from(&from(address), request)).await;
    answer.map(drop).map_err(Failure::from)
}

fn kind(answer: Result<(), Failure>) -> Option<ErrorKind> {
    answer.err().map(|failure| failure.kind())
}

#[tokio::test]
async fn a_wait_follows_the_free_tries_and_doubles_whether_the_login_is_known_or_not() {
    for stage in timed_stages(|_| {}).await {
        for login in [LOGIN, "nobody"] {
            for _ in 0..=FREE {
                assert_eq!(failure(stage.signin(login, "wrong").await).kind(), ErrorKind::WrongLogin, "{login}");
            }
            for wait in [1_u64, 2, 4] {
                for password in ["wrong", PASSWORD] {
                    let early = failure(stage.signin(login, password).await);
                    assert_eq!(early.kind(), ErrorKind::Throttled, "{}: {login}, {wait} s", stage.engine);
                    assert_eq!(early.message(), format!("too many wrong tries: try again in {wait} s"));
                    assert_eq!(early.detail("retryAfter"), Some(wait.to_string().as_str()));
                }
                stage.advance(Duration::from_secs(wait));
                assert_eq!(failure(stage.signin(login, "wrong").await).kind(), ErrorKind::WrongLogin, "{login}");
            }
        }
        stage.advance(Duration::from_secs(8));
        stage.signin(LOGIN, PASSWORD).await.unwrap();
        for _ in 0..=FREE {
            assert_eq!(failure(stage.signin(LOGIN, "wrong").await).kind(), ErrorKind::WrongLogin, "a clean slate");
        }
        assert_eq!(failure(stage.signin(LOGIN, PASSWORD).await).kind(), ErrorKind::Throttled, "{}", stage.engine);
    }
}

#[tokio::test]
async fn tries_at_once_do_not_get_ahead_of_the_count() {
    for stage in stages().await {
        let replica = stage.replica().await;
        let tries = join_all((0..60).map(|number| {
            let stage = if number % 2 == 0 { &stage } else { &replica };
            async move { failure(stage.signin(LOGIN, "wrong").await).kind() }
        }));
        let tries = tries.await;
        let looked_at = tries.iter().filter(|kind| **kind == ErrorKind::WrongLogin).count();
        assert!(tries.iter().all(|kind| matches!(kind, ErrorKind::WrongLogin | ErrorKind::Throttled)), "{tries:?}");
        // As long as they take, a wait or two may pass.
        assert!((FREE..FREE + 7).contains(&looked_at), "{}: {looked_at}", stage.engine);
    }
}

#[tokio::test]
async fn right_passwords_pass_however_many_come_at_once() {
    for stage in stages().await {
        let opened = join_all((0..60).map(|_| signin_from(&stage, "203.0.113.9", LOGIN, PASSWORD))).await;
        assert!(opened.iter().all(Result::is_ok), "{}: {opened:?}", stage.engine);
    }
}

#[tokio::test]
async fn an_address_is_slowed_down_whatever_logins_it_tries() {
    for stage in timed_stages(|config| config.throttle.address_free = 3).await {
        for number in 0..4 {
            let answer = signin_from(&stage, "2001:db8::1", &format!("nobody-{number}"), "wrong").await;
            assert_eq!(kind(answer), Some(ErrorKind::WrongLogin), "{}", stage.engine);
        }
        for (address, expected) in
            [("2001:db8::2", Some(ErrorKind::Throttled)), ("2001:db8:0:1::1", None), ("203.0.113.9", None), ("", None)]
        {
            let answer = signin_from(&stage, address, LOGIN, PASSWORD).await;
            assert_eq!(kind(answer), expected, "{}: {address}", stage.engine);
        }
        stage.advance(Duration::from_secs(1));
        assert_eq!(kind(signin_from(&stage, "2001:db8::1", LOGIN, PASSWORD).await), None);
        // The right one was the account's: what the address has tried before still counts.
        let wrong = signin_from(&stage, "2001:db8::1", "nobody", "wrong").await;
        assert_eq!(kind(wrong), Some(ErrorKind::WrongLogin));
        assert_eq!(kind(signin_from(&stage, "2001:db8::1", LOGIN, PASSWORD).await), Some(ErrorKind::Throttled));
        // One is forgotten each five minutes.
        stage.advance(Duration::from_secs(20 * 60));
        for _ in 0..3 {
            let answer = signin_from(&stage, "2001:db8::1", "nobody", "wrong").await;
            assert_eq!(kind(answer), Some(ErrorKind::WrongLogin), "{}", stage.engine);
        }
    }
}

#[tokio::test]
async fn the_password_that_confirms_a_change_is_slowed_down_by_itself() {
    for stage in timed_stages(|config| config.throttle.account_free = 2).await {
        let session = stage.session().await;
        let create = async |password: &str| {
            let mut request = stop_request();
            request.password = password.into();
            stage.create_token(&session, request).await
        };
        for _ in 0..3 {
            assert_eq!(failure(create("wrong").await).kind(), ErrorKind::WrongPassword);
        }
        assert_eq!(failure(create(PASSWORD).await).kind(), ErrorKind::Throttled, "{}", stage.engine);
        stage.session().await;
        assert_eq!(failure(create(PASSWORD).await).kind(), ErrorKind::Throttled, "{}: still", stage.engine);
        stage.advance(Duration::from_secs(1));
        create(PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn reports_of_values_that_nobody_has_are_slowed_down() {
    for stage in timed_stages(|config| config.throttle.address_free = 2).await {
        let mut rng = StdRng::seed_from_u64(5);
        let mut report = async |address: &str| {
            let value = Credential::generate(CredentialKind::Token, &mut rng);
            let request = Request::new(ReportLeakedTokenRequest { token_value: value.expose().into() });
            let answer = stage.authority.clone().report_leaked_token(stage.from(&from(address), request)).await;
            kind(answer.map(drop).map_err(Failure::from))
        };
        for _ in 0..3 {
            assert_eq!(report("203.0.113.9").await, None, "{}", stage.engine);
        }
        assert_eq!(report("203.0.113.9").await, Some(ErrorKind::Throttled), "{}", stage.engine);
        assert_eq!(report("203.0.113.10").await, None, "{}", stage.engine);
    }
}

#[tokio::test]
async fn a_report_costs_the_same_whether_there_is_such_a_value() {
    for stage in timed_stages(|config| config.throttle.address_free = 1).await {
        let value = stage.stop_token(&stage.session().await).await.key.unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let unknown = Credential::generate(CredentialKind::Token, &mut rng).expose().to_owned();
        for (address, value) in [("203.0.113.9", &value), ("203.0.113.10", &unknown)] {
            let mut answers = Vec::new();
            for _ in 0..3 {
                let request = Request::new(ReportLeakedTokenRequest { token_value: value.clone() });
                let answer = stage.authority.clone().report_leaked_token(stage.from(&from(address), request)).await;
                answers.push(kind(answer.map(drop).map_err(Failure::from)));
            }
            assert_eq!(answers, [None, None, Some(ErrorKind::Throttled)], "{}: {address}", stage.engine);
        }
    }
}

#[tokio::test]
async fn who_tries_sign_ins_from_an_address_keeps_no_session_there_from_changing_its_tokens() {
    for stage in timed_stages(|config| config.throttle.address_free = 1).await {
        let session = stage.session().await;
        let mut answer = None;
        while answer != Some(ErrorKind::Throttled) {
            answer = kind(signin_from(&stage, "203.0.113.9", "nobody", "wrong").await);
        }
        let request = stage.granted(&session, stop_request()).await;
        let created = stage.authority.clone().create_token(stage.from(&from("203.0.113.9"), request)).await;
        assert!(created.is_ok(), "{}: {created:?}", stage.engine);
    }
}
