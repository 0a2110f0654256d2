//! More calls than a service can take.

use crate::client::Answer;
use crate::stage::{LONG, STOP, Stage};

const INFO: &str = "/1.0/environment/control/rest/getenvinfo";

/// How many calls are made to know how long one takes, and how many wait then.
const FEW: usize = 20;
const MANY: usize = 120;

async fn look(stage: &Stage, session: &str, name: &str) -> Answer {
    stage.client.post(INFO, &[("envName", name), ("session", session)]).await
}

#[tokio::test]
async fn what_a_service_cannot_take_is_refused_at_once_and_what_was_let_in_is_done() {
    let stage = Stage::configured(|config| config.max_waiting_calls = 8).await;
    let session = stage.authority.session();
    for _ in 0..FEW {
        assert_eq!(look(&stage, &session, "a").await.json()["result"], 0);
    }
    let waiting: Vec<_> = (0..MANY)
        .map(|_| {
            let (client, session) = (stage.client.clone(), session.clone());
            tokio::spawn(async move { client.post(INFO, &[("envName", "slow"), ("session", &session)]).await })
        })
        .collect();
    stage.reached(FEW + MANY).await;
    // It gets on with half of them: each has waited for long.
    (0..MANY / 2).for_each(|_| stage.upstream.open_gate());
    let half = || async {
        let answered = waiting.iter().filter(|call| call.is_finished()).count();
        (answered >= MANY / 2).then_some(())
    };
    testkit::eventually("half of them", LONG, half).await;

    let refused = look(&stage, &session, "a").await;
    refused.assert_refused(9105, "environment-service is busy");
    assert_eq!((refused.json()["retryAfter"].as_str(), refused.header("retry-after")), (Some("1"), "1"), "{refused:?}");
    assert_eq!(stage.upstream.reached().len(), FEW + MANY, "it does not reach the service");
    stage.client.post(STOP, &[("envName", "a"), ("session", &session)]).await.assert_done();

    (0..MANY / 2).for_each(|_| stage.upstream.open_gate());
    for call in waiting {
        assert_eq!(call.await.unwrap().json()["result"], 0, "what was let in is done");
    }
    assert_eq!(look(&stage, &session, "a").await.json()["result"], 0, "it is over");
}
