//! The driver on real processes. Whatever a test starts is killed when it ends, in whatever way it ends.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use access::AccountId;
use jiff::Timestamp;
use lifecycle::Lifecycle;
use tempfile::TempDir;

use super::*;
use crate::domain::{Cloudlets, Desired, EnvironmentId, Node, NodeGroupName, Variables};
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
            launched: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    async fn driver(&self) -> ProcessDriver {
        let settings = ProcessSettings {
            data_dir: self.folder.path().to_owned(),
            stop_grace: self.grace,
            templates: self.templates.clone(),
            log: LOG,
            exec: self.exec.clone(),
        };
        ProcessDriver::open(settings, Lifecycle::new()).await.unwrap()
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
            if pids.is_empty() {
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

#[tokio::test]
async fn a_whole_group_ends_with_its_node() {
    let mut machine = Machine::running("sleep 1000 & echo $!; (sleep 1001 & echo $!); echo $$; wait");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let pids = pids(&machine.lines("stdout.log", 3).await);
    assert_eq!(pids[2], key(&launch).pid);
    assert!(pids.iter().all(|pid| is_running(*pid)));
    assert_eq!(driver.observe(&launch), Observed::Alive { number: i64::from(pids[2]) });
    let group = rustix::process::getpgid(rustix::process::Pid::from_raw(pids[0])).unwrap();
    assert_eq!(group.as_raw_nonzero().get(), pids[2], "a group of its own");

    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(pids.iter().all(|pid| !is_running(*pid)));
    assert!(Process::new(pids[2]).is_err(), "it was collected too");
    driver.end(&[launch]).await.unwrap();
}

#[tokio::test]
async fn a_node_may_end_in_its_own_way_within_the_grace() {
    let script = "trap 'sleep 0.2; echo tidy; exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done";
    let mut machine = Machine::running(script);
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    machine.lines("stdout.log", 1).await;
    driver.end(&[launch]).await.unwrap();
    assert_eq!(machine.lines("stdout.log", 2).await, ["ready", "tidy"]);
}

#[tokio::test]
async fn what_is_just_being_started_ends_too() {
    // A new process may lose the request: until it runs its own program, it has its parent's way to answer it.
    let script = "trap 'exit 0' TERM; echo ready; for i in $(seq 300); do sleep 1000 & done; wait";
    for _ in 0..5 {
        let mut machine = Machine::running(script);
        let driver = machine.driver().await;
        let launch = machine.launch(&driver).await;
        machine.lines("stdout.log", 1).await;
        let begin = Instant::now();
        driver.end(&[launch]).await.unwrap();
        assert!(begin.elapsed() < LONG, "without waiting for the grace");
        assert_eq!(machine.marked(), 0);
    }
}

#[tokio::test]
async fn one_that_ignores_the_request_is_killed_after_the_grace() {
    let script = "trap '' TERM; sleep 1000 & echo $!; echo $$; wait";
    let mut machine = Machine::running(script).with_grace(Duration::from_millis(300));
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let pids = pids(&machine.lines("stdout.log", 2).await);
    let begin = Instant::now();
    driver.end(&[launch]).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300), "the grace was given");
    assert!(pids.iter().all(|pid| !is_running(*pid)));
}

#[tokio::test]
async fn a_halted_node_hears_the_request() {
    let mut machine = Machine::running("echo ready; kill -STOP $$; sleep 1000");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    machine.lines("stdout.log", 1).await;
    let pid = key(&launch).pid;
    until(|| Process::new(pid).unwrap().stat().unwrap().state == 'T').await;
    let begin = Instant::now();
    driver.end(&[launch]).await.unwrap();
    assert!(begin.elapsed() < LONG, "without waiting for the grace");
}

#[tokio::test]
async fn what_left_the_group_ends_too() {
    let mut machine = Machine::running("setsid sh -c 'echo $$; exec sleep 1000' & wait; exec sleep 1001");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let escaped = pids(&machine.lines("stdout.log", 1).await)[0];
    assert_ne!(escaped, key(&launch).pid);
    driver.end(&[launch]).await.unwrap();
    assert!(!is_running(escaped));
}

#[tokio::test]
async fn a_node_leads_a_session_of_its_own_without_a_terminal() {
    let mut machine = Machine::running("exec sleep 1000");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let pid = key(&launch).pid;
    let stat = Process::new(pid).unwrap().stat().unwrap();
    assert_eq!((stat.session, stat.pgrp, stat.tty_nr), (pid, pid, 0));
    assert_ne!(Process::myself().unwrap().stat().unwrap().session, pid, "not the service's");
    driver.end(&[launch]).await.unwrap();
}

/// Starts a shell with job control, whose background job is in a group of its own, and has no mark.
const OTHER_GROUP: &str = "bash -c 'set -m; env -i sleep 1000 & echo $!'";

#[tokio::test]
async fn what_left_the_group_and_not_the_session_ends_without_its_mark() {
    for script in [&format!("{OTHER_GROUP}; exec sleep 1001"), &format!("{OTHER_GROUP}; exit 3")] {
        let mut machine = Machine::running(script);
        let driver = machine.driver().await;
        let launch = machine.launch(&driver).await;
        let node = key(&launch).pid;
        let other = pids(&machine.lines("stdout.log", 1).await)[0];
        let stat = Process::new(other).unwrap().stat().unwrap();
        assert_eq!((stat.session, stat.pgrp), (node, other));
        until(|| Process::new(other).unwrap().environ().unwrap().is_empty()).await;
        if script.ends_with("exit 3") {
            driver.ended_within(std::slice::from_ref(&launch), LONG).await.unwrap();
        }
        assert!(is_running(other));
        driver.end(&[launch]).await.unwrap();
        assert!(!is_running(other), "{script}");
    }
}

#[tokio::test]
async fn what_an_ended_node_leaves_in_its_group_is_ended_without_its_mark() {
    let mut machine = Machine::running("env -i sleep 1000 & echo $!; exit 3");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let left = pids(&machine.lines("stdout.log", 1).await)[0];
    let ended = driver.ended_within(std::slice::from_ref(&launch), LONG).await.unwrap();
    assert_eq!(ended, Ended { launch: launch.id, reason: "has ended with exit code 3".to_owned() });
    assert_eq!(driver.observe(&launch), Observed::Dead { reason: Some(ended.reason) });
    assert!(is_running(left));
    driver.end(&[launch]).await.unwrap();
    assert!(!is_running(left));
}

#[tokio::test]
async fn the_way_it_ended_is_told() {
    let mut machine = Machine::running("kill -KILL $$");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let ended = driver.ended_within(&[launch], LONG).await.unwrap();
    assert_eq!(ended.reason, "was ended by signal 9");
}

#[tokio::test]
async fn one_that_runs_on_has_settled() {
    let mut machine = Machine::running("sleep 1000");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    assert_eq!(driver.ended_within(&[launch], Duration::from_millis(50)).await, None);
    assert_eq!(driver.ended_within(&[], Duration::ZERO).await, None);
}

#[tokio::test]
async fn a_record_of_an_earlier_process_of_the_same_id_means_nothing() {
    let mut machine = Machine::running("sleep 1000");
    let driver = machine.driver().await;
    let bystander = machine.launch(&driver).await;
    let real = Identity { key: key(&bystander), boot: driver.boot };
    let forged = [
        Identity { key: Key { started: real.key.started - 1, ..real.key }, ..real },
        Identity { boot: Uuid::new_v4(), ..real },
    ];
    for identity in forged {
        let launch = Launch { id: LaunchId(Uuid::new_v4()), instance: Some(Instance(identity.to_string())) };
        assert!(!driver.observe(&launch).is_alive());
        assert!(driver.ended_within(std::slice::from_ref(&launch), LONG).await.is_some());
        driver.end(&[launch]).await.unwrap();
        assert!(is_running(real.key.pid), "the bystander was left alone");
    }
}

#[tokio::test]
async fn a_node_outlives_the_service_and_is_found_again() {
    let mut machine = Machine::running("sleep 1000 & echo $!; wait");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let child = pids(&machine.lines("stdout.log", 1).await)[0];
    drop(driver);

    let driver = machine.driver().await;
    assert_eq!(driver.observe(&launch), Observed::Alive { number: i64::from(key(&launch).pid) });
    assert_eq!(driver.ended_within(std::slice::from_ref(&launch), Duration::from_millis(50)).await, None);
    driver.end(std::slice::from_ref(&launch)).await.unwrap();
    assert!(!is_running(child) && !is_running(key(&launch).pid));
    assert_eq!(driver.observe(&launch), Observed::Dead { reason: None });
}

#[tokio::test]
async fn what_was_never_recorded_is_found_by_its_mark() {
    let mut machine = Machine::running("setsid sleep 1000 & sleep 1001 & wait");
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    drop(driver);

    let driver = machine.driver().await;
    let found = driver.find(&[(NodeId(8), LaunchId(Uuid::new_v4())), (NodeId(7), launch.id)]).await.unwrap();
    assert_eq!(found, HashMap::from([(launch.id, launch.instance.clone().unwrap())]));
    let unrecorded = Launch { instance: None, ..launch };
    assert_eq!(driver.observe(&unrecorded), Observed::Dead { reason: None }, "not seen before it is found");
    driver.end(&[unrecorded]).await.unwrap();
    assert_eq!(machine.marked(), 0);
}

#[tokio::test]
async fn a_node_gets_its_own_variables_and_none_of_the_service() {
    let mut machine = Machine::running("env; echo working in $(pwd); ls -l /proc/self/fd >&2; exec sleep 1000");
    // A file without the flag that closes it in a new program, as a careless parent leaves one open.
    let careless = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&careless, rustix::io::FdFlags::empty()).unwrap();
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    until(|| fs::read_to_string(machine.file("stdout.log")).unwrap().contains("working in")).await;
    let lines = machine.lines("stdout.log", 1).await;
    let home = machine.file("");
    let home = home.to_str().unwrap().trim_end_matches('/');
    for expected in [
        "PORTCULLIS_ENVIRONMENT=shop",
        "PORTCULLIS_NODE=7",
        "PORTCULLIS_NODE_GROUP=cp",
        "PORTCULLIS_NODE_TYPE=node",
        &format!("PORTCULLIS_INSTANCE={}", launch.id),
        &format!("HOME={home}"),
        "FLAVOUR=vanilla",
        &format!("working in {home}"),
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:?}");
    }
    let allowed =
        ["PORTCULLIS_", "PATH=", "LANG=", "HOME=", "FLAVOUR=", "PWD=", "OLDPWD=", "SHLVL=", "_=", "working in"];
    let foreign: Vec<&String> =
        lines.iter().filter(|line| !allowed.iter().any(|name| line.starts_with(name))).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let own = |name: &str| allowed.iter().any(|allowed| allowed.trim_end_matches('=') == name);
    assert!(std::env::vars().any(|(name, _)| !own(&name)), "there was something to keep from it");

    // 0, 1 and 2, and the folder that `ls` itself reads.
    let files = machine.lines("stderr.log", 4).await;
    assert_eq!(files.iter().filter(|line| line.contains("->")).count(), 4, "{files:?}");
}

#[tokio::test]
async fn its_files_are_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let mut machine = Machine::running("echo out; echo err >&2; exec sleep 1000");
    let driver = machine.driver().await;
    let first = machine.launch(&driver).await;
    machine.lines("stderr.log", 1).await;
    driver.end(&[first]).await.unwrap();
    let second = machine.launch(&driver).await;
    assert_eq!(machine.lines("stdout.log", 2).await, ["out", "out"], "a log is continued");
    let mode = |name| fs::metadata(machine.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("stdout.log")), (0o700, 0o600));

    driver.end(&[second]).await.unwrap();
    driver.clear(&shop(None)).await.unwrap();
    assert!(!machine.file("").exists());
    driver.clear(&shop(None)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_launched_says_why() {
    let mut machine = Machine::running("sleep 1000");
    machine.templates[0].command = vec!["/no/such/program".to_owned()];
    let driver = machine.driver().await;
    let order = machine.order();
    assert!(
        matches!(driver.launch(&order).await, Err(LaunchError::Spawn(program, _)) if program == "/no/such/program")
    );
    let order = LaunchOrder { workload: Workload::template("other".parse().unwrap()), ..order };
    assert!(matches!(driver.launch(&order).await, Err(LaunchError::UnknownNodeType(_))));
}

#[tokio::test]
async fn a_port_is_free_kept_and_nobody_elses() {
    let mut machine = Machine::running("sleep 1000");
    let silent = machine.templates[0].clone();
    machine.templates.push(Template { name: "web".to_owned(), port: true, ..silent });
    let driver = machine.driver().await;
    let [node, web] = ["node", "web"].map(|name| Workload::template(name.parse().unwrap()));
    let ports = driver.ports(&[(&web, None), (&node, None), (&web, None)]).unwrap();
    let (first, second) = (ports[0].unwrap(), ports[2].unwrap());
    assert_ne!(first, second);
    assert_eq!(ports[1], None);
    let taken = TcpListener::bind(("127.0.0.1", second)).unwrap();
    let again = driver.ports(&[(&web, Some(first)), (&web, Some(second)), (&web, Some(first))]).unwrap();
    assert_eq!(again[0], Some(first));
    assert!(again[1].is_some() && again[1] != Some(second), "it is taken");
    assert!(again[2].is_some() && again[2] != Some(first), "it is given already");
    drop(taken);
}

#[tokio::test]
async fn a_data_folder_is_used_by_one_service() {
    let machine = Machine::running("sleep 1000");
    let driver = machine.driver().await;
    let settings = ProcessSettings {
        data_dir: machine.folder.path().to_owned(),
        stop_grace: LONG,
        templates: Vec::new(),
        log: LOG,
        exec: Vec::new(),
    };
    let second = ProcessDriver::open(settings.clone(), Lifecycle::new()).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    drop(driver);
    assert!(ProcessDriver::open(settings, Lifecycle::new()).await.is_ok());
}

fn run(program: &str, arguments: &[&str]) -> Command {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Command { program: program.to_owned(), arguments, time: LONG, most_output: 100 }
}

#[tokio::test]
async fn only_listed_commands_are_run_in_a_node_that_runs() {
    let mut machine = Machine::running("sleep 1000");
    machine.exec = ["sh", "nothing"].map(str::to_owned).to_vec();
    let driver = machine.driver().await;
    let launch = machine.launch(&driver).await;
    let mut environment = shop(Some(launch.clone()));
    let variables = Variables::new([("COLOUR".to_owned(), "blue".to_owned())]).unwrap();
    environment.nodes[0].workload.variables = variables;
    let node = NodeAt { environment: &environment, node: &environment.nodes[0] };
    let script = "pwd; echo $FLAVOUR $COLOUR $PORTCULLIS_NODE; echo no >&2; exit 3";
    let output = driver.exec(node, &run("sh", &["-c", script])).await.unwrap();
    let folder = machine.file("").display().to_string();
    let expected = format!("{}\nvanilla blue 7\n", folder.trim_end_matches('/'));
    assert_eq!((output.code, String::from_utf8(output.out).unwrap()), (3, expected));
    assert_eq!(output.error, b"no\n");
    let much = driver.exec(node, &run("sh", &["-c", "head -c 100000 /dev/zero"])).await.unwrap();
    assert_eq!((much.code, much.out.len()), (0, 100), "the rest is thrown away, and nobody waits for ever");
    let killed = driver.exec(node, &run("sh", &["-c", "kill -9 $$"])).await.unwrap();
    assert_eq!(killed.code, 137);

    let refused = driver.exec(node, &run("cat", &["/etc/passwd"])).await;
    assert!(matches!(refused, Err(NodeError::Refused(text)) if text.contains("`cat`")));
    assert!(matches!(driver.exec(node, &run("nothing", &[])).await, Err(NodeError::Failed(_))));
    let slow = Command { time: Duration::from_millis(100), ..run("sh", &["-c", "sleep 1000 & sleep 1000"]) };
    assert!(matches!(driver.exec(node, &slow).await, Err(NodeError::Refused(text)) if text.contains("longer")));
    driver.end(&[launch]).await.unwrap();
    assert_eq!(machine.marked(), 0, "what was run has the mark too");
    assert!(matches!(driver.exec(node, &run("sh", &[])).await, Err(NodeError::NotRunning)));
}

#[tokio::test]
async fn the_owners_variables_are_over_the_templates() {
    let mut machine = Machine::running("env > env.txt.new; mv env.txt.new env.txt; sleep 1000");
    let driver = machine.driver().await;
    let mut order = machine.order();
    let variables = [("FLAVOUR", "mint"), ("COLOUR", "blue"), ("PATH", "/bin:/usr/bin")];
    let variables = Variables::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    order.workload.variables = variables.unwrap();
    let instance = driver.launch(&order).await.unwrap();
    machine.groups.push(key(&Launch { id: order.launch, instance: Some(instance) }).pid);
    let lines = machine.lines("env.txt", 5).await;
    for line in ["FLAVOUR=mint", "COLOUR=blue", "PATH=/bin:/usr/bin", "PORTCULLIS_TAG=latest"] {
        assert!(lines.iter().any(|other| other == line), "{line}: {lines:?}");
    }
}
