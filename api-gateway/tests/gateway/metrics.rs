//! What the operator sees of what the gateway remembers.

use crate::stage::{LONG, STOP, Stage};

const LOOKUPS: &str = "portcullis.introspection.cache.lookups";
const ENTRIES: &str = "portcullis.introspection.cache.entries";

/// How many lookups were a hit, a refusal, a miss, and without a lease.
fn lookups(stage: &Stage) -> [f64; 4] {
    ["hit", "refused", "miss", "unleased"].map(|result| stage.metrics.value(LOOKUPS, Some(("result", result))).unwrap())
}

#[tokio::test]
async fn what_is_remembered_is_counted_until_it_is_revoked() {
    let stage = Stage::leased().await;
    assert!(stage.metrics.value("portcullis.lease.remaining", None).is_some_and(|left| left > 500.0));
    let token = stage.stopper();
    let call = async || stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await;
    call().await.assert_done();
    assert_eq!(lookups(&stage), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(stage.metrics.value(ENTRIES, None), Some(1.0));
    call().await.assert_done();
    call().await.assert_done();
    assert_eq!(lookups(&stage), [2.0, 0.0, 1.0, 0.0]);

    stage.authority.revoke(&token).await;
    assert_eq!(stage.metrics.value("portcullis.revision.applied", None), Some(1.0));
    call().await.assert_refused(702, "");
    assert_eq!(lookups(&stage), [2.0, 0.0, 2.0, 0.0]);
    assert_eq!(stage.metrics.value(ENTRIES, None), Some(0.0));
    // That it is none is remembered for a second: a call that comes within it is told from memory.
    let refused = || async {
        call().await.assert_refused(702, "");
        (lookups(&stage)[1] > 0.0).then_some(())
    };
    testkit::eventually("a call that is refused from memory", LONG, refused).await;
    let [hits, refused, misses, unleased] = lookups(&stage);
    assert_eq!((hits, refused, unleased), (2.0, 1.0, 0.0));
    assert_eq!(misses, stage.authority.asked().len() as f64, "who misses asks, and nobody else");
    assert_eq!(stage.metrics.assert_explained(), 8);
}

#[tokio::test]
async fn calls_without_a_lease_are_counted() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    for calls in [1.0, 2.0] {
        stage.client.post(STOP, &[("envName", "a"), ("session", &token)]).await.assert_done();
        assert_eq!(lookups(&stage), [0.0, 0.0, 0.0, calls]);
    }
    assert_eq!(stage.metrics.value(ENTRIES, None), Some(0.0));
    assert_eq!(stage.metrics.value("portcullis.lease.remaining", None), Some(0.0));
}
