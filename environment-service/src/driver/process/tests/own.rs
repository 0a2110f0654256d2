//! What nodes are given, and what they are kept from.

use super::*;

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
    let settings = machine.settings();
    let second = ProcessDriver::open(settings.clone(), Lifecycle::new()).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    drop(driver);
    assert!(ProcessDriver::open(settings, Lifecycle::new()).await.is_ok());
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
