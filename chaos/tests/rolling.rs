//! Every service is started anew under calls: a binary of its own, so that no other test takes the processors meanwhile.
//! `cargo xtask rolling-restart` is the long form.

use std::time::Duration;

use chaos::{Renewal, Shape, Steady, steady};

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_call_is_lost_while_every_service_is_started_anew() {
    let (renewal, shape, at_most) = (Renewal::Everything, Shape::DIRECT, Duration::from_mins(5));
    let run = Steady { calls: 2_000, renewal, seed: 1, shape, at_most };
    let availability = steady(&run).await.expect("the system works");
    assert!(availability.failed == 0 && availability.calls_meanwhile > 500, "{availability}");
}
