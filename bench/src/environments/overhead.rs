//! A start and a stop of an environment of one node, beside the same done by hand. Both sides wait `start_settle`, as long as a
//! node has to run before it counts as started.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, StopContainerOptionsBuilder};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use testkit::DockerEngine;

use super::stage::Stage;
use crate::measure::{Rounds, compare};

/// The service's default.
const SETTLE: Duration = Duration::from_millis(200);
const ROUNDS: Rounds = Rounds { rounds: 30, calls: 1 };
const COMMAND: [&str; 2] = ["/bin/sleep", "1000"];
const IMAGE: &str = "portcullis/bench:1";
/// It ends when it is told to, which the first process of a container does not by itself.
const SCRIPT: &str = "trap 'exit 0' TERM; sleep 1000 & wait";

/// Either side.
enum Side<'a> {
    Process,
    Container(&'a Docker),
    Service(&'a Stage),
}

impl Side<'_> {
    /// How long a start and a stop take.
    async fn start_and_stop(&mut self) -> anyhow::Result<Duration> {
        match self {
            Self::Process => {
                let begun = Instant::now();
                let mut command = Command::new(COMMAND[0]);
                command.arg(COMMAND[1]).process_group(0).stdin(Stdio::null());
                let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
                tokio::time::sleep(SETTLE).await;
                let group = Pid::from_raw(i32::try_from(child.id())?).context("a process has a number")?;
                kill_process_group(group, Signal::TERM)?;
                child.wait()?;
                Ok(begun.elapsed())
            }
            Self::Container(docker) => {
                let begun = Instant::now();
                docker.start_container("by-hand", None).await?;
                tokio::time::sleep(SETTLE).await;
                let options = StopContainerOptionsBuilder::default().t(10).build();
                docker.stop_container("by-hand", Some(options)).await?;
                Ok(begun.elapsed())
            }
            Self::Service(stage) => {
                let (start, stop) = (stage.start_request("one").await?, stage.stop_request("one").await?);
                let mut client = stage.client();
                let begun = Instant::now();
                client.start_env(start).await?;
                client.stop_env(stop).await?;
                Ok(begun.elapsed())
            }
        }
    }
}

async fn ratio(by_hand: Side<'_>, stage: &Stage, template: &str) -> anyhow::Result<f64> {
    stage.create("one", template).await?;
    stage.client().stop_env(stage.stop_request("one").await?).await?;
    let (mut by_hand, mut service) = (by_hand, Side::Service(stage));
    let compared = compare(ROUNDS, [&mut by_hand, &mut service], Side::start_and_stop).await?;
    Ok(compared.ratio())
}

pub(super) async fn of_processes() -> anyhow::Result<f64> {
    let template = format!("[[template]]\nname = \"sleeper\"\ncommand = {COMMAND:?}\n");
    let stage = Stage::start(&template).await?;
    ratio(Side::Process, &stage, "sleeper").await
}

/// Nothing where there can be no engine.
pub(super) async fn of_containers() -> anyhow::Result<Option<f64>> {
    if !geteuid().is_root() {
        eprintln!("warning: no Docker engine: only root can start one");
        return Ok(None);
    }
    let engine = DockerEngine::start().await;
    engine.busybox_image(IMAGE).await;
    let command = ["sh", "-c", SCRIPT];
    let template = format!(
        "[docker]\nsocket = {:?}\n[[docker.template]]\nname = \"box\"\nimage = {IMAGE:?}\ncommand = {command:?}\n",
        engine.host()
    );
    let stage = Stage::start(&template).await?;
    let docker = engine.client();
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(command.map(str::to_owned).to_vec()),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name("by-hand").build();
    docker.create_container(Some(options), body).await?;
    ratio(Side::Container(&docker), &stage, "box").await.map(Some)
}
