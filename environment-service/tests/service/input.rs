//! Bad input: each is told what is wrong, and changes nothing.

use proto::ErrorKind;
use proto::environment::v1::{CreateEnvironmentRequest, EnvironmentSpec, NodeSpec};

use crate::stage::Stage;

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
