//! What comes at once: codes that are shown, and sign-ins while a second factor is turned on.

use futures::future::join_all;
use proto::ErrorKind;
use token_service::verify_audit;

use super::{Authenticator, confirm, enable, enrolled, pending, status, verify};
use crate::stage::{LOGIN, PASSWORD, failure, stages, timed_stages};

#[tokio::test]
async fn of_many_that_show_one_code_at_once_one_gets_in() {
    for stage in timed_stages(|_| {}).await {
        let session = stage.session().await;
        let (authenticator, codes) = enrolled(&stage, &session).await;
        let replica = stage.replica().await;
        let mut waiting = Vec::new();
        for _ in 0..8 {
            waiting.push(pending(&stage, LOGIN).await);
        }
        for code in [&authenticator.code(0), &codes[0]] {
            let sessions = waiting.iter().zip([&stage, &replica].into_iter().cycle());
            let shown = join_all(sessions.map(|(session, stage)| verify(stage, session, code))).await;
            let (passed, refused): (Vec<_>, Vec<_>) = shown.into_iter().partition(Result::is_ok);
            assert_eq!(passed.len(), 1, "{}: {code}", stage.engine);
            for answer in refused {
                let kind = failure(answer).kind();
                assert!(matches!(kind, ErrorKind::WrongSecondFactor | ErrorKind::NotAuthenticated), "{kind:?}");
            }
            let passed = passed.into_iter().next().unwrap().unwrap().session;
            waiting.retain(|session| *session != passed);
        }
        // A session that waits is opened once, whatever codes are shown for it at once.
        let shown = join_all(codes[1..5].iter().map(|code| verify(&stage, &waiting[0], code))).await;
        assert_eq!(shown.iter().filter(|answer| answer.is_ok()).count(), 1, "{}", stage.engine);
        assert_eq!(status(&stage, &session).await, (true, 8), "{}: the others are left", stage.engine);
        verify_audit(&stage.config.database_url, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_sign_in_that_meets_the_second_factor_waits_for_it_or_has_ended() {
    for stage in stages().await {
        let session = stage.session().await;
        let answer = enable(&stage, &session, PASSWORD).await.unwrap();
        let authenticator = Authenticator { stage: &stage, secret: answer.secret };
        let code = authenticator.code(0);
        let signed_in = join_all((0..12).map(|_| stage.signin(LOGIN, PASSWORD)));
        let (signed_in, confirmed) = tokio::join!(signed_in, confirm(&stage, &session, &code));
        confirmed.unwrap();
        for answer in signed_in {
            let opened = answer.unwrap().session;
            assert!(!stage.introspect(&opened).await.active, "{}", stage.engine);
        }
        assert!(stage.introspect(&session).await.active, "{}: the one that asks goes on", stage.engine);
    }
}
