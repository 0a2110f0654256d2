//! What can be done with an environment besides making, starting, stopping and deleting it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use access::Claims;
use proto::ErrorKind;
use proto::environment::v1::file_client::FileClient;
use proto::environment::v1::group_client::GroupClient;
use proto::environment::v1::{
    AddContainerEnvVarsRequest, AttachEnvGroupRequest, CloneEnvRequest, CreateGroupRequest, DetachEnvGroupRequest,
    EditGroupRequest, ExecCmdByGroupRequest, ExecCmdByIdRequest, GetContainerEnvVarsByGroupRequest,
    GetContainerEnvVarsRequest, GetGroupsRequest, GetLogsRequest, NodeCommand, ReadLogRequest, ReadRequest,
    RedeployContainersByGroupRequest, RemoveContainerEnvVarsRequest, RemoveGroupRequest, RestartNodeByIdRequest,
    RestartNodesRequest, SetCloudletsCountByIdRequest, SetContainerEnvVarsByGroupRequest, SetContainerEnvVarsRequest,
    SetEnvDisplayNameRequest, SetEnvGroupRequest, SleepEnvRequest, WatchEnvsRequest,
};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{TestDatabase, eventually};

use crate::authority::{BOB, with_grant};
use crate::stage::{Caller, LONG, Stage, answer, assert_kind, pids};

fn shop() -> String {
    "shop".to_owned()
}

/// Calls a method of the environments as an account.
macro_rules! call {
    ($stage:ident, $caller:expr, $method:ident, $request:expr) => {{
        let request = $caller.granted($request);
        answer($stage.client().$method(request).await)
    }};
}

async fn nodes(caller: &Caller<'_>) -> Vec<i64> {
    caller.info("shop").await.unwrap().nodes.iter().map(|node| node.id).collect()
}

#[tokio::test]
async fn what_sleeps_is_woken_by_a_start() {
    for stage in Stage::on_each_engine().await {
        let alice = stage.alice();
        alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
        for _ in 0..2 {
            call!(stage, alice, sleep_env, SleepEnvRequest { env_name: shop() }).unwrap();
            assert_eq!(stage.processes(), [] as [i32; 0]);
            let info = alice.info("shop").await.unwrap();
            assert_eq!((info.env.unwrap().status, info.nodes[0].status), (4, 4), "{}", stage.engine);
            let last = info.last_operation.unwrap();
            assert_eq!((last.name.as_str(), last.outcome.as_str()), ("sleep", "done"));
        }
        let text = assert_kind(
            call!(stage, alice, restart_nodes, RestartNodesRequest { env_name: shop(), ..Default::default() }),
            ErrorKind::EnvironmentStatus,
        );
        assert!(text.contains("asleep (4)"), "{text}");
        alice.start("shop").await.unwrap();
        assert_eq!((alice.status("shop").await, stage.processes().len()), (1, 2));
        alice.stop("shop").await.unwrap();
        assert_eq!(alice.status("shop").await, 2);
    }
}

#[tokio::test]
async fn a_copy_has_the_nodes_variables_and_groups_and_is_another() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "versioned", 2), ("bl", "listener", 1)]).await.unwrap();
    let vars = HashMap::from([("COLOUR".to_owned(), "blue".to_owned())]);
    let set = SetContainerEnvVarsByGroupRequest { env_name: shop(), node_group: "cp".into(), data: vars.clone() };
    call!(stage, alice, set_container_env_vars_by_group, set).unwrap();
    let group = SetEnvGroupRequest { env_name: shop(), env_group: vec!["team a".into()] };
    call!(stage, alice, set_env_group, group).unwrap();
    let clone = |from: &str, to: &str| CloneEnvRequest { src_env_name: from.into(), dst_env_name: to.into() };
    let copy = call!(stage, alice, clone_env, clone("shop", "copy")).unwrap();
    let env = copy.env.unwrap();
    assert_eq!((env.env_name.as_str(), env.display_name.as_str(), env.status), ("copy", "copy", 1));
    assert_eq!((copy.nodes.len(), copy.env_groups), (3, vec!["team a".to_owned()]));
    let original = alice.info("shop").await.unwrap();
    assert!(copy.nodes.iter().all(|node| original.nodes.iter().all(|other| other.id != node.id)));
    let asked = GetContainerEnvVarsByGroupRequest { env_name: "copy".into(), node_group: "cp".into() };
    assert_eq!(call!(stage, alice, get_container_env_vars_by_group, asked).unwrap().object, vars);
    alice.delete("shop").await.unwrap();
    assert_eq!(alice.status("copy").await, 1);

    assert_kind(call!(stage, alice, clone_env, clone("copy", "copy")), ErrorKind::AlreadyExists);
    assert_kind(call!(stage, alice, clone_env, clone("shop", "new")), ErrorKind::EnvironmentNotFound);
    assert_kind(call!(stage, alice, clone_env, clone("copy", "Not One")), ErrorKind::InvalidParameter);
    let bob = stage.account(BOB);
    assert_kind(call!(stage, bob, clone_env, clone("copy", "new")), ErrorKind::EnvironmentNotFound);
}

#[tokio::test]
async fn nodes_are_restarted_one_by_one_by_group_or_all() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let created = alice.create("shop", &[("bl", "pair", 1), ("cp", "pair", 2)]).await.unwrap();
    let ids: Vec<i64> = created.nodes.iter().map(|node| node.id).collect();
    let mut before = pids(&created.nodes);
    let mut restarted = async |expected: [bool; 3]| {
        let after = pids(&alice.info("shop").await.unwrap().nodes);
        let changed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
        assert_eq!(changed, expected);
        assert_eq!(stage.processes().len(), 6);
        before = after;
    };
    let one = RestartNodeByIdRequest { env_name: shop(), node_id: ids[1] };
    call!(stage, alice, restart_node_by_id, one).unwrap();
    restarted([false, true, false]).await;
    let some = |node_group: Option<&str>, node_id| RestartNodesRequest {
        env_name: shop(),
        node_group: node_group.map(str::to_owned),
        node_id,
    };
    call!(stage, alice, restart_nodes, some(Some("cp"), None)).unwrap();
    restarted([false, true, true]).await;
    call!(stage, alice, restart_nodes, some(Some("cp"), Some(ids[0]))).unwrap();
    restarted([true, false, false]).await;
    call!(stage, alice, restart_nodes, some(Some(""), None)).unwrap();
    restarted([true, true, true]).await;

    let text = assert_kind(call!(stage, alice, restart_nodes, some(Some("none"), None)), ErrorKind::ObjectNotFound);
    assert_eq!(text, "the environment has no node group `none`");
    let text = assert_kind(call!(stage, alice, restart_nodes, some(None, Some(0))), ErrorKind::ObjectNotFound);
    assert_eq!(text, "the environment has no node 0");
    restarted([false, false, false]).await;
}

#[tokio::test]
async fn a_version_that_does_not_come_up_is_taken_back() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "versioned", 2), ("bl", "pair", 1)]).await.unwrap();
    let redeploy = |tag: &str| RedeployContainersByGroupRequest {
        env_name: shop(),
        node_group: "cp".to_owned(),
        tag: tag.to_owned(),
    };
    let done = call!(stage, alice, redeploy_containers_by_group, redeploy("2.0")).unwrap();
    let ids = nodes(&alice).await;
    assert_eq!(done.responses.iter().map(|response| response.nodeid).collect::<Vec<_>>(), ids[..2]);
    let versions = async || {
        let nodes = alice.info("shop").await.unwrap().nodes;
        nodes.iter().map(|node| (node.version.clone(), node.status)).collect::<Vec<_>>()
    };
    let expected = |version: &str| [(version, 1), (version, 1), ("latest", 1)].map(|(text, n)| (text.to_owned(), n));
    assert_eq!(versions().await, expected("2.0"));

    let refused = call!(stage, alice, redeploy_containers_by_group, redeploy("bad"));
    let text = assert_kind(refused, ErrorKind::EnvironmentFailed);
    assert!(text.contains("the former one runs again") && text.contains("exit code 4"), "{text}");
    assert_eq!(versions().await, expected("2.0"));
    assert_eq!(stage.processes().len(), 4);
    let log = stage.file(&format!("data/environments/shop/{}/stdout.log", ids[0]));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "latest\n2.0\n2.0\n");
    let last = alice.info("shop").await.unwrap().last_operation.unwrap();
    assert_eq!((last.name.as_str(), last.outcome.as_str()), ("redeploy", "failed"));
    assert!(last.message.contains("the former one runs again"), "{}", last.message);

    let text =
        assert_kind(call!(stage, alice, redeploy_containers_by_group, redeploy("-x")), ErrorKind::InvalidParameter);
    assert!(text.starts_with("`tag`"), "{text}");
    alice.stop("shop").await.unwrap();
    call!(stage, alice, redeploy_containers_by_group, redeploy("3")).unwrap();
    assert_eq!(alice.status("shop").await, 2, "what is stopped stays so");
    alice.start("shop").await.unwrap();
    assert_eq!(versions().await, expected("3"));
}

#[tokio::test]
async fn a_redeployment_that_was_torn_off_is_finished_or_taken_back() {
    for (tag, ends_as) in [("2", "2"), ("bad", "latest")] {
        let mut stage = Stage::start(TestDatabase::sqlite()).await;
        stage.alice().create("shop", &[("cp", "versioned", 1)]).await.unwrap();
        stage.stop_service().await;
        // As if the service had been killed after it had begun.
        let database = stage.database().await;
        let mut tx = database.begin("test").await.unwrap();
        for statement in [
            "update environment set operation = 'redeploy'",
            "update node set former_tag = tag",
            "update node set tag = $1",
        ] {
            let query = sqlx::query(statement);
            let query = if statement.contains('$') { query.bind(tag) } else { query };
            query.execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        stage.start_service().await;
        stage.alice().until_status("shop", 1).await;
        let node = stage.alice().info("shop").await.unwrap().nodes.remove(0);
        assert_eq!((node.version.as_str(), node.status), (ends_as, 1));
        assert_eq!(stage.processes().len(), 1);
    }
}

#[tokio::test]
async fn variables_are_added_set_taken_and_in_force_from_the_next_launch() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "versioned", 1), ("bl", "versioned", 1)]).await.unwrap();
    let ids = nodes(&alice).await;
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let read = async |node_id| {
        let asked = GetContainerEnvVarsRequest { env_name: shop(), node_id };
        let object = call!(stage, alice, get_container_env_vars, asked).unwrap().object;
        let mut pairs: Vec<(String, String)> = object.into_iter().collect();
        pairs.sort();
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    let add = |vars, node_group: Option<&str>, node_id| AddContainerEnvVarsRequest {
        env_name: shop(),
        vars,
        node_group: node_group.map(str::to_owned),
        node_id,
    };
    call!(stage, alice, add_container_env_vars, add(map(&[("COLOUR", "blue"), ("B", "2")]), Some("cp"), None)).unwrap();
    call!(stage, alice, add_container_env_vars, add(map(&[("B", "3")]), Some("bl"), Some(ids[0]))).unwrap();
    assert_eq!((read(ids[0]).await.as_str(), read(ids[1]).await.as_str()), ("B=3 COLOUR=blue", ""));
    let remove = RemoveContainerEnvVarsRequest {
        env_name: shop(),
        vars: vec!["B".into(), "NONE".into()],
        node_group: None,
        node_id: Some(ids[0]),
    };
    call!(stage, alice, remove_container_env_vars, remove).unwrap();
    assert_eq!(read(ids[0]).await, "COLOUR=blue");
    let one = RestartNodeByIdRequest { env_name: shop(), node_id: ids[0] };
    call!(stage, alice, restart_node_by_id, one).unwrap();
    let log = stage.file(&format!("data/environments/shop/{}/stdout.log", ids[0]));
    let lines = || async { std::fs::read_to_string(&log).ok().filter(|text| text.ends_with("latest blue\n")) };
    eventually("the node has its variable", LONG, lines).await;
    let set = SetContainerEnvVarsRequest { env_name: shop(), node_id: ids[0], vars: map(&[("X", "")]) };
    call!(stage, alice, set_container_env_vars, set).unwrap();
    assert_eq!(read(ids[0]).await, "X=");

    let many: HashMap<String, String> = (0..10_000).map(|number| (format!("V{number}"), String::new())).collect();
    for (vars, says) in [
        (many, "512 variables"),
        (map(&[("PORT", "1")]), "`PORT`"),
        (map(&[("A B", "1")]), "names"),
        (map(&[("A", "\0")]), "zero byte"),
        (map(&[("A", &"x".repeat(65_536))]), "65536 bytes"),
    ] {
        let refused = call!(stage, alice, add_container_env_vars, add(vars, None, Some(ids[0])));
        let text = assert_kind(refused, ErrorKind::InvalidParameter);
        assert!(text.starts_with("`vars`") && text.contains(says), "{text}");
    }
    assert_kind(call!(stage, alice, add_container_env_vars, add(map(&[]), None, None)), ErrorKind::InvalidParameter);
    assert_kind(
        call!(stage, alice, add_container_env_vars, add(map(&[("A", "1")]), None, Some(-1))),
        ErrorKind::ObjectNotFound,
    );
    assert_eq!(read(ids[0]).await, "X=", "nothing of it was kept");
}

#[tokio::test]
async fn groups_hold_environments_and_are_an_accounts_own() {
    let stage = Stage::sqlite().await;
    let (alice, bob) = (stage.alice(), stage.account(BOB));
    alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let mut groups = GroupClient::new(stage.channel());
    let names =
        |groups: Vec<proto::environment::v1::EnvGroup>| groups.into_iter().map(|group| group.name).collect::<Vec<_>>();
    let made = groups.create_group(alice.granted(CreateGroupRequest { env_group: "live".into() })).await.unwrap();
    assert_eq!(names(made.into_inner().array), ["live"]);
    let attach = AttachEnvGroupRequest { env_name: shop(), env_group: vec!["live".into(), "eu".into()] };
    call!(stage, alice, attach_env_group, attach).unwrap();
    assert_eq!(alice.info("shop").await.unwrap().env_groups, ["eu", "live"]);
    let edit = EditGroupRequest { src_group_name: "eu".into(), dst_group_name: Some("europe".into()) };
    groups.edit_group(alice.granted(edit.clone())).await.unwrap();
    assert_kind(answer(groups.edit_group(bob.granted(edit)).await), ErrorKind::ObjectNotFound);
    let detach = DetachEnvGroupRequest { env_name: shop(), env_group: vec!["live".into()] };
    call!(stage, alice, detach_env_group, detach).unwrap();
    let of_shop = groups.get_groups(alice.granted(GetGroupsRequest { env_name: Some(shop()) })).await.unwrap();
    assert_eq!(names(of_shop.into_inner().array), ["europe"]);
    let all = groups.get_groups(alice.granted(GetGroupsRequest { env_name: None })).await.unwrap();
    assert_eq!(names(all.into_inner().array), ["europe", "live"]);
    let others = groups.get_groups(bob.granted(GetGroupsRequest { env_name: None })).await.unwrap();
    assert_eq!(names(others.into_inner().array), [] as [String; 0]);
    let again = CreateGroupRequest { env_group: "live".into() };
    assert_kind(answer(groups.create_group(alice.granted(again)).await), ErrorKind::AlreadyExists);
    for wrong in ["", "a,b", "a;b"] {
        let request = CreateGroupRequest { env_group: wrong.into() };
        assert_kind(answer(groups.create_group(alice.granted(request)).await), ErrorKind::InvalidParameter);
    }
    groups.remove_group(alice.granted(RemoveGroupRequest { env_group: "europe".into() })).await.unwrap();
    assert_eq!(alice.info("shop").await.unwrap().env_groups, [] as [String; 0]);
    let gone = RemoveGroupRequest { env_group: "europe".into() };
    assert_kind(answer(groups.remove_group(alice.granted(gone)).await), ErrorKind::ObjectNotFound);
}

#[tokio::test]
async fn names_for_people_and_sizes_are_changed() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let node_id = nodes(&alice).await[0];
    let rename =
        |name: Option<&str>| SetEnvDisplayNameRequest { env_name: shop(), display_name: name.map(str::to_owned) };
    call!(stage, alice, set_env_display_name, rename(Some("Der Laden"))).unwrap();
    assert_eq!(alice.info("shop").await.unwrap().env.unwrap().display_name, "Der Laden");
    assert_kind(call!(stage, alice, set_env_display_name, rename(Some("\n"))), ErrorKind::InvalidParameter);
    call!(stage, alice, set_env_display_name, rename(None)).unwrap();
    assert_eq!(alice.info("shop").await.unwrap().env.unwrap().display_name, "shop");
    let resize = |fixed_cloudlets, flexible_cloudlets| SetCloudletsCountByIdRequest {
        env_name: shop(),
        node_id,
        fixed_cloudlets,
        flexible_cloudlets,
    };
    call!(stage, alice, set_cloudlets_count_by_id, resize(2, 6)).unwrap();
    let size = async || {
        let node = alice.info("shop").await.unwrap().nodes.remove(0);
        (node.fixed_cloudlets, node.flexible_cloudlets)
    };
    assert_eq!(size().await, (2, 6));
    for (fixed, flexible, parameter) in [
        (-1, 1, "fixedCloudlets"),
        (513, 513, "fixedCloudlets"),
        (0, 0, "flexibleCloudlets"),
        (5, 4, "flexibleCloudlets"),
    ] {
        let refused = call!(stage, alice, set_cloudlets_count_by_id, resize(fixed, flexible));
        let text = assert_kind(refused, ErrorKind::InvalidParameter);
        assert!(text.starts_with(&format!("`{parameter}`")), "{text}");
    }
    assert_eq!(size().await, (2, 6));
}

#[tokio::test]
async fn commands_are_run_where_the_operator_lists_them() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.exec_commands = vec!["sh".to_owned()];
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 2)]).await.unwrap();
    let ids = nodes(&alice).await;
    let command = |command: &str, params: Option<&str>| NodeCommand {
        command: command.to_owned(),
        params: params.map(str::to_owned),
    };
    let by_id = |command_list| ExecCmdByIdRequest { env_name: shop(), node_id: ids[0], command_list, say_yes: None };
    let commands = vec![
        command("sh", Some("-c 'echo $PORTCULLIS_NODE'")),
        command("sh -c 'echo no >&2; exit 3'", None),
        command("sh -c 'echo never'", None),
    ];
    let responses = call!(stage, alice, exec_cmd_by_id, by_id(commands)).unwrap().responses;
    let told: Vec<_> = responses.iter().map(|r| (r.result, r.out.as_str(), r.err_out.as_str(), r.nodeid)).collect();
    assert_eq!(told, [(0, format!("{}\n", ids[0]).as_str(), "", ids[0]), (3, "", "no\n", ids[0])]);
    let by_group = ExecCmdByGroupRequest {
        env_name: shop(),
        node_group: "cp".into(),
        command_list: vec![command("sh -c 'echo $PORTCULLIS_NODE'", None)],
        say_yes: Some(true),
    };
    let responses = call!(stage, alice, exec_cmd_by_group, by_group).unwrap().responses;
    assert_eq!(responses.iter().map(|response| response.nodeid).collect::<Vec<_>>(), ids);

    let text = assert_kind(
        call!(stage, alice, exec_cmd_by_id, by_id(vec![command("cat /etc/passwd", None)])),
        ErrorKind::PermissionDenied,
    );
    assert_eq!(text, "`cat` is not among the commands that the operator lists");
    for list in [vec![], vec![command("", None)], vec![command("sh 'a", None)], vec![command("sh", None); 33]] {
        let refused = call!(stage, alice, exec_cmd_by_id, by_id(list.clone()));
        if list.is_empty() {
            assert_eq!(refused.unwrap().responses, [], "that there is at least one is the gateway's to say");
        } else {
            assert_kind(refused, ErrorKind::InvalidParameter);
        }
    }
    alice.stop("shop").await.unwrap();
    let stopped = call!(stage, alice, exec_cmd_by_id, by_id(vec![command("sh", None)]));
    let text = assert_kind(stopped, ErrorKind::EnvironmentStatus);
    assert_eq!(text, "a node of `shop` is stopped (2): that can be done while it is running (1)");
}

#[tokio::test]
async fn without_a_list_no_command_is_run() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let command_list = vec![NodeCommand { command: "true".into(), params: None }];
    let node_id = nodes(&alice).await[0];
    let run = ExecCmdByIdRequest { env_name: shop(), node_id, command_list, say_yes: None };
    assert_kind(call!(stage, alice, exec_cmd_by_id, run), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_command_goes_on_when_its_caller_leaves() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.exec_commands = vec!["sh".to_owned()];
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let node_id = nodes(&alice).await[0];
    let (begun, done) = (stage.file("begun"), stage.file("done"));
    let gate = stage.file("gate");
    let script = format!(
        "-c 'touch {0}; while [ ! -e {1} ]; do sleep 0.01; done; touch {2}'",
        begun.display(),
        gate.display(),
        done.display()
    );
    let command_list = vec![NodeCommand { command: "sh".to_owned(), params: Some(script) }];
    let request = alice.granted(ExecCmdByIdRequest { env_name: shop(), node_id, command_list, say_yes: None });
    let mut client = stage.client();
    tokio::select! {
        _ = client.exec_cmd_by_id(request) => panic!("it waits"),
        () = eventually("it has begun", LONG, async || begun.exists().then_some(())) => (),
    }
    stage.open_gate();
    eventually("it is done all the same", LONG, async || done.exists().then_some(())).await;
}

/// A service whose one node may run `sh`, and how a node waits until the gate is open.
async fn waiting_for_the_gate() -> (Stage, String) {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.exec_commands = vec!["sh".to_owned()];
    stage.authority.start().await;
    stage.start_service().await;
    stage.alice().create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let (begun, gate) = (stage.file("begun"), stage.file("gate"));
    let script = format!("-c 'echo x >> {}; while [ ! -e {} ]; do sleep 0.01; done'", begun.display(), gate.display());
    (stage, script)
}

fn run_in(node_id: i64, script: &str) -> ExecCmdByIdRequest {
    let command_list = vec![NodeCommand { command: "sh".to_owned(), params: Some(script.to_owned()) }];
    ExecCmdByIdRequest { env_name: shop(), node_id, command_list, say_yes: None }
}

#[tokio::test]
async fn an_account_runs_so_many_commands_at_a_time() {
    let (stage, script) = waiting_for_the_gate().await;
    let alice = stage.alice();
    let node_id = nodes(&alice).await[0];
    let running = (0..16).map(|_| {
        let (mut client, request) = (stage.client(), alice.granted(run_in(node_id, &script)));
        tokio::spawn(async move { client.exec_cmd_by_id(request).await })
    });
    let running: Vec<_> = running.collect();
    let begun = stage.file("begun");
    let all = async || std::fs::read_to_string(&begun).is_ok_and(|text| text.lines().count() == 16).then_some(());
    eventually("all have begun", LONG, all).await;
    assert_kind(call!(stage, alice, exec_cmd_by_id, run_in(node_id, &script)), ErrorKind::Throttled);
    stage.open_gate();
    for call in running {
        answer(call.await.unwrap()).unwrap();
    }
    call!(stage, alice, exec_cmd_by_id, run_in(node_id, &script)).unwrap();
}

#[tokio::test]
async fn a_command_that_runs_is_answered_although_the_service_ends() {
    let (mut stage, script) = waiting_for_the_gate().await;
    let (mut client, request) = {
        let alice = stage.alice();
        let node_id = nodes(&alice).await[0];
        (stage.client(), alice.granted(run_in(node_id, &script)))
    };
    let running = tokio::spawn(async move { client.exec_cmd_by_id(request).await });
    let (begun, gate) = (stage.file("begun"), stage.file("gate"));
    eventually("it has begun", LONG, async || begun.exists().then_some(())).await;
    let mut watched = {
        let watch = stage.alice().granted(WatchEnvsRequest {});
        stage.client().watch_envs(watch).await.unwrap().into_inner()
    };
    let opened = async {
        // A stream ends when the service begins to end.
        while watched.message().await.is_ok_and(|event| event.is_some()) {}
        std::fs::write(gate, "").unwrap();
    };
    tokio::join!(stage.stop_service(), opened);
    assert_eq!(answer(running.await.unwrap()).unwrap().responses[0].result, 0);
}

#[tokio::test]
async fn what_others_are_is_nothing_to_nodes_that_are_restarted() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let created = alice.create("shop", &[("cp", "pair", 1), ("bl", "fickle", 1)]).await.unwrap();
    let of = |group: &str| created.nodes.iter().position(|node| node.node_group == group).unwrap();
    // The other group does not come up any more.
    stage.open_gate();
    kill_process(Pid::from_raw(pids(&created.nodes)[of("bl")]).unwrap(), Signal::KILL).unwrap();
    alice.until_status("shop", 11).await;
    let restart = RestartNodesRequest { env_name: shop(), node_group: Some("cp".into()), node_id: None };
    call!(stage, alice, restart_nodes, restart).unwrap();
    let redeploy = RedeployContainersByGroupRequest { env_name: shop(), node_group: "cp".into(), tag: "v2".to_owned() };
    call!(stage, alice, redeploy_containers_by_group, redeploy).unwrap();
    let after = alice.info("shop").await.unwrap().nodes;
    assert_eq!((after[of("cp")].status, after[of("bl")].status), (1, 11));
    assert_eq!(after[of("cp")].version, "v2");
    assert_ne!(pids(&after)[of("cp")], pids(&created.nodes)[of("cp")]);
}

#[tokio::test]
async fn logs_and_files_are_read_in_the_nodes_own_folder() {
    let stage = Stage::sqlite().await;
    let (alice, bob) = (stage.alice(), stage.account(BOB));
    alice.create("shop", &[("cp", "versioned", 1)]).await.unwrap();
    let node_id = nodes(&alice).await[0];
    let logs = GetLogsRequest { env_name: shop(), node_id };
    let listed = call!(stage, alice, get_logs, logs.clone()).unwrap().array;
    assert_eq!(listed.iter().map(|log| log.path.as_str()).collect::<Vec<_>>(), ["stderr.log", "stdout.log"]);
    assert_eq!((listed[1].size, listed[1].last_modified.is_some()), (7, true));
    assert_kind(call!(stage, bob, get_logs, logs), ErrorKind::EnvironmentNotFound);
    let read = |path: &str, from, count| ReadLogRequest { env_name: shop(), node_id, path: path.into(), from, count };
    let body = async |from, count| call!(stage, alice, read_log, read("stdout.log", from, count)).unwrap().body;
    assert_eq!(body(None, None).await, "latest\n");
    assert_eq!(body(Some(2), Some(3)).await, "tes");
    assert_eq!(body(None, Some(2)).await, "t\n");
    let folder = stage.file(&format!("data/environments/shop/{node_id}"));
    std::fs::create_dir(folder.join("sub.login")).unwrap();
    std::fs::write(folder.join("secret.env"), "hush").unwrap();
    std::fs::write(folder.join("sub.login/inside"), "hush").unwrap();
    std::os::unix::fs::symlink("secret.env", folder.join("link.log")).unwrap();
    let again = call!(stage, alice, get_logs, GetLogsRequest { env_name: shop(), node_id }).unwrap().array;
    assert_eq!(again, listed, "what is no file is no log, and is in no log's way");
    for path in ["../../../lock", "/etc/passwd", "none.log", "", "secret.env", "link.log", "sub.login/inside"] {
        assert_kind(call!(stage, alice, read_log, read(path, None, None)), ErrorKind::ObjectNotFound);
    }
    assert_kind(call!(stage, alice, read_log, read("stdout.log", Some(-1), None)), ErrorKind::InvalidParameter);
    assert_kind(call!(stage, alice, read_log, read("stdout.log", None, Some(0))), ErrorKind::InvalidParameter);

    let mut files = FileClient::new(stage.channel());
    let file = |path: &str, nodeid: Option<i64>| ReadRequest {
        env_name: shop(),
        path: path.into(),
        node_group: Some("cp".into()).filter(|_| nodeid.is_none()),
        nodeid,
    };
    let body = answer(files.read(alice.granted(file("/stdout.log", None))).await).unwrap().body;
    assert_eq!(body, "latest\n");
    assert_kind(answer(files.read(alice.granted(file("../../x", Some(node_id)))).await), ErrorKind::ObjectNotFound);
    assert_kind(answer(files.read(bob.granted(file("stdout.log", None))).await), ErrorKind::EnvironmentNotFound);
}

#[tokio::test]
async fn what_is_to_be_launched_again_is() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let created = alice.create("shop", &[("cp", "immortal", 1), ("bl", "pair", 1)]).await.unwrap();
    let before = pids(&created.nodes);
    for pid in &before {
        kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).unwrap();
    }
    let back = || async {
        let nodes = alice.info("shop").await.unwrap().nodes;
        (nodes[0].status == 1 && pids(&nodes)[0] != before[0]).then_some(nodes)
    };
    eventually("the node is launched again", LONG, back).await;
    alice.until_status("shop", 11).await;
    let nodes = alice.info("shop").await.unwrap().nodes;
    assert_eq!((nodes[0].status, nodes[1].status), (1, 11), "the other one is not");
    let last = alice.info("shop").await.unwrap().last_operation.unwrap();
    assert_eq!((last.name.as_str(), last.outcome.as_str()), ("restart", "done"));
    alice.stop("shop").await.unwrap();
    assert_eq!(alice.status("shop").await, 2);
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn what_ends_again_and_again_keeps_no_other_down() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let created = alice.create("shop", &[("cp", "immortal", 1), ("bl", "hopeless", 1)]).await.unwrap();
    let before = pids(&created.nodes);
    for pid in &before {
        kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).unwrap();
    }
    // What is launched together is given up together: this one comes back, and stays.
    let failed = RefCell::new(HashSet::new());
    let back = eventually("the node is launched again", LONG, async || {
        let info = alice.info("shop").await.unwrap();
        let at_rest = info.env.unwrap().status == 11;
        (at_rest && info.nodes[0].status == 1 && pids(&info.nodes)[0] != before[0]).then(|| pids(&info.nodes)[0])
    })
    .await;
    eventually("others are tried in vain", LONG, async || {
        let info = alice.info("shop").await.unwrap();
        let last = info.last_operation.unwrap();
        if last.outcome == "failed" {
            failed.borrow_mut().insert(last.begun_on.unwrap().to_string());
        }
        assert_eq!(pids(&info.nodes)[0], back, "it is not ended any more");
        (failed.borrow().len() > 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_is_no_operation() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
    let vars = HashMap::from([("PORT".to_owned(), "80".to_owned())]);
    let add = AddContainerEnvVarsRequest { env_name: shop(), vars, node_group: Some("cp".into()), node_id: None };
    assert_kind(call!(stage, alice, add_container_env_vars, add), ErrorKind::InvalidParameter);
    let restart = RestartNodesRequest { env_name: shop(), node_group: Some("none".into()), node_id: None };
    assert_kind(call!(stage, alice, restart_nodes, restart), ErrorKind::ObjectNotFound);
    let redeploy = RedeployContainersByGroupRequest { env_name: shop(), node_group: "no".into(), tag: "v2".to_owned() };
    assert_kind(call!(stage, alice, redeploy_containers_by_group, redeploy), ErrorKind::ObjectNotFound);
    let last = alice.info("shop").await.unwrap().last_operation.unwrap();
    assert_eq!((last.name.as_str(), last.outcome.as_str()), ("create", "done"));
}

#[tokio::test]
async fn an_account_has_so_many_groups_and_a_confined_token_makes_none() {
    for stage in Stage::on_each_engine().await {
        let alice = stage.alice();
        alice.create("shop", &[("cp", "pair", 1)]).await.unwrap();
        let mut confined = alice.claims();
        confined.confinement.environments = vec!["sh*".parse().unwrap()];
        let attach = |group: &str| AttachEnvGroupRequest { env_name: shop(), env_group: vec![group.to_owned()] };
        let attached = async |claims: &Claims, group: &str| {
            let request = with_grant(&stage.authority.signing_key.sign(claims), attach(group));
            answer(stage.client().attach_env_group(request).await)
        };
        let text = assert_kind(attached(&confined, "team a").await, ErrorKind::PermissionDenied);
        assert!(text.contains("`team a`"), "{text}");
        attached(&alice.claims(), "team a").await.unwrap();
        attached(&confined, "team a").await.unwrap();

        let database = stage.database().await;
        let mut tx = database.begin("test").await.unwrap();
        for number in 1..1000 {
            let made = sqlx::query("insert into env_group (account, name) values (1, $1)").bind(format!("{number}"));
            made.execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        database.close().await;
        let text = assert_kind(attached(&alice.claims(), "one more").await, ErrorKind::QuotaExceeded);
        assert!(text.contains("1000 environment groups"), "{text}");
        attached(&alice.claims(), "7").await.unwrap();
        assert_eq!(alice.info("shop").await.unwrap().env_groups, ["7", "team a"], "{}", stage.engine);
    }
}

#[tokio::test]
async fn an_account_has_no_more_than_it_may() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    stage.config.limits.max_environments = 1;
    stage.config.limits.max_cloudlets = 3;
    stage.authority.start().await;
    stage.start_service().await;
    let alice = stage.alice();
    let text = assert_kind(alice.create("big", &[("cp", "pair", 4)]).await, ErrorKind::QuotaExceeded);
    assert_eq!(text, "the account may have 3 cloudlets, and would have 4");
    alice.create("shop", &[("cp", "pair", 2)]).await.unwrap();
    let text = assert_kind(alice.create("other", &[("cp", "pair", 1)]).await, ErrorKind::QuotaExceeded);
    assert_eq!(text, "the account may have 1 environments, and would have 2");
    let node_id = nodes(&alice).await[0];
    let resize = |flexible_cloudlets| SetCloudletsCountByIdRequest {
        env_name: shop(),
        node_id,
        fixed_cloudlets: 0,
        flexible_cloudlets,
    };
    assert_kind(call!(stage, alice, set_cloudlets_count_by_id, resize(3)), ErrorKind::QuotaExceeded);
    call!(stage, alice, set_cloudlets_count_by_id, resize(2)).unwrap();
    stage.account(BOB).create("bobs", &[("cp", "pair", 1)]).await.unwrap();
    assert_eq!(stage.processes().len(), 6, "nothing is left of what was refused");
}
