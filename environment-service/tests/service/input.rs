//! Bad input: each is told what is wrong, and changes nothing.

use std::collections::HashMap;

use proto::environment::v1::{
    AddContainerEnvVarsRequest, CreateEnvironmentRequest, EnvironmentSpec, NodeSpec, RemoveContainerEnvVarsRequest,
};
use proto::{ErrorKind, Failure};
use testkit::{TestDatabase, eventually};

use crate::stage::{LONG, Stage, answer, assert_kind};

fn request(name: &str, node_type: &str) -> CreateEnvironmentRequest {
    CreateEnvironmentRequest {
        env: Some(EnvironmentSpec { shortdomain: name.to_owned(), ..EnvironmentSpec::default() }),
        nodes: vec![NodeSpec { node_type: node_type.to_owned(), ..NodeSpec::default() }],
        env_groups: Vec::new(),
    }
}

#[tokio::test]
async fn a_bad_name_is_a_bad_parameter() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    for name in ["", "Shop", "../../etc", "a\0b", "shop ", &"a".repeat(33), "läden"] {
        for answer in [
            alice.start(name).await,
            alice.stop(name).await,
            alice.delete(name).await,
            alice.info(name).await.map(drop),
        ] {
            let failure = answer.unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::InvalidParameter, "{name:?}: {failure}");
            assert_eq!(failure.detail("parameter"), Some("envName"));
        }
        let failure = alice.create_as(request(name, "pair")).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::InvalidParameter, "{name:?}: {failure}");
        assert_eq!(failure.detail("parameter"), Some("env.shortdomain"));
    }
    assert_eq!(alice.list().await, []);
}

#[tokio::test]
async fn a_bad_environment_is_not_created() {
    let stage = Stage::sqlite().await;
    let alice = stage.alice();
    let parameter = async |change: fn(&mut CreateEnvironmentRequest)| {
        let mut request = request("shop", "pair");
        change(&mut request);
        let failure = alice.create_as(request).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::InvalidParameter, "{failure}");
        failure.detail("parameter").unwrap().to_owned()
    };
    assert_eq!(parameter(|request| request.env = None).await, "env");
    assert_eq!(parameter(|request| request.nodes.clear()).await, "nodes");
    assert_eq!(parameter(|request| request.nodes = vec![request.nodes[0].clone(); 2]).await, "nodes");
    assert_eq!(parameter(|request| request.nodes[0].node_type = "/bin/sh".into()).await, "nodes[0].nodeType");
    assert_eq!(parameter(|request| request.nodes[0].count = Some(i32::MAX)).await, "nodes[0].count");
    assert_eq!(alice.list().await, []);
    assert_eq!(stage.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn a_huge_parameter_is_named_and_a_huger_request_is_not_read() {
    let stage = Stage::sqlite().await;
    let failure = stage.alice().create_as(request("shop", &"a".repeat(1 << 20))).await.unwrap_err();
    assert_eq!(failure.detail("parameter"), Some("nodes[0].nodeType"));
    assert!(failure.message().len() < 200, "it is not echoed");
    assert!(stage.alice().create_as(request("shop", &"a".repeat(5 << 20))).await.is_err());
    assert_eq!(stage.alice().list().await, []);
}

/// Bash runs what this variable says before anything else: with a value of `$(…)` whatever its owner likes.
const HIJACK: &str = "BASH_ENV";

#[tokio::test]
async fn a_variable_that_the_operator_does_not_allow_runs_nothing() {
    let mut stage = Stage::prepare(TestDatabase::sqlite()).await;
    let mark = stage.file("hijacked");
    let value = format!("$(touch {})", mark.display());
    let template = &mut stage.config.templates[0];
    template.command = ["/bin/bash", "-c", "sleep 1000 & wait"].map(str::to_owned).to_vec();
    template.variables = vec!["APP_*".parse().unwrap()];
    stage.authority.start().await;
    stage.start_service().await;
    let vars = |name: &str| HashMap::from([(name.to_owned(), value.clone())]);
    let refused = |failure: Failure, parameter: &str| {
        let text = "must not hold `BASH_ENV`: the variables that the operator allows for `pair` are `APP_*`";
        assert_eq!(failure.message(), format!("`{parameter}` {text}"));
        assert_eq!(failure.detail("parameter"), Some(parameter));
    };
    let mut hijacked = request("shop", "pair");
    hijacked.nodes[0].env = vars(HIJACK);
    refused(stage.alice().create_as(hijacked).await.unwrap_err(), "nodes[0].env");
    let mut harmless = request("shop", "pair");
    harmless.nodes[0].env = vars("APP_COLOUR");
    let node_id = stage.alice().create_as(harmless).await.unwrap().nodes[0].id;

    let add = |name: &str| {
        let (env_name, node_group) = ("shop".to_owned(), None);
        AddContainerEnvVarsRequest { env_name, node_group, node_id: Some(node_id), vars: vars(name) }
    };
    let added = stage.client().add_container_env_vars(stage.alice().granted(add(HIJACK))).await;
    refused(answer(added).unwrap_err(), "vars");

    // It was allowed when it was set, and is not any more.
    stage.stop_service().await;
    stage.config.templates[0].variables = vec!["*".parse().unwrap()];
    stage.start_service().await;
    answer(stage.client().add_container_env_vars(stage.alice().granted(add(HIJACK))).await).unwrap();
    stage.alice().stop("shop").await.unwrap();
    stage.stop_service().await;
    stage.config.templates[0].variables = vec!["APP_*".parse().unwrap()];
    stage.start_service().await;
    let text = assert_kind(stage.alice().start("shop").await, ErrorKind::EnvironmentFailed);
    assert!(text.contains("its variables must not hold `BASH_ENV`"), "{text}");
    assert!(!mark.exists());
    let (env_name, names) = ("shop".to_owned(), vec![HIJACK.to_owned()]);
    let remove = RemoveContainerEnvVarsRequest { env_name, node_group: None, node_id: Some(node_id), vars: names };
    answer(stage.client().remove_container_env_vars(stage.alice().granted(remove)).await).unwrap();
    stage.alice().start("shop").await.unwrap();
    assert!(!mark.exists());

    // What the list is for: allowed, it does.
    stage.stop_service().await;
    stage.config.templates[0].variables = vec!["*".parse().unwrap()];
    stage.start_service().await;
    answer(stage.client().add_container_env_vars(stage.alice().granted(add(HIJACK))).await).unwrap();
    stage.alice().stop("shop").await.unwrap();
    stage.alice().start("shop").await.unwrap();
    eventually("bash does what it says", LONG, async || mark.exists().then_some(())).await;
}
