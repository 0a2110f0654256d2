use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use proto::ErrorKind;
use proto::token::v1::ChangePasswordRequest;

use crate::stage::{LOGIN, PASSWORD, Stage, failure, stages};

const ROUNDS: usize = 5;
const AT_ONCE: usize = 8;

/// Signs in with a password over and over until it has been changed, and answers the sessions.
async fn sign_in_until(changed: &AtomicBool, stage: &Stage, password: &str) -> Vec<String> {
    let mut sessions = Vec::new();
    while !changed.load(Ordering::SeqCst) {
        match stage.signin(LOGIN, password).await {
            Ok(answer) => sessions.push(answer.session),
            refused => assert_eq!(failure(refused).kind(), ErrorKind::WrongLogin, "{}", stage.engine),
        }
    }
    sessions
}

#[tokio::test]
async fn no_session_of_the_old_password_outlives_a_change_however_many_sign_in_meanwhile() {
    for stage in stages().await {
        let session = stage.session().await;
        let mut old = PASSWORD.to_owned();
        for round in 0..ROUNDS {
            let new = format!("another horse battery {round}");
            let request = ChangePasswordRequest { password: old.clone(), new_password: new.clone() };
            let request = stage.granted(&session, request).await;
            let changed = AtomicBool::new(false);
            let change = async {
                let answer = stage.account.clone().change_password(request).await;
                changed.store(true, Ordering::SeqCst);
                answer.unwrap();
            };
            let sign_in = join_all((0..AT_ONCE).map(|_| sign_in_until(&changed, &stage, &old)));
            let (sessions, ()) = tokio::join!(sign_in, change);

            let sessions = sessions.concat();
            assert!(!sessions.is_empty(), "{}: there was a race", stage.engine);
            for opened in sessions {
                assert!(!stage.introspect(&opened).await.active, "{}, round {round}", stage.engine);
            }
            assert!(stage.introspect(&session).await.active, "{}: the one that asked goes on", stage.engine);
            stage.signin(LOGIN, &new).await.unwrap();
            old = new;
        }
    }
}
