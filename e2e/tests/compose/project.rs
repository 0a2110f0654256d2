use std::path::{Path, PathBuf};
use std::process::Stdio;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions};
use e2e::Client;
use tempfile::TempDir;
use testkit::{DockerEngine, free_port};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::images;

/// What the stack is called on the engine.
const NAME: &str = "portcullis";
/// What Compose calls the project that is a container's.
const LABEL: &str = "com.docker.compose.project";

/// An engine, and the stack that Docker Compose makes on it.
pub(crate) struct Project {
    pub(crate) engine: DockerEngine,
    ports: [u16; 2],
    folder: TempDir,
}

impl Project {
    /// An engine with all images, and nothing on it.
    pub(crate) async fn prepare() -> Self {
        let engine = DockerEngine::start().await;
        let project = Self { engine, ports: [free_port(), free_port()], folder: tempfile::tempdir().unwrap() };
        images::make(&project).await;
        let [first, second] = project.ports;
        let socket = project.engine.socket();
        let group = std::os::unix::fs::MetadataExt::gid(&std::fs::metadata(&socket).unwrap());
        let variables = format!(
            "DOCKER_GID={group}\nDOCKER_SOCKET={}\nPORTCULLIS_PORT_1={first}\nPORTCULLIS_PORT_2={second}\n",
            socket.display()
        );
        std::fs::write(project.variables(), variables).unwrap();
        project
    }

    /// A folder of its own.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn variables(&self) -> PathBuf {
        self.folder().join("variables.env")
    }

    pub(crate) fn gateways(&self) -> [Client; 2] {
        self.ports.map(|port| Client::new(&format!("http://127.0.0.1:{port}")))
    }

    /// Runs `docker-compose` with the repository's file.
    pub(crate) async fn compose(&self, arguments: &[&str]) -> String {
        self.compose_with(arguments, "").await
    }

    /// The same, with a line on its standard input.
    pub(crate) async fn compose_with(&self, arguments: &[&str], line: &str) -> String {
        let variables = self.variables();
        let before =
            ["--project-name", NAME, "--env-file", variables.to_str().unwrap(), "--file", "docker-compose.yml"];
        self.run("docker-compose", &[&before, arguments].concat(), line).await
    }

    /// Runs `docker-compose` with the file of the example.
    pub(crate) async fn example(&self, arguments: &[&str]) {
        let before = ["--project-name", "example", "--file", "deploy/compose/example.yml"];
        self.run("docker-compose", &[&before, arguments].concat(), "").await;
    }

    /// Runs a program on the engine, from the repository's top folder, and nothing of this process's environment but its path.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str], line: &str) -> String {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(top()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        // The runtime stage is made by the builder that is in every engine.
        command.env("HOME", self.folder()).env("DOCKER_HOST", self.engine.host()).env("DOCKER_BUILDKIT", "0");
        command.env("VARIABLES", self.variables());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        drop(stdin);
        let done = child.wait_with_output().await.unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        if !done.status.success() {
            panic!("{program} {arguments:?}: {told}\n{}", self.logs().await);
        }
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// What the stack's containers have written, for the text of a failure.
    async fn logs(&self) -> String {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", NAME, "--env-file"]).arg(self.variables()).args(["logs", "--no-color"]);
        let told = command.current_dir(top()).env("DOCKER_HOST", self.engine.host()).output().await;
        told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned()).unwrap_or_default()
    }

    /// The names of the stack's containers that are there.
    pub(crate) async fn containers(&self) -> Vec<String> {
        self.containers_of(NAME, true).await
    }

    /// How many containers of the example run.
    pub(crate) async fn running_examples(&self) -> usize {
        self.containers_of("example", false).await.len()
    }

    async fn containers_of(&self, project: &str, all: bool) -> Vec<String> {
        let filters = [("label", vec![format!("{LABEL}={project}")])].into();
        let options = ListContainersOptionsBuilder::default().all(all).filters(&filters).build();
        let found = self.engine.client().list_containers(Some(options)).await.unwrap();
        let names = found.into_iter().filter_map(|container| container.names?.pop());
        names.map(|name| name.trim_start_matches('/').to_owned()).collect()
    }

    /// What is on the engine besides images and its own networks.
    pub(crate) async fn left(&self) -> Vec<String> {
        let client = self.engine.client();
        let own = ["bridge", "host", "none"];
        let networks = client.list_networks(None::<ListNetworksOptions>).await.unwrap();
        let networks = networks.into_iter().filter_map(|network| network.name);
        let mut left: Vec<String> = networks.filter(|name| !own.contains(&name.as_str())).collect();
        let volumes = client.list_volumes(None::<ListVolumesOptions>).await.unwrap().volumes;
        left.extend(volumes.unwrap_or_default().into_iter().map(|volume| volume.name));
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let containers = client.list_containers(Some(options)).await.unwrap();
        left.extend(containers.into_iter().filter_map(|container| container.names?.pop()));
        left
    }
}

/// The repository's top folder.
pub(crate) fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
