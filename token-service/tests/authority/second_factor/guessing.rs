//! Guessing at codes is slowed down.

use std::time::Duration;

use access::Origin;
use proto::ErrorKind;
use proto::token::v1::Verify2FaCodeRequest;
use tonic::Request;

use super::{disable, enrolled, pending, verify};
use crate::accounts::another_account_of;
use crate::stage::{LOGIN, PASSWORD, failure, timed_stages};

#[tokio::test]
async fn guessing_at_an_accounts_codes_is_slowed_down() {
    for stage in timed_stages(|config| config.throttle.account_free = 2).await {
        let session = stage.session().await;
        let (authenticator, _) = enrolled(&stage, &session).await;
        let waiting = pending(&stage, LOGIN).await;
        let wrong = authenticator.code(-1);
        for _ in 0..3 {
            assert_eq!(failure(verify(&stage, &waiting, &wrong).await).kind(), ErrorKind::WrongSecondFactor);
        }
        let early = failure(verify(&stage, &waiting, &authenticator.code(0)).await);
        assert_eq!(early.kind(), ErrorKind::Throttled, "{}", stage.engine);
        assert_eq!(early.detail("retryAfter"), Some("1"));
        let elsewhere = disable(&stage, &session, PASSWORD, &authenticator.code(0)).await;
        assert_eq!(failure(elsewhere).kind(), ErrorKind::Throttled, "{}: wherever it is guessed", stage.engine);
        assert!(!stage.stop_token(&session).await.key.unwrap().is_empty(), "passwords are counted by themselves");

        // The wait grows beyond that for passwords.
        let mut wait = 1;
        while wait < 15 * 60 {
            stage.advance(Duration::from_secs(wait));
            let waiting = pending(&stage, LOGIN).await;
            assert_eq!(failure(verify(&stage, &waiting, &wrong).await).kind(), ErrorKind::WrongSecondFactor);
            wait = failure(verify(&stage, &waiting, &wrong).await).detail("retryAfter").unwrap().parse().unwrap();
        }
        assert_eq!(wait, 15 * 60, "{}", stage.engine);
        stage.advance(Duration::from_secs(wait));
        let waiting = pending(&stage, LOGIN).await;
        verify(&stage, &waiting, &authenticator.code(0)).await.unwrap();
        let waiting = pending(&stage, LOGIN).await;
        for _ in 0..3 {
            let answer = verify(&stage, &waiting, &wrong).await;
            assert_eq!(failure(answer).kind(), ErrorKind::WrongSecondFactor, "{}: a clean slate", stage.engine);
        }
    }
}

#[tokio::test]
async fn guessing_at_codes_from_an_address_is_slowed_down() {
    for stage in timed_stages(|config| config.throttle.address_free = 4).await {
        let session = stage.session().await;
        let shown = async |session: &str, address: &str| {
            let origin = Origin::new(address.parse().ok(), "", "");
            let request = Request::new(Verify2FaCodeRequest { session: session.into(), code: "000000".into() });
            failure(stage.authority.clone().verify2_fa_code(stage.from(&origin, request)).await).kind()
        };
        for number in 0..5 {
            let login = format!("account-{number}");
            let session = another_account_of(&stage, &session, &login).await;
            enrolled(&stage, &session).await;
            assert_eq!(shown(&pending(&stage, &login).await, "2001:db8::1").await, ErrorKind::WrongSecondFactor);
        }
        let login = "account-0";
        assert_eq!(shown(&pending(&stage, login).await, "2001:db8::2").await, ErrorKind::Throttled, "{}", stage.engine);
        assert_eq!(shown(&pending(&stage, login).await, "203.0.113.9").await, ErrorKind::WrongSecondFactor);
    }
}
