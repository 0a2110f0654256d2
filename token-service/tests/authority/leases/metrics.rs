//! What the operator sees of leases.

use testkit::Metrics;

use super::*;

const HOLDERS: &str = "portcullis.lease.holders";
const LAG: &str = "portcullis.revision.lag";
const WAITING: &str = "portcullis.confirmation.waiting";
const DURATION: &str = "portcullis.confirmation.duration";

/// The name of the service key that the tests' holders have.
const TEST: Option<(&str, &str)> = Some(("service", "test"));
const ITSELF: Option<(&str, &str)> = Some(("service", "token-service"));

/// Waits until a metric has a value.
async fn comes_to(stage: &Stage, name: &str, attribute: Option<(&str, &str)>, value: f64) {
    let seen = || async { (stage.metrics.value(name, attribute) == Some(value)).then_some(()) };
    eventually(&format!("{name} of {value}"), LONG, seen).await;
}

#[tokio::test]
async fn holders_are_counted_while_they_are_there() {
    for database in databases() {
        let stage = stage(database).await;
        comes_to(&stage, HOLDERS, ITSELF, 1.0).await;
        assert_eq!(stage.metrics.value(HOLDERS, TEST), None, "{}: nobody was here", stage.engine);
        let one = Process::start(&stage, &[&stage]).await;
        assert_eq!(stage.metrics.value(HOLDERS, TEST), Some(1.0), "{}", stage.engine);
        let other = Process::start(&stage, &[&stage]).await;
        assert_eq!(stage.metrics.value(HOLDERS, TEST), Some(2.0), "{}", stage.engine);
        one.release().await;
        comes_to(&stage, HOLDERS, TEST, 1.0).await;
        other.release().await;
        comes_to(&stage, HOLDERS, TEST, 0.0).await;
        assert_eq!(stage.metrics.value(LAG, TEST), None, "nobody is there who could be behind");
    }
}

#[tokio::test]
async fn a_confirmation_is_counted_with_its_duration() {
    for database in databases() {
        let stage = stage(database).await;
        let session = stage.session().await;
        let process = Process::start(&stage, &[&stage]).await;
        let seen = Metrics::default();
        process.lease.show(&seen.meter());
        let token = stage.stop_token(&session).await;
        let (before, seconds_before) = stage.metrics.histogram(DURATION);
        let (_, micros) = delete(&stage, &session, token.id).await;
        let (after, seconds) = stage.metrics.histogram(DURATION);
        assert_eq!(after, before + 1, "{}", stage.engine);
        let told = Duration::from_micros(micros).as_secs_f64();
        assert!((seconds - seconds_before - told).abs() < 2e-6, "{seconds_before} {seconds} {told}");
        assert_eq!(stage.metrics.value(WAITING, None), Some(0.0));

        let newest = stage.metrics.value("portcullis.revision.newest", None);
        assert_eq!(newest, Some(process.applied().0 as f64), "{}", stage.engine);
        assert_eq!(seen.value("portcullis.revision.applied", None), newest);
        assert_eq!(stage.metrics.value(LAG, TEST), Some(0.0));
        assert!(seen.value("portcullis.lease.remaining", None).is_some_and(|left| left > 0.0 && left < 1.0));
        process.release().await;
        assert_eq!(seen.value("portcullis.lease.remaining", None), Some(0.0));
    }
}

#[tokio::test]
async fn who_does_not_acknowledge_is_seen_to_lag() {
    let adjust = |config: &mut token_service::Config| config.lease_duration = SignedDuration::from_secs(60);
    for database in databases() {
        let stage = Stage::start(database, adjust).await;
        let session = stage.session().await;
        let (first, second) = (stage.stop_token(&session).await, stage.stop_token(&session).await);
        let mut silent = Silent::start(&stage).await;
        // One that keeps up beside it does not hide it.
        let process = Process::start(&stage, &[&stage]).await;
        assert_eq!(stage.metrics.value(LAG, TEST), Some(0.0), "{}", stage.engine);
        let seen = async {
            comes_to(&stage, WAITING, None, 2.0).await;
            comes_to(&stage, LAG, TEST, 2.0).await;
            let mut behind = 2.0;
            while behind > 0.0 {
                let (message, acknowledgement) = silent.take().await;
                let ToHolder::Changes(changes) = message else { continue };
                silent.outgoing.send(acknowledgement.unwrap().into()).await.unwrap();
                behind -= changes.len() as f64;
                comes_to(&stage, LAG, TEST, behind).await;
            }
        };
        let changes = async { tokio::join!(delete(&stage, &session, first.id), delete(&stage, &session, second.id)) };
        tokio::time::timeout(LONG, async { tokio::join!(seen, changes) })
            .await
            .expect("nobody waits for the lease's end");
        assert_eq!(stage.metrics.value(WAITING, None), Some(0.0), "{}", stage.engine);
        process.release().await;
    }
}

#[tokio::test]
async fn what_is_remembered_is_counted() {
    let stage =
        Stage::start(TestDatabase::sqlite(), |config| config.lease_duration = SignedDuration::from_secs(60)).await;
    let leased = || async { stage.metrics.value("portcullis.lease.remaining", None).filter(|left| *left > 0.0) };
    eventually("its own lease", LONG, leased).await;
    let lookups =
        |result| stage.metrics.value("portcullis.introspection.cache.lookups", Some(("result", result))).unwrap();
    let entries = || stage.metrics.value("portcullis.introspection.cache.entries", None).unwrap();
    let token = stage.stop_token(&stage.session().await).await.key.unwrap();
    let (hits, misses, held) = (lookups("hit"), lookups("miss"), entries());
    assert!(stage.introspect(&token).await.active);
    assert_eq!((lookups("hit"), lookups("miss"), entries()), (hits, misses + 1.0, held + 1.0));
    assert!(stage.introspect(&token).await.active);
    assert_eq!((lookups("hit"), lookups("miss"), entries()), (hits + 1.0, misses + 1.0, held + 1.0));
}

#[tokio::test]
async fn every_metric_is_explained_and_tells_of_nobody() {
    let stage = stage(TestDatabase::sqlite()).await;
    let session = stage.session().await;
    let process = Process::start(&stage, &[&stage]).await;
    let token = stage.stop_token(&session).await;
    delete(&stage, &session, token.id).await;
    assert_eq!(stage.metrics.assert_explained(), 10);
    process.release().await;
}
