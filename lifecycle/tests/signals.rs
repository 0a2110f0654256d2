//! Signals, in a process of their own: what reaches one test here reaches all.

use std::time::Duration;

use lifecycle::Lifecycle;
use rustix::process::{Signal, getpid, kill_process};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_first_signal_drains_and_one_more_aborts() {
    let lifecycle = Lifecycle::new();
    lifecycle.install_signals().unwrap();
    let part = lifecycle.child();
    let (accepted, finished) = tokio::sync::oneshot::channel::<()>();
    lifecycle.spawn("accepted", finished);

    kill_process(getpid(), Signal::TERM).unwrap();
    timeout(PATIENCE, part.draining()).await.unwrap();
    let aborted = timeout(Duration::ZERO, lifecycle.aborted()).await;
    assert!(aborted.is_err() && !accepted.is_closed(), "what was accepted goes on");

    kill_process(getpid(), Signal::INT).unwrap();
    timeout(PATIENCE, lifecycle.aborted()).await.unwrap();
    assert_eq!(lifecycle.drained(PATIENCE).await.unwrap_err().tasks, ["accepted"]);
}
