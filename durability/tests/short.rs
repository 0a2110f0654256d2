//! A few kills of each kind; `cargo xtask durability` is the long form.

use durability::{Run, Victim, run};

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    for victim in [Victim::ServiceOnSqlite, Victim::ServiceOnPostgres, Victim::Postgres] {
        let report = run(&Run { victim, kills: 3, seed: 1 }).await.expect("the system works");
        assert!(report.is_sound(), "{victim}: {report:?}");
        assert!(report.acknowledged > 0, "{victim}: nothing was changed");
    }
}
