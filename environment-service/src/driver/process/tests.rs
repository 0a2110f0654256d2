//! The driver on real processes. Whatever a test starts is killed when it ends, in whatever way it ends.

mod bounded;
mod ends;
mod found;
mod own;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use access::AccountId;
use jiff::Timestamp;
use lifecycle::Lifecycle;
use procfs::process::Process;
use tempfile::TempDir;

use super::identity::Key;
use super::*;
use crate::domain::{Cloudlets, Desired, EnvironmentId, NodeGroupName, Variables};
use crate::driver::conformance::{Behaviour, Fixture, conformance};

/// Longer than any test; what waits as long is a failure.
const LONG: Duration = Duration::from_secs(30);

const LOG: LogLimits = LogLimits { bytes: 1 << 20, files: 1 };

/// A machine of its own for a test: a data folder, templates, and the processes that were launched from them.
struct Machine {
    folder: TempDir,
    templates: Vec<Template>,
    exec: Vec<String>,
    grace: Duration,
    bounding: BoundingSettings,
    launched: Vec<LaunchId>,
    groups: Vec<i32>,
}

impl Machine {
    /// One whose template `node` is this shell script.
    fn running(script: &str) -> Self {
        let template = Template {
            node_type: None,
            name: "node".to_owned(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: BTreeMap::from([("FLAVOUR".to_owned(), "vanilla".to_owned())]),
            variables: vec!["*".parse().unwrap()],
            working_directory: None,
            restart: Restart::Never,
            port: false,
        };
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            templates: vec![template],
            exec: Vec::new(),
            grace: LONG,
            bounding: BoundingSettings { bounding: Bounding::WherePossible, parent: None, processes: 100 },
            launched: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn settings(&self) -> ProcessSettings {
        ProcessSettings {
            data_dir: self.folder.path().to_owned(),
            stop_grace: self.grace,
            templates: self.templates.clone(),
            log: LOG,
            exec: self.exec.clone(),
            bounding: self.bounding.clone(),
        }
    }

    async fn driver(&self) -> ProcessDriver {
        ProcessDriver::open(self.settings(), Lifecycle::new()).await.unwrap()
    }

    fn order(&mut self) -> LaunchOrder {
        let launch = LaunchId(Uuid::new_v4());
        self.launched.push(launch);
        LaunchOrder {
            launch,
            environment_id: EnvironmentId(Uuid::nil()),
            environment: "shop".parse().unwrap(),
            account: AccountId(1),
            node: NodeId(7),
            group: NodeGroupName::application(),
            workload: Workload::template("node".parse().unwrap()),
            cloudlets: Cloudlets::new(None, None).unwrap(),
            port: None,
            adopted: None,
            versioned: false,
        }
    }

    async fn launch(&mut self, driver: &ProcessDriver) -> Launch {
        let order = self.order();
        let launch = Launch { id: order.launch, instance: Some(driver.launch(&order).await.unwrap()) };
        self.groups.push(key(&launch).pid);
        launch
    }

    /// How many processes bear a mark of this machine.
    fn marked(&self) -> usize {
        let table = Table::read_now();
        self.launched.iter().flat_map(|launch| table.marked(*launch)).filter(|entry| !entry.over).count()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("environments/shop/7").join(name)
    }

    /// The text of a file of the node, once it has as many lines.
    async fn lines(&self, name: &str, count: usize) -> Vec<String> {
        let path = self.file(name);
        let mut lines = Vec::new();
        until(|| {
            lines = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
            lines.len() >= count
        })
        .await;
        lines
    }
}

impl Fixture for Machine {
    fn open(&mut self) -> BoxFuture<'_, Box<dyn Driver>> {
        async move { Box::new(self.driver().await) as Box<dyn Driver> }.boxed()
    }

    fn order(&mut self, node: NodeId, behaviour: Behaviour) -> LaunchOrder {
        let name = match behaviour {
            Behaviour::Lasting => "node",
            Behaviour::Failing => "failing",
        };
        LaunchOrder { node, workload: Workload::template(name.parse().unwrap()), ..self.order() }
    }

    fn command(&self) -> Option<Command> {
        Some(run("sh", &["-c", "echo out; echo error >&2; exit 3"]))
    }
}

/// One whose nodes are those of the suite for all drivers.
fn conforming() -> Machine {
    let mut machine = Machine::running("echo begun; sleep 1000");
    let mut failing = machine.templates[0].clone();
    machine.templates[0].port = true;
    failing.name = "failing".to_owned();
    failing.command[2] = "exit 3".to_owned();
    machine.templates.push(failing);
    machine.exec = vec!["sh".to_owned()];
    machine
}

conformance!(std::future::ready(conforming()));

impl Drop for Machine {
    fn drop(&mut self) {
        // Killing may race with forking, hence again until nothing is found.
        let deadline = Instant::now() + LONG;
        while Instant::now() < deadline {
            let table = Table::read_now();
            let marked = self.launched.iter().flat_map(|launch| table.marked(*launch));
            let grouped = self.groups.iter().flat_map(|group| table.led_by(*group));
            let pids: Vec<i32> = marked.chain(grouped).filter(|entry| !entry.over).map(|entry| entry.key.pid).collect();
            if pids.is_empty() && bounded::emptied(self) {
                return;
            }
            for pid in pids {
                let _ = rustix::process::kill_process(
                    rustix::process::Pid::from_raw(pid).unwrap(),
                    rustix::process::Signal::KILL,
                );
            }
        }
    }
}

/// The environment of all nodes here, and its node with this launch.
fn shop(launch: Option<Launch>) -> Environment {
    let node = Node {
        id: NodeId(7),
        group: NodeGroupName::application(),
        workload: Workload::template("node".parse().unwrap()),
        former_tag: None,
        rank: 1,
        adopted: None,
        display_name: "node".to_owned(),
        cloudlets: Cloudlets::new(None, None).unwrap(),
        port: None,
        launch,
        ending: false,
    };
    Environment {
        id: EnvironmentId(Uuid::nil()),
        name: "shop".parse().unwrap(),
        account: AccountId(1),
        display_name: "shop".to_owned(),
        highly_available: false,
        tls: false,
        desired: Desired::Running,
        operation: None,
        created_at: Timestamp::UNIX_EPOCH,
        driver: DriverKind::Process,
        adopted: None,
        groups: Vec::new(),
        nodes: vec![node],
    }
}

/// Waits until something is true.
async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn key(launch: &Launch) -> Key {
    launch.instance.as_ref().unwrap().0.parse::<Identity>().unwrap().key
}

fn is_running(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| !identity::is_over(&stat))
}

fn pids(lines: &[String]) -> Vec<i32> {
    lines.iter().map(|line| line.trim().parse().unwrap()).collect()
}
fn run(program: &str, arguments: &[&str]) -> Command {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Command { program: program.to_owned(), arguments, time: LONG, most_output: 100 }
}
