//! The service as a process of its own, killed without warning and started again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use environment_service::Config;
use jiff::SignedDuration;
use proto::ErrorKind;
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::{
    CloneEnvRequest, EnvironmentInfo, RedeployContainersByGroupRequest, RestartNodesRequest, SleepEnvRequest,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use testkit::{ServiceProcess, TestDatabase, eventually, free_port};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::stage::{Caller, LONG, Stage, all_alive, answer, pids};

/// The service's program on a stage whose authority runs.
struct Program {
    process: ServiceProcess,
    client: ControlClient<Channel>,
}

impl Program {
    async fn start(config: &Config, database: &str, folder: &Path) -> Self {
        let port = free_port();
        let file = write_config(config, database, port, folder);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_environment-service"));
        let process = ServiceProcess::start(&program, &["--config", file.to_str().unwrap()], &[]).await;
        let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect_lazy();
        let health = HealthClient::new(channel.clone());
        process
            .ready(|| {
                let mut health = health.clone();
                async move {
                    let answer = health.check(HealthCheckRequest { service: String::new() }).await;
                    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
                }
            })
            .await;
        Self { process, client: ControlClient::new(channel) }
    }

    fn alice<'a>(&self, stage: &'a Stage) -> Caller<'a> {
        stage.caller(self.client.clone())
    }
}

fn write_config(config: &Config, database: &str, port: u16, folder: &Path) -> PathBuf {
    let mut text = format!(
        "listen = \"127.0.0.1:{port}\"\ndatabase_url = {database:?}\nauthority_url = {:?}\nservice_key_file = {:?}\n\
         data_dir = {:?}\nnode_limits = {{ enforce = \"off\" }}\nstop_grace = \"{:#}\"\nstart_settle = \"{:#}\"\n",
        config.authority_url.iter().next().unwrap(),
        config.service_key_file,
        config.data_dir,
        config.stop_grace,
        config.start_settle
    );
    for template in &config.templates {
        let Ok(()) = writeln!(
            text,
            "[[template]]\nname = {:?}\ncommand = {:?}\nport = {}\nenvironment = {{ GATE = {:?} }}",
            template.name, template.command, template.port, template.environment["GATE"]
        ) else {
            unreachable!("a String takes all")
        };
    }
    let file = folder.join("environment-service.toml");
    std::fs::write(&file, text).unwrap();
    file
}

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

/// Does one thing after another, for as long as it is let. What is refused because of how things are is part of it.
async fn keep_changing(alice: &Caller<'_>, rng: &mut StdRng) {
    use ErrorKind::{AlreadyExists, EnvironmentNotFound, EnvironmentStatus};

    let (name, copy) = ("shop".to_owned(), "copy".to_owned());
    let mut client = alice.client();
    loop {
        let done = match rng.random_range(0..8) {
            0 => alice.stop("shop").await,
            1 => alice.start("shop").await,
            2 => answer(client.sleep_env(alice.granted(SleepEnvRequest { env_name: name.clone() })).await).map(drop),
            3 => {
                let request = RestartNodesRequest { env_name: name.clone(), node_group: None, node_id: None };
                answer(client.restart_nodes(alice.granted(request)).await).map(drop)
            }
            4 => {
                let tag = format!("v{}", rng.random_range(0..1000));
                let request =
                    RedeployContainersByGroupRequest { env_name: name.clone(), node_group: "cp".to_owned(), tag };
                answer(client.redeploy_containers_by_group(alice.granted(request)).await).map(drop)
            }
            5 => {
                let request = CloneEnvRequest { src_env_name: name.clone(), dst_env_name: copy.clone() };
                answer(client.clone_env(alice.granted(request)).await).map(drop)
            }
            6 => alice.delete("copy").await,
            _ => alice.create("copy", &[("cp", "fickle", 2)]).await.map(drop),
        };
        match done.map_err(|failure| failure.kind()) {
            Ok(()) | Err(EnvironmentStatus | EnvironmentNotFound | AlreadyExists) => (),
            // Nothing else may happen before the kill.
            Err(other) => panic!("an operation was answered {other:?}"),
        }
    }
}

/// How often the service is killed: `cargo xtask kill-environment-service` says it.
fn kills() -> u32 {
    let told = std::env::var("PORTCULLIS_KILLS").ok();
    told.map_or(20, |told| told.parse().expect("PORTCULLIS_KILLS is a number"))
}

#[tokio::test]
async fn killed_at_any_moment_it_neither_loses_nor_doubles_anything() {
    let (mut stage, database) = stage().await;
    let folder = stage.file("");
    stage.config.start_settle = SignedDuration::from_millis(10);
    let mut program = Program::start(&stage.config, &database, &folder).await;
    program.alice(&stage).create("shop", &[("cp", "fickle", 3)]).await.unwrap();
    let mut rng = StdRng::seed_from_u64(20_261_123);
    let mut torn: BTreeMap<String, u32> = BTreeMap::new();
    for round in 0..kills() {
        // Not to wait for anything: the moment is the point.
        let moment = tokio::time::sleep(Duration::from_millis(rng.random_range(0..120)));
        let alice = program.alice(&stage);
        tokio::select! {
            () = keep_changing(&alice, &mut rng) => (),
            () = moment => (),
        }
        drop(alice);
        program.process.kill().await;
        for name in under_way(&stage).await {
            *torn.entry(name).or_default() += 1;
        }
        program = Program::start(&stage.config, &database, &folder).await;
        let alice = program.alice(&stage);
        let at_rest = || async {
            let all = alice.list().await;
            let rests = |info: &EnvironmentInfo| [1, 2, 4].contains(&info.env.as_ref().unwrap().status);
            all.iter().all(rests).then_some(all)
        };
        let all = eventually("what was torn off is finished", LONG, at_rest).await;
        let running = |info: &&EnvironmentInfo| info.env.as_ref().unwrap().status == 1;
        let mut expected: Vec<i32> = all.iter().filter(running).flat_map(|info| pids(&info.nodes)).collect();
        let mut there = stage.processes();
        expected.sort_unstable();
        there.sort_unstable();
        assert_eq!(there, expected, "round {round}: what runs is what is told, each once");
        let shop = all.iter().find(|info| info.env.as_ref().unwrap().env_name == "shop");
        assert_eq!(shop.map(|shop| shop.nodes.len()), Some(3), "round {round}");
        assert_eq!(under_way(&stage).await, [] as [String; 0], "round {round}");
    }
    let all: u32 = torn.values().sum();
    println!("{} kills, {all} of them in the middle of an operation: {torn:?}", kills());
    assert!(all > 0, "no operation was torn off");
}

/// The operations that are recorded as under way.
async fn under_way(stage: &Stage) -> Vec<String> {
    let opened = stage.database().await;
    let mut tx = opened.begin("test").await.unwrap();
    let text = "select operation from environment where operation is not null";
    let found: Vec<(String,)> = sqlx::query_as(text).fetch_all(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    opened.close().await;
    found.into_iter().map(|(name,)| name).collect()
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
