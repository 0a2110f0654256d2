//! The service as a process of its own, killed without warning and started again.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use proto::environment::v1::{Node, NodeSpec, RestartNodesRequest};
use rustix::process::Signal;
use testkit::{ServiceProcess, TestDatabase, eventually};

use crate::killing::{Ground, Program, kill_at_any_moment, kills, write_config};
use crate::stage::{LONG, Stage, all_alive, pids};

/// A stage whose service is the program.
async fn stage() -> (Stage, String) {
    let database = TestDatabase::sqlite();
    let url = database.url.clone();
    let mut stage = Stage::prepare(database).await;
    stage.authority.start().await;
    (stage, url)
}

#[tokio::test]
async fn what_runs_is_found_again_and_not_started_twice() {
    let (stage, database) = stage().await;
    let folder = stage.file("");
    let program = Program::start(&stage.config, &database, &folder).await;
    let created = program.alice(&stage).create("shop", &[("cp", "pair", 2)]).await.unwrap();
    let before = pids(&created.nodes);
    program.process.kill().await;
    assert!(all_alive(&before));
    assert_eq!(stage.processes().len(), 4);

    let program = Program::start(&stage.config, &database, &folder).await;
    let alice = program.alice(&stage);
    let info = alice.info("shop").await.unwrap();
    assert_eq!((info.env.unwrap().status, pids(&info.nodes)), (1, before.clone()));
    alice.start("shop").await.unwrap();
    assert_eq!(stage.processes().len(), 4);
    alice.stop("shop").await.unwrap();
    assert_eq!(stage.processes(), [] as [i32; 0]);
    let (code, log) = program.process.terminate().await;
    assert_eq!(code, 0, "{log}");
}

#[tokio::test]
async fn a_creation_that_was_torn_off_is_finished_with_what_was_launched() {
    let (mut stage, database) = stage().await;
    let folder = stage.file("");
    stage.config.start_settle = SignedDuration::from_secs(60);
    let program = Program::start(&stage.config, &database, &folder).await;
    let before = {
        let (alice, witness) = (program.alice(&stage), program.alice(&stage));
        tokio::select! {
            _ = alice.create("shop", &[("cp", "pair", 2)]) => panic!("it settles for a minute"),
            nodes = eventually("both are launched", LONG, || async {
                let info = witness.info("shop").await.ok()?;
                assert_eq!(info.env?.status, 6);
                info.nodes.iter().all(|node| node.ctid > 0).then(|| pids(&info.nodes))
            }) => nodes,
        }
    };
    program.process.kill().await;

    stage.config.start_settle = SignedDuration::from_millis(100);
    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).until_status("shop", 1).await;
    let info = program.alice(&stage).info("shop").await.unwrap();
    assert_eq!(pids(&info.nodes), before);
    assert_eq!(stage.processes().len(), 4);
}

#[tokio::test]
async fn a_stop_that_was_torn_off_is_finished() {
    let (mut stage, database) = stage().await;
    let folder = stage.file("");
    stage.config.stop_grace = SignedDuration::from_secs(60);
    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).create("shop", &[("cp", "slow", 1)]).await.unwrap();
    {
        let (alice, witness) = (program.alice(&stage), program.alice(&stage));
        tokio::select! {
            _ = alice.stop("shop") => panic!("the gate is shut"),
            () = witness.until_status("shop", 13) => (),
        }
    }
    program.process.kill().await;
    stage.open_gate();

    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).until_status("shop", 2).await;
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn what_a_restart_that_was_torn_off_told_to_end_is_launched_again() {
    let (mut stage, database) = stage().await;
    let folder = stage.file("");
    stage.config.stop_grace = SignedDuration::from_secs(60);
    let program = Program::start(&stage.config, &database, &folder).await;
    let before = pids(&program.alice(&stage).create("shop", &[("cp", "slow", 1)]).await.unwrap().nodes);
    {
        let (alice, mut client) = (program.alice(&stage), program.alice(&stage).client());
        let request = RestartNodesRequest { env_name: "shop".to_owned(), node_group: None, node_id: None };
        let told = || async { is_told_to_end(&stage).await.then_some(()) };
        tokio::select! {
            _ = client.restart_nodes(alice.granted(request)) => panic!("the gate is shut"),
            () = eventually("the node is told to end", LONG, told) => (),
        }
    }
    program.process.kill().await;

    // The gate stays shut: what was told to end runs for as long as it is not ended.
    stage.config.stop_grace = SignedDuration::from_millis(1);
    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).until_status("shop", 1).await;
    let after = pids(&program.alice(&stage).info("shop").await.unwrap().nodes);
    assert_ne!(after, before);
    assert!(!all_alive(&before), "it has ended for good");
}

async fn is_told_to_end(stage: &Stage) -> bool {
    let opened = stage.database().await;
    let mut tx = opened.begin("test").await.unwrap();
    let (told,): (i64,) =
        sqlx::query_as("select count(*) from node where ending = 1").fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    opened.close().await;
    told > 0
}

#[tokio::test]
async fn told_to_end_twice_it_ends_at_once_and_leaves_the_rest_to_its_next_start() {
    let (mut stage, database) = stage().await;
    let folder = stage.file("");
    stage.config.stop_grace = SignedDuration::from_secs(60);
    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).create("shop", &[("cp", "slow", 1)]).await.unwrap();
    let (alice, witness) = (program.alice(&stage), program.alice(&stage));
    let process = program.process;
    let end = async {
        witness.until_status("shop", 13).await;
        process.signal(Signal::TERM);
        let draining = || async { process.log().contains("draining").then_some(()) };
        eventually("the first signal is heard", LONG, draining).await;
        let (code, log) = process.terminate().await;
        assert_eq!(code, 1, "{log}");
    };
    let (stopped, ()) = tokio::join!(alice.stop("shop"), end);
    assert!(stopped.is_err(), "its connection was cut");
    drop((alice, witness));

    stage.open_gate();
    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).until_status("shop", 2).await;
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn a_launch_that_was_never_recorded_is_found() {
    let (stage, database) = stage().await;
    let folder = stage.file("");
    let program = Program::start(&stage.config, &database, &folder).await;
    let created = program.alice(&stage).create("shop", &[("cp", "pair", 1)]).await.unwrap();
    program.process.kill().await;
    // As if the service had been killed between the launch and its record.
    let opened = stage.database().await;
    let mut tx = opened.begin("test").await.unwrap();
    for text in ["update node set instance = null", "update environment set operation = 'create', desired = 'stopped'"]
    {
        assert_eq!(sqlx::query(text).execute(&mut *tx).await.unwrap().rows_affected(), 1);
    }
    tx.commit().await.unwrap();
    opened.close().await;

    let program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).until_status("shop", 1).await;
    let info = program.alice(&stage).info("shop").await.unwrap();
    assert_eq!(pids(&info.nodes), pids(&created.nodes));
    assert_eq!(stage.processes().len(), 2, "nothing was started twice");
}

/// Processes of a machine.
struct Machine(Stage);

impl Ground for Machine {
    const MOMENTS: Duration = Duration::from_millis(120);

    fn stage(&self) -> &Stage {
        &self.0
    }

    fn nodes(&self, count: i32) -> NodeSpec {
        NodeSpec { node_type: "fickle".to_owned(), count: Some(count), ..NodeSpec::default() }
    }

    fn version(&self, number: u32) -> String {
        format!("v{number}")
    }

    fn identity(node: &Node) -> i64 {
        node.ctid
    }

    async fn running(&self) -> Vec<i64> {
        self.0.processes().into_iter().map(i64::from).collect()
    }

    async fn kept(&self) -> Vec<i64> {
        self.running().await
    }
}

#[tokio::test]
async fn killed_at_any_moment_it_neither_loses_nor_doubles_anything() {
    let (mut stage, database) = stage().await;
    stage.config.start_settle = SignedDuration::from_millis(10);
    println!("{}", kill_at_any_moment(&Machine(stage), &database, kills(20)).await);
}

#[tokio::test]
async fn the_program_says_what_is_wrong_with_its_configuration() {
    let (stage, database) = stage().await;
    let file = write_config(&stage.config, &database, 0, &stage.file(""));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("stop_grase = \"1s\"\n{text}")).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_environment-service"));
    let mut process = ServiceProcess::start(&program, &["--config", file.to_str().unwrap()], &[]).await;
    assert_eq!(process.ended().await, 1);
    assert!(process.log().contains("stop_grase"), "{}", process.log());
}
