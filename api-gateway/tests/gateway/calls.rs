//! The way of a call, and in which order it is refused.

use reqwest::Method;

use crate::authority::{ALICE, Says};
use crate::stage::{INFO, START, STOP, Stage};

#[tokio::test]
async fn a_call_reaches_the_service_under_a_grant_of_its_account() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let answer = stage.client.get(&format!("{STOP}?envName=my-project&session={token}")).await;
    answer.assert_done();
    assert_eq!(stage.upstream.reached(), [(ALICE, "my-project".to_owned())]);
    assert_eq!(stage.authority.asked(), [(token, "environment-service".to_owned())]);
}

#[tokio::test]
async fn what_is_no_credential_by_its_form_reaches_nobody() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let mut mistyped = token.clone();
    mistyped.replace_range(20..21, if &token[20..21] == "x" { "y" } else { "x" });
    for credential in ["x", "pcl_pat_", &mistyped, &token[..token.len() - 1], &token.to_uppercase()] {
        let answer = stage.client.post(STOP, &[("envName", "a"), ("session", credential)]).await;
        answer.assert_refused(702, "");
        assert!(credential.len() < 2 || !answer.body.contains(credential), "{answer:?}");
        let bearer = stage.client.request(Method::POST, &format!("{STOP}?envName=a")).bearer_auth(credential);
        stage.client.send(bearer).await.assert_refused(702, "");
    }
    for header in ["Bearer", "Bearer ", "Basic eDp5", "Bearer\u{a0}x", ""] {
        let request = stage.client.request(Method::GET, &format!("{STOP}?envName=a")).header("authorization", header);
        stage.client.send(request).await.assert_refused(702, "");
    }
    assert_eq!(stage.authority.asked(), []);
    assert_eq!(stage.upstream.reached(), []);
}

#[tokio::test]
async fn who_may_not_call_learns_nothing_of_the_parameters() {
    let stage = Stage::start().await;
    let unknown = stage.stopper().replace("pcl_pat_", "pcl_ses_");
    let other = stage.authority.token(&["environment.control.GetEnvs"]);
    let at_services = stage.stopper();
    for (path, credential, result, named) in [
        (STOP, "", 702, "not authenticated"),
        (STOP, unknown.as_str(), 702, "not authenticated"),
        (STOP, &other, 8202, "environment.control.StopEnv"),
        ("/1.0/users/authentication/rest/createtoken", &other, 8, "session"),
        ("/1.0/users/account/rest/createaccount", &stage.authority.session(), 8, "administrator"),
        ("/1.0/introspection/rest/introspect", &at_services, 9103, "/1.0/introspection"),
    ] {
        stage.client.post(path, &[("session", credential)]).await.assert_refused(result, named);
    }
    assert_eq!(stage.upstream.reached(), []);
    stage.client.post(STOP, &[("session", &at_services)]).await.assert_refused(3, "`envName`");
    assert_eq!(stage.upstream.reached(), [], "parameters are looked at before the call goes on");
}

#[tokio::test]
async fn a_credential_that_is_there_twice_is_refused_before_all_else() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let post = |query: &str| stage.client.request(Method::POST, &format!("{STOP}?{query}"));
    for request in [
        post(&format!("session={token}&session={token}")),
        post(&format!("session={token}&TOKEN={token}")),
        post(&format!("session={token}")).form(&[("session", &token)]),
        post(&format!("token={token}")).bearer_auth(&token),
        post("").bearer_auth(&token).header("authorization", format!("bearer {token}")),
        post("session=%ff%fe"),
    ] {
        let answer = stage.client.send(request).await;
        answer.assert_refused(3, "`session`");
        assert_eq!(answer.json()["parameter"], "session");
        assert!(!answer.body.contains(&token));
    }
    assert_eq!(stage.authority.asked(), []);
}

#[tokio::test]
async fn a_session_may_what_a_token_must_list() {
    let stage = Stage::start().await;
    let (session, token) = (stage.authority.session(), stage.stopper());
    let form = |credential: &str| [("envName", "a".to_owned()), ("session", credential.to_owned())];
    let call = async |path: &str, credential: &str| {
        let form = form(credential);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        stage.client.post(path, &form).await
    };
    call(STOP, &session).await.assert_done();
    call(START, &session).await.assert_done();
    call(STOP, &token).await.assert_done();
    let refused = call(START, &token).await;
    refused.assert_refused(8202, "environment.control.StartEnv");
    assert_eq!(refused.json()["permission"], "environment.control.StartEnv");
    call(INFO, &token).await.assert_refused(8202, "environment.control.GetEnvInfo");
    assert_eq!(stage.upstream.reached().len(), 3);
}

#[tokio::test]
async fn verbs_that_are_none_of_the_methods_are_told_which_are() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let path = format!("{STOP}?envName=a&session={token}");
    for verb in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        stage.client.send(stage.client.request(verb.clone(), &path)).await.assert_refused(9106, "GET or POST");
        let problem = stage.client.problem(stage.client.request(verb, &path)).await;
        assert_eq!((problem.status, problem.header("allow")), (405, "GET, POST"), "{problem:?}");
    }
    let signin = "/1.0/users/authentication/rest/signin?login=a&password=b";
    let problem = stage.client.problem(stage.client.request(Method::GET, signin)).await;
    assert_eq!((problem.status, problem.header("allow")), (405, "POST"), "{problem:?}");
    let head = stage.client.send(stage.client.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(stage.upstream.reached(), [], "a HEAD does nothing");
    assert_eq!(stage.authority.asked(), []);
}

#[tokio::test]
async fn a_claim_that_is_none_is_a_fault_of_ours() {
    let stage = Stage::start().await;
    let odd = stage.authority.credential(Says::Nonsense);
    stage.client.post(STOP, &[("envName", "a"), ("session", &odd)]).await.assert_refused(99, "internal error");
    assert_eq!(stage.upstream.reached(), []);
}
