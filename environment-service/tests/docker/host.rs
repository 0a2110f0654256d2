//! A stage whose service has an engine, with images to run on it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use bollard::Docker;
use bollard::models::{ContainerConfig, ContainerCreateBody, ContainerSummary, HealthConfig, HostConfig};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use environment_service::{AccountRules, ComposeProject, DockerConfig, DockerTemplate, Restart};
use jiff::SignedDuration;
use proto::Failure;
use proto::environment::v1::{
    CreateEnvironmentRequest, CreateEnvironmentResponse, DockerSpec, EnvironmentSpec, ExecCmdByGroupRequest,
    ExecResponse, NodeCommand, NodeSpec, RedeployContainersByGroupRequest,
};
use testkit::{DockerEngine, TestDatabase};

use crate::authority::BOB;
use crate::stage::{Caller, Stage, answer};

const BASE: &str = "portcullis/base:1";
/// What an image runs: it tells its colour and runs until it is told to end.
const SCRIPT: &str = "echo begun $COLOUR; trap 'exit 0' TERM; sleep 100000 & wait";

pub(crate) struct Host {
    stage: Stage,
    pub(crate) engine: DockerEngine,
}

impl Deref for Host {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Host {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Host {
    /// An engine with images, and the service on it.
    pub(crate) async fn start() -> Self {
        let mut host = Self::prepare().await;
        host.authority.start().await;
        host.start_service().await;
        host
    }

    /// The same, where the service does not run yet.
    pub(crate) async fn prepare() -> Self {
        let engine = DockerEngine::start().await;
        engine.busybox_image(BASE).await;
        let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
        let template = |name: &str, script: &str| DockerTemplate {
            name: name.to_owned(),
            image: BASE.to_owned(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            environment: [("COLOUR".to_owned(), "red".to_owned())].into(),
            port: (name == "web").then_some(80),
            restart: if name == "immortal-box" { Restart::Always } else { Restart::Never },
        };
        let web = "mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www";
        stage.config.docker = Some(DockerConfig {
            socket: engine.host(),
            images: vec!["portcullis/app".parse().unwrap()],
            restart: Restart::Never,
            templates: vec![
                template("box", SCRIPT),
                template("immortal-box", SCRIPT),
                template("web", web),
                template("failing-box", "exit 3"),
                template("greedy-box", "while [ ! -e /go ]; do sleep 0.1; done; exec tail -c 1000m /dev/zero"),
                template("slow-box", "trap 'sleep 2; exit 0' TERM; sleep 100000 & wait; wait"),
            ],
            compose: [("shop", 1), ("*", 2)]
                .map(|(project, account)| ComposeProject { project: project.to_owned(), account })
                .to_vec(),
        });
        stage.config.accounts = vec![AccountRules {
            id: BOB.0,
            drivers: None,
            templates: None,
            images: Some(vec!["team/*".parse().unwrap()]),
            max_environments: None,
            max_nodes: None,
            max_cloudlets: None,
        }];
        stage.config.stop_grace = SignedDuration::from_secs(5);
        // The engine tells of an end later than the machine of a process.
        stage.config.start_settle = SignedDuration::from_secs(1);
        let host = Self { stage, engine };
        for version in ["1", "2"] {
            host.image(&format!("portcullis/app:{version}"), None).await;
        }
        host.image("portcullis/app:ill", Some("false")).await;
        host.image("portcullis/app:well", Some("true")).await;
        host
    }

    pub(crate) fn docker(&self) -> Docker {
        self.engine.client()
    }

    /// Makes an image, perhaps with a check of its health.
    async fn image(&self, name: &str, check: Option<&str>) {
        let docker = self.docker();
        let options = CreateContainerOptionsBuilder::default().name("image").build();
        let body = ContainerCreateBody { image: Some(BASE.to_owned()), ..Default::default() };
        docker.create_container(Some(options), body).await.unwrap();
        let healthcheck = check.map(|command| HealthConfig {
            test: Some(["CMD-SHELL", command].map(str::to_owned).to_vec()),
            interval: Some(100_000_000),
            timeout: Some(2_000_000_000),
            retries: Some(2),
            ..Default::default()
        });
        let config = ContainerConfig {
            cmd: Some(["sh", "-c", SCRIPT].map(str::to_owned).to_vec()),
            exposed_ports: Some(vec!["80/tcp".to_owned()]),
            healthcheck,
            ..Default::default()
        };
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let options = CommitContainerOptionsBuilder::default().container("image").repo(repository).tag(tag).build();
        docker.commit_container(options, config).await.unwrap();
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        docker.remove_container("image", Some(options)).await.unwrap();
    }

    /// All containers on the engine, by name.
    pub(crate) async fn containers(&self) -> Vec<ContainerSummary> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let mut all = self.docker().list_containers(Some(options)).await.unwrap();
        all.sort_by(|one, other| one.names.cmp(&other.names));
        all
    }

    pub(crate) async fn running(&self) -> usize {
        self.docker().list_containers(None).await.unwrap().len()
    }

    /// The networks that were made on the engine.
    pub(crate) async fn networks(&self) -> usize {
        let networks = self.docker().list_networks(None).await.unwrap();
        networks
            .iter()
            .filter(|network| network.name.as_ref().is_some_and(|name| name.starts_with("portcullis")))
            .count()
    }

    /// A container as Docker Compose makes one, which runs.
    pub(crate) async fn compose(&self, project: &str, service: &str, needs: &str) {
        self.compose_with(project, service, needs, HostConfig::default()).await;
    }

    /// The same, with something of the machine.
    pub(crate) async fn compose_with(&self, project: &str, service: &str, needs: &str, host: HostConfig) {
        self.compose_running(None, project, service, needs, host).await;
    }

    /// The same, that runs this.
    pub(crate) async fn compose_running(
        &self,
        command: Option<Vec<String>>,
        project: &str,
        service: &str,
        needs: &str,
        host: HostConfig,
    ) {
        let labels = [
            ("com.docker.compose.project", project),
            ("com.docker.compose.service", service),
            ("com.docker.compose.container-number", "1"),
            ("com.docker.compose.depends_on", needs),
            ("com.docker.compose.oneoff", "False"),
        ];
        let labels: HashMap<String, String> =
            labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let name = format!("{project}_{service}_1");
        let body = ContainerCreateBody {
            image: Some("portcullis/app:1".to_owned()),
            labels: Some(labels),
            cmd: command,
            host_config: Some(host),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        self.docker().create_container(Some(options), body).await.unwrap();
        self.docker().start_container(&name, None).await.unwrap();
    }
}

impl Caller<'_> {
    /// Makes an environment of one node that runs an image.
    pub(crate) async fn create_of(&self, name: &str, image: &str) -> Result<CreateEnvironmentResponse, Failure> {
        let node = NodeSpec {
            docker: Some(DockerSpec { image: image.to_owned(), tag: None, node_group: None }),
            node_group: Some("cp".to_owned()),
            ..Default::default()
        };
        let env = EnvironmentSpec { shortdomain: name.to_owned(), ..Default::default() };
        self.create_as(CreateEnvironmentRequest { env: Some(env), nodes: vec![node], env_groups: Vec::new() }).await
    }

    /// Runs a shell line in the nodes of the group `cp`.
    pub(crate) async fn exec(&self, name: &str, line: &str) -> Result<Vec<ExecResponse>, Failure> {
        let command = NodeCommand { command: "sh".to_owned(), params: Some(format!("-c \"{line}\"")) };
        let request = ExecCmdByGroupRequest {
            env_name: name.to_owned(),
            node_group: "cp".to_owned(),
            command_list: vec![command],
            say_yes: None,
        };
        answer(self.client().exec_cmd_by_group(self.granted(request)).await).map(|answer| answer.responses)
    }

    /// What the first node of `cp` answers to a shell line.
    pub(crate) async fn says(&self, name: &str, line: &str) -> String {
        self.exec(name, line).await.unwrap().remove(0).out.trim_end().to_owned()
    }

    pub(crate) async fn redeploy(&self, name: &str, tag: &str) -> Result<(), Failure> {
        let request = RedeployContainersByGroupRequest {
            env_name: name.to_owned(),
            node_group: "cp".to_owned(),
            tag: tag.to_owned(),
        };
        answer(self.client().redeploy_containers_by_group(self.granted(request)).await).map(drop)
    }
}
