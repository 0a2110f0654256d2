//! How often calls may come, and what is told who comes too often.

use api_gateway::{Config, RateLimit};
use jiff::SignedDuration;
use reqwest::Method;

use crate::client::Answer;
use crate::stage::{LONG, STOP, Stage};

const METRIC: &str = "portcullis.gateway.refusals";
const SIGNIN: &str = "/1.0/users/authentication/rest/signin";

/// So many at once, and no more within the test.
fn at_once(burst: u32) -> RateLimit {
    RateLimit::Calls { calls: 1, per: SignedDuration::from_hours(1), burst }
}

async fn stage(configure: impl FnOnce(&mut Config)) -> Stage {
    Stage::configured(|config| {
        let limits = &mut config.rate_limits;
        (limits.token, limits.account, limits.address) = (RateLimit::Off, RateLimit::Off, RateLimit::Off);
        configure(config);
    })
    .await
}

async fn stop(stage: &Stage, credential: &str) -> Answer {
    stage.client.post(STOP, &[("envName", "a"), ("session", credential)]).await
}

fn refused(stage: &Stage, limit: &str) -> Option<f64> {
    stage.metrics.value(METRIC, Some(("limit", limit)))
}

#[tokio::test]
async fn a_token_that_calls_too_often_is_told_when_to_go_on() {
    let stage = stage(|config| config.rate_limits.token = at_once(3)).await;
    let token = stage.stopper();
    for _ in 0..3 {
        stop(&stage, &token).await.assert_done();
    }
    let early = stop(&stage, &token).await;
    early.assert_refused(9104, "too many calls with this credential");
    let seconds: u32 = early.json()["retryAfter"].as_str().unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&seconds), "{early:?}");
    assert_eq!(early.header("retry-after"), seconds.to_string());

    let problem = stage.client.request(Method::POST, STOP).form(&[("envName", "a"), ("session", &token)]);
    let problem = stage.client.problem(problem).await;
    assert_eq!((problem.status, problem.json()["reason"].as_str()), (429, Some("THROTTLED")), "{problem:?}");
    assert!(problem.header("retry-after").parse::<u32>().unwrap() <= 3600, "{problem:?}");

    assert_eq!(stage.upstream.reached().len(), 3, "what is refused is not executed");
    assert_eq!(refused(&stage, "token"), Some(2.0));
    assert_eq!((refused(&stage, "account"), refused(&stage, "address")), (Some(0.0), Some(0.0)));
    stage.metrics.assert_explained();
    stop(&stage, &stage.authority.session()).await.assert_done();
}

#[tokio::test]
async fn an_account_counts_for_all_its_credentials() {
    let stage = stage(|config| config.rate_limits.account = at_once(4)).await;
    let (token, session) = (stage.stopper(), stage.authority.session());
    for _ in 0..2 {
        stop(&stage, &token).await.assert_done();
        stop(&stage, &session).await.assert_done();
    }
    for credential in [&token, &session] {
        stop(&stage, credential).await.assert_refused(9104, "too many calls of this account");
    }
    assert_eq!((stage.upstream.reached().len(), refused(&stage, "account")), (4, Some(2.0)));
}

#[tokio::test]
async fn a_refused_permission_counts_as_well() {
    let stage = stage(|config| config.rate_limits.token = at_once(1)).await;
    let other = stage.authority.token(&["environment.control.GetEnvs"]);
    stop(&stage, &other).await.assert_refused(8202, "environment.control.StopEnv");
    stop(&stage, &other).await.assert_refused(9104, "with this credential");
}

#[tokio::test]
async fn made_up_credentials_count_for_the_address_they_come_from() {
    let proxy = |config: &mut Config| {
        config.rate_limits.address = at_once(3);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    let stage = stage(proxy).await;
    let call = async |from: &str, credential: &str| {
        let request = stage.client.request(Method::POST, STOP).header("x-forwarded-for", from);
        stage.client.send(request.form(&[("envName", "a"), ("session", credential)])).await
    };
    let invented = || {
        let token = stage.stopper();
        stage.authority.forget(&token);
        token
    };
    call("2001:db8::1", &invented()).await.assert_refused(702, "not authenticated");
    call("2001:db8::2", "pcl_pat_nonsense").await.assert_refused(702, "not authenticated");
    call("2001:db8::3", "").await.assert_refused(702, "not authenticated");
    let asked = stage.authority.asked().len();
    call("2001:db8::4", &invented()).await.assert_refused(9104, "too many calls from this address");
    assert_eq!(stage.authority.asked().len(), asked, "the authority is spared");
    call("2001:db8:0:1::1", &invented()).await.assert_refused(702, "not authenticated");
    assert_eq!(refused(&stage, "address"), Some(1.0));
}

#[tokio::test]
async fn who_is_known_calls_from_where_others_are_refused() {
    let authority = crate::authority::Authority::leasing();
    let stage = Stage::leased_with(authority, |config| {
        config.rate_limits = api_gateway::RateLimits { address: at_once(2), ..config.rate_limits };
    })
    .await;
    let token = stage.stopper();
    stop(&stage, &token).await.assert_done();
    stop(&stage, "nonsense").await.assert_refused(702, "");
    stop(&stage, "nonsense").await.assert_refused(9104, "from this address");
    for _ in 0..5 {
        stop(&stage, &token).await.assert_done();
    }
    stop(&stage, &stage.stopper()).await.assert_refused(9104, "from this address");
}

#[tokio::test]
async fn what_needs_no_credential_counts_for_the_address() {
    let stage = stage(|config| config.rate_limits.address = at_once(1)).await;
    let signin = async || stage.client.post(SIGNIN, &[("login", "a"), ("password", "b")]).await;
    // The test's authority does not serve it.
    signin().await.assert_refused(99, "internal error");
    signin().await.assert_refused(9104, "from this address");
    let introspect = stage.client.request(Method::POST, "/oauth2/introspect");
    let client = stage.authority.client_key();
    let introspect = stage.client.send(introspect.bearer_auth(client).form(&[("token", "x")])).await;
    assert_eq!((introspect.status, introspect.json()["error"].as_str()), (429, Some("temporarily_unavailable")));
    assert!(!introspect.header("retry-after").is_empty(), "{introspect:?}");
    assert_eq!(stage.client.get("/healthz").await.status, 200);
    assert_eq!(stage.client.get("/readyz").await.status, 200);
}

/// However many calls come at the same time, no more than the limit are let in.
#[tokio::test]
async fn many_at_the_same_time_get_no_more_than_the_limit() {
    let authority = crate::authority::Authority::leasing();
    let limit = |config: &mut Config| config.rate_limits.token = at_once(10);
    let stage = Stage::leased_with(authority, limit).await;
    let token = stage.stopper();
    let calls = (0..40).map(|_| stop(&stage, &token));
    let answers = tokio::time::timeout(LONG, futures::future::join_all(calls)).await.unwrap();
    let done = answers.iter().filter(|answer| answer.json()["result"] == 0).count();
    assert_eq!((done, stage.upstream.reached().len()), (10, 10));
}
