use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{
    ContainerCreateBody, ExecConfig, HealthConfig, HealthStatusEnum, HostConfig, NetworkCreateRequest, PortBinding,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, CreateImageOptionsBuilder, LogsOptionsBuilder};
use futures::{Stream, TryStreamExt};
use testkit::{DockerEngine, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::victim::{Victim, is_victim, wait_to_be_killed, working_in};

const PATIENCE: Duration = Duration::from_secs(60);

const IMAGE: &str = "portcullis/test:1";

fn container(command: &[&str]) -> ContainerCreateBody {
    let words = command.iter().map(ToString::to_string).collect();
    ContainerCreateBody { image: Some(IMAGE.to_owned()), cmd: Some(words), ..Default::default() }
}

async fn run(client: &Docker, name: &str, container: ContainerCreateBody) {
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    client.create_container(Some(options), container).await.unwrap();
    client.start_container(name, None).await.unwrap();
}

async fn text(output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>) -> String {
    output.map_ok(|part| part.to_string()).try_collect().await.unwrap()
}

async fn log(client: &Docker, name: &str) -> String {
    text(client.logs(name, Some(LogsOptionsBuilder::default().stdout(true).stderr(true).build()))).await
}

async fn execute(client: &Docker, name: &str, command: &str) -> (String, Option<i64>) {
    let command = ["sh", "-c", command].map(str::to_owned).to_vec();
    let config =
        ExecConfig { attach_stdout: Some(true), attach_stderr: Some(true), cmd: Some(command), ..Default::default() };
    let exec = client.create_exec(name, config).await.unwrap().id;
    let StartExecResults::Attached { output, .. } = client.start_exec(&exec, None).await.unwrap() else {
        panic!("it was to be attached")
    };
    (text(output).await, client.inspect_exec(&exec).await.unwrap().exit_code)
}

/// What a web server says.
async fn fetch(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

#[tokio::test]
async fn a_container_runs_is_logged_and_entered() {
    let engine = DockerEngine::start().await;
    let client = engine.client();
    engine.busybox_image(IMAGE).await;
    let mut limited = container(&["sh", "-c", "echo begun; echo oops >&2; exec sleep 1000"]);
    limited.host_config =
        Some(HostConfig { memory: Some(64 << 20), nano_cpus: Some(500_000_000), ..Default::default() });
    run(&client, "first", limited).await;
    let logged = async || Some(log(&client, "first").await).filter(|log| log.contains("oops"));
    assert!(eventually("the log", PATIENCE, logged).await.contains("begun\n"));
    assert_eq!(execute(&client, "first", "id -u; exit 3").await, ("0\n".to_owned(), Some(3)));
    let limit = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    assert_eq!(execute(&client, "first", limit).await.0, format!("{}\n", 64 << 20));
}

#[tokio::test]
async fn an_image_holds_files_and_starts_its_entry_point() {
    let engine = DockerEngine::start().await;
    let script = b"#!/bin/sh\necho \"hello $1\"\n";
    engine.image("portcullis/greeter:2", &[("/usr/bin/greet", script)], &["/usr/bin/greet", "from"]).await;
    engine.image("portcullis/greeter:3", &[("usr/bin/greet", script)], &["/usr/bin/greet"]).await;
    let client = engine.client();
    let greeter = |tag: &str, argument: &str| ContainerCreateBody {
        image: Some(format!("portcullis/greeter:{tag}")),
        cmd: Some(vec![argument.to_owned()]),
        ..Default::default()
    };
    run(&client, "second", greeter("2", "nobody")).await;
    run(&client, "third", greeter("3", "everybody")).await;
    for (name, greeting) in [("second", "hello from\n"), ("third", "hello everybody\n")] {
        eventually(greeting, PATIENCE, async || (log(&client, name).await == greeting).then_some(())).await;
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_refused_at_once() {
    let engine = DockerEngine::start().await;
    let options = CreateImageOptionsBuilder::default().from_image("nowhere/nothing").tag("1").build();
    let pull = engine.client().create_image(Some(options), None, None).try_collect::<Vec<_>>().await;
    let refused = pull.unwrap_err().to_string();
    assert!(refused.contains("network is unreachable"), "{refused}");
}

/// A web server in a network of its own, with a port on the machine and a check of its health.
async fn serve(client: &Docker, says: &str) -> String {
    let network = NetworkCreateRequest { name: "inner".to_owned(), ..Default::default() };
    client.create_network(network).await.unwrap();
    let mut server = container(&["sh", "-c", &format!("echo {says} >/tmp/index.html; exec httpd -f -p 80 -h /tmp")]);
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some("0".to_owned()) };
    server.exposed_ports = Some(vec!["80/tcp".to_owned()]);
    server.host_config = Some(HostConfig {
        network_mode: Some("inner".to_owned()),
        port_bindings: Some(HashMap::from([("80/tcp".to_owned(), Some(vec![binding]))])),
        ..Default::default()
    });
    let check = ["CMD-SHELL", "wget -qO- http://web/"].map(str::to_owned).to_vec();
    server.healthcheck = Some(HealthConfig { test: Some(check), interval: Some(100_000_000), ..Default::default() });
    run(client, "web", server).await;
    let settings = client.inspect_container("web", None).await.unwrap().network_settings.unwrap();
    let port = settings.ports.unwrap()["80/tcp"].as_ref().unwrap()[0].host_port.clone().unwrap();
    format!("127.0.0.1:{port}")
}

#[tokio::test]
async fn engines_side_by_side_have_networks_and_ports_of_their_own() {
    let engines = [DockerEngine::start().await, DockerEngine::start().await];
    for (engine, says) in engines.iter().zip(["one", "two"]) {
        engine.busybox_image(IMAGE).await;
        let client = engine.client();
        let address = serve(&client, says).await;
        let answer = eventually("an answer", PATIENCE, async || fetch(&address).await).await;
        assert_eq!(answer, format!("{says}\n"));
        eventually("its health", PATIENCE, async || {
            let health = client.inspect_container("web", None).await.unwrap().state.unwrap().health.unwrap();
            (health.status == Some(HealthStatusEnum::HEALTHY)).then_some(())
        })
        .await;
        assert_eq!(client.list_containers(None).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_killed_engine_comes_back_with_what_it_had() {
    let mut engine = DockerEngine::start().await;
    engine.busybox_image(IMAGE).await;
    let client = engine.client();
    let address = serve(&client, "before").await;
    run(&client, "writer", container(&["sh", "-c", "echo kept >/tmp/file; echo written; exec sleep 1000"])).await;
    eventually("the file", PATIENCE, async || (log(&client, "writer").await == "written\n").then_some(())).await;
    engine.pause().await;
    assert!(tokio::time::timeout(Duration::from_millis(300), client.ping()).await.is_err());
    engine.resume();
    client.ping().await.unwrap();
    engine.kill();
    assert!(client.ping().await.is_err() && fetch(&address).await.is_none());
    assert_eq!(working_in(engine.folder()), <[String; 0]>::default());
    engine.restart().await;
    let state = client.inspect_container("writer", None).await.unwrap().state.unwrap();
    assert_eq!(state.running, Some(false));
    client.start_container("writer", None).await.unwrap();
    let again = async || (log(&client, "writer").await == "written\nwritten\n").then_some(());
    eventually("the file again", PATIENCE, again).await;
    assert_eq!(execute(&client, "writer", "cat /tmp/file").await.0, "kept\n");
    client.start_container("web", None).await.unwrap();
}

/// Links, control groups and mounts of engines.
fn left_on_the_machine(part: &str) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("this is Linux");
    let mut left: Vec<String> =
        mounts.lines().filter(|line| line.contains("portcullis-docker")).map(str::to_owned).collect();
    let link = format!("portcullis-{part}");
    let groups = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|group| group.path());
    let places = groups.chain(["/sys/class/net", "/sys/fs/cgroup"].map(PathBuf::from));
    left.extend(places.map(|place| place.join(&link)).filter(|place| place.exists()).map(|p| p.display().to_string()));
    left
}

#[tokio::test]
async fn nothing_outlives_a_killed_test_process() {
    if is_victim() {
        let engine = DockerEngine::start().await;
        engine.busybox_image(IMAGE).await;
        wait_to_be_killed(&serve(&engine.client(), "still here").await).await;
    }
    let victim = Victim::start("docker::nothing_outlives_a_killed_test_process").await;
    eventually("an answer", PATIENCE, async || fetch(&victim.address).await).await;
    let part = std::fs::read_to_string(victim.engine().join("part")).unwrap();
    assert!(!left_on_the_machine(part.trim()).is_empty());
    victim.kill().await;
    assert_eq!(left_on_the_machine(part.trim()), <[String; 0]>::default());
}
