use std::time::SystemTime;

use e2e::{LOGIN, PASSWORD, Stack, stacks};
use reqwest::Method;
use serde_json::Value;
use totp_rs::{Builder, Secret};

const SIGNIN: &str = "/1.0/users/authentication/rest/signin";
const VERIFY: &str = "/1.0/users/authentication/rest/verify2facode";
const CHECK: &str = "/1.0/users/authentication/rest/checksign";

/// What an authenticator with this secret shows, so many steps from now.
fn code(secret: &str, steps: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    totp.generate(now.saturating_add_signed(steps * 30)).to_string()
}

/// Turns two-factor authentication on, uses a recovery code, and answers the secret and the recovery codes.
pub(crate) async fn second_factor(stack: &Stack, session: &str) -> (String, Vec<String>) {
    let form = [("session", session), ("password", PASSWORD)];
    let enabled = stack.client.post("/1.0/users/account/rest/enable2fa", &form).await.success();
    let secret = enabled["secret"].as_str().unwrap().to_owned();
    let form = [("session", session), ("code", &code(&secret, 0))];
    let confirmed = stack.client.post("/1.0/users/account/rest/confirm2fa", &form).await.success();
    let codes = confirmed["recoveryCodes"].as_array().unwrap().iter();
    let codes: Vec<String> = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
    let waiting = signin(stack).await;
    let form = [("session", waiting["session"].as_str().unwrap()), ("code", &codes[0])];
    stack.client.post(VERIFY, &form).await.success();
    (secret, codes)
}

async fn signin(stack: &Stack) -> Value {
    stack.client.post(SIGNIN, &[("login", LOGIN), ("password", PASSWORD)]).await.success()
}

#[tokio::test]
async fn signing_in_takes_a_code_and_tokens_skip_it() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "my-project", "worker", 1).await;
        let (_, token) = stack.token(&session, "environment.control.StopEnv").await;
        let (secret, codes) = second_factor(&stack, &session).await;

        let waiting = signin(&stack).await;
        assert_eq!(waiting["isTwoFactorRequired"], true, "{}", stack.engine);
        assert_eq!((waiting["email"].as_str(), waiting["name"].as_str()), (Some(""), Some("")), "{waiting}");
        let waiting = waiting["session"].as_str().unwrap();
        for path in [CHECK, "/1.0/users/account/rest/getuserinfo", "/1.0/environment/control/rest/getenvs"] {
            assert_eq!(stack.client.post(path, &[("session", waiting)]).await.result(), 702, "{path}");
        }
        let url = format!("{VERIFY}?session={waiting}&code={}", codes[0]);
        assert_eq!(stack.client.get(&url).await.result(), 9106, "by POST only");
        let show = async |code: &str| stack.client.post(VERIFY, &[("session", waiting), ("code", code)]).await;
        let used = show(&codes[0]).await;
        assert_eq!((used.result(), used.json()["reason"].as_str()), (9102, Some("WRONG_SECOND_FACTOR")), "{used:?}");
        assert_eq!(used.json()["parameter"], "code");
        let malformed = show("12345").await;
        assert_eq!((malformed.result(), malformed.json()["parameter"].as_str()), (3, Some("code")), "{malformed:?}");
        let right = [("code", code(&secret, 1))];
        let verify = || stack.client.request(Method::POST, VERIFY).bearer_auth(waiting);
        let twice = stack.client.send(verify().form(&[("session", waiting), ("code", "123456")])).await;
        assert_eq!((twice.result(), twice.json()["parameter"].as_str()), (3, Some("session")), "{twice:?}");
        let verified = stack.client.send(verify().form(&right)).await.success();
        assert_eq!((verified["uid"].as_i64(), verified["email"].as_str()), (Some(1), Some(LOGIN)), "{verified}");
        assert_eq!(verified["session"], waiting);
        stack.client.post(CHECK, &[("session", waiting)]).await.success();

        let stop = format!("/1.0/environment/control/rest/stopenv?envName=my-project&session={token}");
        assert_eq!(stack.client.get(&stop).await.body, r#"{"result":0}"#, "{}: tokens skip it", stack.engine);

        let form = [("session", waiting), ("password", PASSWORD), ("code", &codes[1])];
        stack.client.post("/1.0/users/account/rest/disable2fa", &form).await.success();
        assert_eq!(signin(&stack).await["isTwoFactorRequired"], false, "{}", stack.engine);
    }
}
