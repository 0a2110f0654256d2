//! A few hundred revocations under faults, and some calls without; `cargo xtask chaos` is the long form.

use std::time::Duration;

use chaos::{Renewal, Report, Run, Shape, Steady, run, steady};

const AT_MOST: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_stays_revoked() {
    let run_of = Run { revocations: 300, seed: 1, shape: Shape::default(), at_most: AT_MOST };
    let history = run(&run_of).await.expect("the system works");
    let report = Report::of(&history);
    assert!(report.confirmed() >= 300 && report.shows_something() && !report.faults.is_empty(), "{report}");
    assert_eq!(report.executed_after_confirmation(), 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_tokens_are_served_without_a_gap() {
    let (renewal, shape) = (Renewal::Authorities, Shape::UNDISTURBED);
    let run = Steady { calls: 2_000, renewal, seed: 1, shape, at_most: AT_MOST };
    let availability = steady(&run).await.expect("the system works");
    assert!(availability.failed == 0 && availability.renewed > 0, "{availability}");
}
