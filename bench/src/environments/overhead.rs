//! A start and a stop of an environment of one node, beside the same done by hand: once by default, where both sides wait for
//! `start_settle`, as long as a node has to run before it counts as started, and once where neither waits.

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

/// How long a node has to run before it counts as started: the default, and nothing.
const SETTLES: [Duration; 2] = [Duration::from_millis(200), Duration::ZERO];
const ROUNDS: Rounds = Rounds { rounds: 30, calls: 1 };
const COMMAND: [&str; 2] = ["/bin/sleep", "1000"];
const IMAGE: &str = "portcullis/bench:1";
/// It ends when it is told to, which the first process of a container does not by itself.
const SCRIPT: &str = "trap 'exit 0' TERM; sleep 1000 & wait";

/// Either side.
enum Side<'a> {
    Process(Duration),
    Container(&'a Docker, Duration),
    Service(&'a Stage),
}

impl Side<'_> {
    /// How long a start and a stop take.
    async fn start_and_stop(&mut self) -> anyhow::Result<Duration> {
        match self {
            Self::Process(settle) => {
                let begun = Instant::now();
                let mut command = Command::new(COMMAND[0]);
                command.arg(COMMAND[1]).process_group(0).stdin(Stdio::null());
                let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
                settled(*settle).await;
                let group = Pid::from_raw(i32::try_from(child.id())?).context("a process has a number")?;
                kill_process_group(group, Signal::TERM)?;
                child.wait()?;
                Ok(begun.elapsed())
            }
            Self::Container(docker, settle) => {
                let begun = Instant::now();
                docker.start_container("by-hand", None).await?;
                settled(*settle).await;
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

/// A timer of no time would still wait for its next tick.
async fn settled(settle: Duration) {
    if !settle.is_zero() {
        tokio::time::sleep(settle).await;
    }
}

fn key(settle: Duration) -> String {
    format!("start_settle = \"{}ms\"\n", settle.as_millis())
}

/// With and without waiting.
pub(super) async fn of_processes() -> anyhow::Result<[Option<f64>; 2]> {
    let template = format!("[[template]]\nname = \"sleeper\"\ncommand = {COMMAND:?}\n");
    let mut ratios = [None; 2];
    for (ratio, settle) in ratios.iter_mut().zip(SETTLES) {
        let stage = Stage::start(&(key(settle) + &template)).await?;
        *ratio = Some(self::ratio(Side::Process(settle), &stage, "sleeper").await?);
    }
    Ok(ratios)
}

/// The same; nothing where there can be no engine.
pub(super) async fn of_containers() -> anyhow::Result<[Option<f64>; 2]> {
    if !geteuid().is_root() {
        eprintln!("warning: no Docker engine: only root can start one");
        return Ok([None; 2]);
    }
    let engine = DockerEngine::start().await;
    engine.busybox_image(IMAGE).await;
    let command = ["sh", "-c", SCRIPT];
    let template = format!(
        "[docker]\nsocket = {:?}\n[[docker.template]]\nname = \"box\"\nimage = {IMAGE:?}\ncommand = {command:?}\n",
        engine.host()
    );
    let docker = engine.client();
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(command.map(str::to_owned).to_vec()),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name("by-hand").build();
    docker.create_container(Some(options), body).await?;
    let mut ratios = [None; 2];
    for (ratio, settle) in ratios.iter_mut().zip(SETTLES) {
        let stage = Stage::start(&(key(settle) + &template)).await?;
        *ratio = Some(self::ratio(Side::Container(&docker, settle), &stage, "box").await?);
        // The next service is another one: what this one made is not its.
        stage.delete("one").await?;
    }
    Ok(ratios)
}
