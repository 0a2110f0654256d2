//! The service as a process of its own, killed without warning at any moment, on whatever runs its nodes.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use environment_service::{Config, KubernetesConfig};
use proto::ErrorKind;
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::{
    CloneEnvRequest, CreateEnvironmentRequest, EnvironmentInfo, EnvironmentSpec, Node, NodeSpec,
    RedeployContainersByGroupRequest, RestartNodesRequest, SleepEnvRequest,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::{ServiceProcess, eventually, free_port};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::stage::{Caller, LONG, Stage, answer};

/// The service's program on a stage whose authority runs.
pub(crate) struct Program {
    pub(crate) process: ServiceProcess,
    client: ControlClient<Channel>,
}

impl Program {
    pub(crate) async fn start(config: &Config, database: &str, folder: &Path) -> Self {
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

    pub(crate) fn alice<'a>(&self, stage: &'a Stage) -> Caller<'a> {
        stage.caller(self.client.clone())
    }
}

pub(crate) fn write_config(config: &Config, database: &str, port: u16, folder: &Path) -> PathBuf {
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
    if let Some(docker) = &config.docker {
        let Ok(()) = writeln!(text, "[docker]\nsocket = {:?}\nimages = [\"portcullis/*\"]", docker.socket) else {
            unreachable!("a String takes all")
        };
    }
    if let Some(KubernetesConfig { kubeconfig: Some(kubeconfig), namespace: Some(namespace), images, .. }) =
        &config.kubernetes
    {
        let Ok(()) =
            writeln!(text, "[kubernetes]\nkubeconfig = {kubeconfig:?}\nnamespace = {namespace:?}\nimages = {images:?}")
        else {
            unreachable!("a String takes all")
        };
    }
    let file = folder.join("environment-service.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// What runs the nodes of a service that is killed.
pub(crate) trait Ground {
    /// Up to when after its start the service is killed.
    const MOMENTS: Duration;

    /// Its stage, whose authority runs.
    fn stage(&self) -> &Stage;

    /// So many nodes, without their group.
    fn nodes(&self, count: i32) -> NodeSpec;

    /// A version that nodes can be brought to.
    fn version(&self, number: u32) -> String;

    /// What a node's instance is known by in what [runs](Self::running).
    fn identity(node: &Node) -> i64;

    /// What really runs, each as often as it does.
    async fn running(&self) -> Vec<i64>;

    /// What is kept of nodes, whether it runs or not.
    async fn kept(&self) -> Vec<i64>;
}

fn creation(ground: &impl Ground, name: &str, count: i32) -> CreateEnvironmentRequest {
    let nodes = vec![NodeSpec { node_group: Some("cp".to_owned()), ..ground.nodes(count) }];
    let env = EnvironmentSpec { shortdomain: name.to_owned(), ..EnvironmentSpec::default() };
    CreateEnvironmentRequest { env: Some(env), nodes, env_groups: Vec::new() }
}

/// Does one thing after another, for as long as it is let. What is refused because of how things are is part of it.
async fn keep_changing(ground: &impl Ground, alice: &Caller<'_>, rng: &mut StdRng) {
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
                let tag = ground.version(rng.random_range(0..1000));
                let request =
                    RedeployContainersByGroupRequest { env_name: name.clone(), node_group: "cp".to_owned(), tag };
                answer(client.redeploy_containers_by_group(alice.granted(request)).await).map(drop)
            }
            5 => {
                let request = CloneEnvRequest { src_env_name: name.clone(), dst_env_name: copy.clone() };
                answer(client.clone_env(alice.granted(request)).await).map(drop)
            }
            6 => alice.delete("copy").await,
            _ => alice.create_as(creation(ground, "copy", 2)).await.map(drop),
        };
        match done {
            Ok(()) => (),
            Err(refused) if matches!(refused.kind(), EnvironmentStatus | EnvironmentNotFound | AlreadyExists) => (),
            // Nothing else may happen before the kill.
            Err(other) => panic!("an operation was answered {other}"),
        }
    }
}

/// How often the service is killed: `cargo xtask kill-environment-service` says it.
pub(crate) fn kills(otherwise: u32) -> u32 {
    let told = std::env::var("PORTCULLIS_KILLS").ok();
    told.map_or(otherwise, |told| told.parse().expect("PORTCULLIS_KILLS is a number"))
}

/// Kills the service so often while it does one thing after another, and looks each time whether what runs is what is told, each
/// once, and whether nothing is kept of what is not there. Says what was torn off.
pub(crate) async fn kill_at_any_moment<G: Ground>(ground: &G, database: &str, kills: u32) -> String {
    let stage = ground.stage();
    let folder = stage.file("");
    let mut program = Program::start(&stage.config, database, &folder).await;
    program.alice(stage).create_as(creation(ground, "shop", 3)).await.unwrap();
    let mut rng = StdRng::seed_from_u64(20_261_123);
    let mut torn: BTreeMap<String, u32> = BTreeMap::new();
    for round in 0..kills {
        // Not to wait for anything: the moment is the point.
        let moment = tokio::time::sleep(G::MOMENTS.mul_f64(rng.random()));
        let alice = program.alice(stage);
        tokio::select! {
            () = keep_changing(ground, &alice, &mut rng) => (),
            () = moment => (),
        }
        drop(alice);
        program.process.kill().await;
        for name in under_way(stage).await {
            *torn.entry(name).or_default() += 1;
        }
        program = Program::start(&stage.config, database, &folder).await;
        let alice = program.alice(stage);
        let at_rest = || async {
            let all = alice.list().await;
            let rests = |info: &EnvironmentInfo| [1, 2, 4].contains(&info.env.as_ref().unwrap().status);
            all.iter().all(rests).then_some(all)
        };
        let finished = tokio::time::timeout(LONG, eventually("what was torn off is finished", LONG * 2, at_rest)).await;
        let Ok(all) = finished else {
            let told: Vec<_> = alice.list().await.into_iter().map(|info| (info.env, info.nodes)).collect();
            panic!("round {round}: what was torn off is not finished: {told:?}\n{}", program.process.log());
        };
        let is_running = |info: &&EnvironmentInfo| info.env.as_ref().unwrap().status == 1;
        let mut expected: Vec<i64> =
            all.iter().filter(is_running).flat_map(|info| info.nodes.iter().map(G::identity)).collect();
        let mut there = ground.running().await;
        expected.sort_unstable();
        there.sort_unstable();
        assert_eq!(there, expected, "round {round}: what runs is what is told, each once");
        let known: HashSet<i64> = all.iter().flat_map(|info| info.nodes.iter().map(G::identity)).collect();
        let kept = ground.kept().await;
        assert!(kept.iter().all(|node| known.contains(node)), "round {round}: {kept:?} of {known:?}");
        let shop = all.iter().find(|info| info.env.as_ref().unwrap().env_name == "shop");
        assert_eq!(shop.map(|shop| shop.nodes.len()), Some(3), "round {round}");
        assert_eq!(under_way(stage).await, [] as [String; 0], "round {round}");
    }
    let all: u32 = torn.values().sum();
    assert!(all > 0, "no operation was torn off");
    format!("{kills} kills, {all} of them in the middle of an operation: {torn:?}")
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
