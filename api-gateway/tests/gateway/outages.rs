//! An outage is an outage: it is never told as a refusal.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::authority::Says;
use crate::stage::{STOP, Stage, stranger};

#[tokio::test]
async fn an_authority_that_is_gone() {
    let mut stage = Stage::start().await;
    let token = stage.stopper();
    let form = [("envName", "a"), ("session", token.as_str())];
    stage.client.post(STOP, &form).await.assert_done();
    assert_eq!(stage.client.get("/readyz").await.status, 200);
    stage.end_token_service().await;
    stage.client.post(STOP, &form).await.assert_refused(9105, "unavailable");
    assert_eq!(stage.upstream.reached().len(), 1, "nothing is executed");
    stage.client.post(STOP, &[("session", "pcl_pat_x"), ("envName", "a")]).await.assert_refused(702, "");
    let ready = stage.client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("token-service"), "{ready:?}");
    assert!(!ready.body.contains("environment-service"), "{ready:?}");
    assert_eq!(stage.client.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn readiness_is_asked_for_once_for_all_who_want_to_know() {
    const ASKING: usize = 60;
    let stage = Stage::start().await;
    let before = stage.authority.0.asked_for_keys.load(Relaxed);
    let answers = (0..ASKING).map(|_| stage.client.get("/readyz"));
    let answers = futures::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let asked = stage.authority.0.asked_for_keys.load(Relaxed) - before;
    assert!((1..ASKING / 2).contains(&asked), "the authority was asked {asked} times");
}

#[tokio::test]
async fn an_authority_that_does_not_answer() {
    let patience = Duration::from_millis(300);
    let stage =
        Stage::configured(|config| config.introspection_timeout = SignedDuration::try_from(patience).unwrap()).await;
    let token = stage.authority.credential(Says::Nothing);
    let began = Instant::now();
    stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await.assert_refused(9105, "unavailable");
    assert!(began.elapsed() >= patience, "{:?}", began.elapsed());
    assert_eq!(stage.upstream.reached(), []);
}

#[tokio::test]
async fn an_authority_that_does_not_know_this_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.key");
    std::fs::write(&file, stranger().expose()).unwrap();
    let stage = Stage::configured(|config| config.service_key_file = file).await;
    let form = [("envName", "a"), ("session", &stage.stopper())];
    stage.client.post(STOP, &form).await.assert_refused(99, "internal error");
    let ready = stage.client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("token-service"), "{ready:?}");
}

#[tokio::test]
async fn a_service_that_is_gone_before_or_during_a_call() {
    let mut stage = Stage::start().await;
    let token = stage.stopper();
    let (client, during) = (stage.client.clone(), token.clone());
    let call = tokio::spawn(async move { client.post(STOP, &[("envName", "slow"), ("session", &during)]).await });
    stage.reached(1).await;
    stage.end_environment_service().await;
    call.await.unwrap().assert_refused(9105, "environment-service is unavailable");
    let form = [("envName", "a"), ("session", token.as_str())];
    stage.client.post(STOP, &form).await.assert_refused(9105, "unavailable");
    let ready = stage.client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("environment-service"), "{ready:?}");
    assert!(!ready.body.contains("token-service"), "{ready:?}");
}
