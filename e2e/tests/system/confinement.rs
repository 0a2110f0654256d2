//! Tokens that are confined to environments and to networks.

use access::{AccountId, Claims, Confinement, CredentialId, GRANT_HEADER, GrantedKind, Revision};
use e2e::{Answer, Stack, stacks};
use jiff::{SignedDuration, Timestamp};
use proto::environment::v1::control_client::ControlClient;
use proto::environment::v1::{CreateEnvironmentRequest, EnvironmentSpec, GetEnvsRequest, StopEnvRequest};
use proto::{ErrorKind, Failure, catalog};
use reqwest::Method;
use serde_json::json;
use tonic::Request;
use tonic::metadata::MetadataValue;

const STOP: &str = "/1.0/environment/control/rest/stopenv";
const LIST: &str = "/1.0/environment/control/rest/getenvs";
const CREATE: &str = "/1.0/environment/control/rest/createenvironment";
const METHODS: &str = "environment.control.StopEnv,environment.control.GetEnvs,environment.control.CreateEnvironment";

#[track_caller]
fn assert_out_of_reach(answer: &Answer, named: &str) {
    assert_eq!(answer.result(), 8, "{answer:?}");
    for part in [named, "staging-*"] {
        assert!(answer.error().contains(part), "{part}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_reaches_the_environments_that_it_is_confined_to_and_sees_no_others() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "staging-1", "worker", 1).await;
        stack.create_environment(&session, "live", "worker", 1).await;
        let (_, token) = stack.token_with(&session, METHODS, &[("environments", "staging-*,demo")]).await;

        let stop = async |name: &str| stack.client.post(STOP, &[("envName", name), ("session", &token)]).await;
        assert_out_of_reach(&stop("live").await, "`live`");
        assert_out_of_reach(&stop("no-such-environment").await, "`no-such-environment`");
        assert_eq!(stack.info(&session, "live").await["env"]["status"], 1, "{}", stack.engine);
        assert_eq!(stop("staging-1").await.body, r#"{"result":0}"#, "{}", stack.engine);
        assert_eq!(stop("demo").await.result(), 11, "what is in reach and not there is not there");

        let listed = stack.client.post(LIST, &[("session", &token)]).await.success();
        let names: Vec<_> = listed["infos"].as_array().unwrap().iter().map(|info| &info["env"]["envName"]).collect();
        assert_eq!(names, [&json!("staging-1")], "{}", stack.engine);
        let all = stack.client.post(LIST, &[("session", &session)]).await.success();
        assert_eq!(all["infos"].as_array().unwrap().len(), 2);

        let env = json!({ "shortdomain": "live-2" }).to_string();
        let nodes = json!([{ "nodeType": "worker" }]).to_string();
        let form = [("session", token.as_str()), ("env", env.as_str()), ("nodes", nodes.as_str())];
        assert_out_of_reach(&stack.client.post(CREATE, &form).await, "`live-2`");
        stack.create_environment(&token, "staging-2", "worker", 1).await;
    }
}

/// A group can hold environments that are out of reach.
#[tokio::test]
async fn a_token_that_is_confined_sees_the_groups_in_reach_and_changes_none() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let call = async |credential: &str, method: &str, more: &[(&str, &str)]| {
        let form = [more, &[("session", credential)]].concat();
        stack.client.post(&format!("/1.0/environment/{method}"), &form).await
    };
    for (name, groups) in [("staging-1", "webs,tests"), ("live", "webs,production")] {
        stack.create_environment(&session, name, "worker", 1).await;
        let form = [("envName", name), ("envGroups", groups)];
        call(&session, "control/rest/setenvgroup", &form).await.success();
    }
    let methods: Vec<&str> = catalog().permissions().iter().map(|method| method.name()).collect();
    let (_, token) = stack.token_with(&session, &methods.join(","), &[("environments", "staging-*")]).await;
    let groups = async |credential: &str| call(credential, "group/rest/getgroups", &[]).await.success()["array"].take();
    let names = |groups: &serde_json::Value| {
        groups.as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&groups(&token).await), ["tests", "webs"]);
    let before = groups(&session).await;
    assert_eq!(names(&before), ["production", "tests", "webs"]);
    for (method, form) in [
        ("creategroup", vec![("envGroup", "more")]),
        ("editgroup", vec![("srcGroupName", "webs"), ("dstGroupName", "sites")]),
        ("removegroup", vec![("envGroup", "webs")]),
    ] {
        let answer = call(&token, &format!("group/rest/{method}"), &form).await;
        assert_eq!((answer.result(), &answer.json()["confinement"]), (8, &json!("environments")), "{answer:?}");
    }
    let attach = [("envName", "live"), ("envGroup", "tests")];
    assert_out_of_reach(&call(&token, "control/rest/attachenvgroup", &attach).await, "`live`");
    assert_eq!(groups(&session).await, before, "nothing was changed");
    assert_eq!(stack.info(&session, "live").await["envGroups"], json!(["production", "webs"]));
    let attach = [("envName", "staging-1"), ("envGroup", "more")];
    let made = call(&token, "control/rest/attachenvgroup", &attach).await;
    assert_eq!((made.result(), &made.json()["confinement"]), (8, &json!("environments")), "{made:?}");
    call(&session, "control/rest/attachenvgroup", &attach).await.success();
    assert_eq!(names(&groups(&token).await), ["more", "tests", "webs"]);
}

#[tokio::test]
async fn the_executing_service_holds_a_confinement_too() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "staging-1", "worker", 1).await;
    stack.create_environment(&session, "live", "worker", 1).await;
    let now = Timestamp::now();
    let claims = Claims {
        credential: CredentialId { kind: GrantedKind::Token, number: 1 },
        account: AccountId(1),
        administrator: false,
        permissions: catalog().permissions().into_iter().filter_map(proto::Method::permission).collect(),
        confinement: Confinement { environments: vec!["staging-*".parse().unwrap()], networks: Vec::new() },
        audience: "environment-service".to_owned(),
        issued_at: now,
        expires_at: now + SignedDuration::from_secs(60),
        as_of: Revision(0),
        credential_expires_at: None,
        superseded: false,
    };
    let grant = stack.signing_key().sign(&claims);
    let mut client = ControlClient::connect(stack.environment_url.clone()).await.unwrap();
    let stop = |name: &str| granted(&grant, StopEnvRequest { env_name: name.into() });
    let failure = Failure::from(client.stop_env(stop("live")).await.unwrap_err());
    assert_eq!(failure.kind(), ErrorKind::PermissionDenied, "{failure:?}");
    let env = Some(EnvironmentSpec { shortdomain: "live-2".into(), ..EnvironmentSpec::default() });
    let create = CreateEnvironmentRequest { env, ..CreateEnvironmentRequest::default() };
    let failure = Failure::from(client.create_environment(granted(&grant, create)).await.unwrap_err());
    assert_eq!(failure.kind(), ErrorKind::PermissionDenied, "{failure:?}");
    let infos = client.get_envs(granted(&grant, GetEnvsRequest::default())).await.unwrap().into_inner().infos;
    assert_eq!(infos.len(), 1);
    client.stop_env(stop("staging-1")).await.unwrap();
    assert_eq!(stack.info(&session, "live").await["env"]["status"], 1, "nothing out of reach was touched");
}

fn granted<T>(grant: &[u8], message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(GRANT_HEADER, MetadataValue::from_bytes(grant));
    request
}

#[tokio::test]
async fn a_token_is_used_from_the_networks_that_it_is_confined_to() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "my-project", "worker", 1).await;
        let (_, token) =
            stack.token_with(&session, METHODS, &[("sourceNetworks", "203.0.113.0/24,2001:db8::/32")]).await;
        let (_, own) = stack.token_with(&session, METHODS, &[("sourceNetworks", "127.0.0.1")]).await;
        let list = async |token: &str, forwarded: Option<&str>| {
            let mut request = stack.client.request(Method::POST, LIST).form(&[("session", token)]);
            if let Some(address) = forwarded {
                request = request.header("x-forwarded-for", address);
            }
            stack.client.send(request).await
        };
        for inside in ["203.0.113.9", "2001:db8::7", "198.51.100.1, 203.0.113.9"] {
            assert_eq!(list(&token, Some(inside)).await.result(), 0, "{}: {inside}", stack.engine);
        }
        for (outside, shown) in [
            (None, "127.0.0.1"),
            (Some("198.51.100.1"), "198.51.100.1"),
            (Some("203.0.113.9, 198.51.100.1"), "198.51.100.1"),
        ] {
            let answer = list(&token, outside).await;
            assert_eq!(answer.result(), 8, "{}: {answer:?}", stack.engine);
            assert!(answer.error().contains(shown) && answer.error().contains("203.0.113.0/24"), "{answer:?}");
        }
        assert_eq!(list(&own, None).await.result(), 0, "{}", stack.engine);
        // What the authority itself executes is confined alike.
        let check = stack.client.post("/1.0/users/authentication/rest/checksign", &[("session", &token)]).await;
        assert_eq!(check.result(), 8, "{check:?}");
    }
}
