//! When, from where and for what a token was last used.

use std::time::Duration;

use e2e::{Stack, stacks};
use reqwest::Method;
use serde_json::Value;
use testkit::eventually;

const LIST: &str = "/1.0/environment/control/rest/getenvs";

async fn token(stack: &Stack, session: &str, id: i64) -> Value {
    let form = [("session", session.to_owned()), ("ids", id.to_string())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = stack.client.post("/1.0/users/authentication/rest/gettokens", &form).await.success();
    answer["apiTokens"][0].clone()
}

async fn call(stack: &Stack, token: &str) {
    let request = stack.client.request(Method::GET, LIST).bearer_auth(token);
    stack.client.send(request.header("x-forwarded-for", "203.0.113.9")).await.success();
}

#[tokio::test]
async fn each_use_is_counted_and_the_owner_sees_it_within_seconds() {
    for stack in stacks().await {
        let session = stack.session().await;
        let (id, value) = stack.token(&session, "environment.control.GetEnvs").await;
        assert_eq!(token(&stack, &session, id).await["useCount"], 0);
        for _ in 0..7 {
            call(&stack, &value).await;
        }
        // A refused call is no use.
        stack.client.post("/1.0/environment/control/rest/stopenv", &[("session", &value), ("envName", "x")]).await;
        let seen = eventually("the uses", Duration::from_secs(5), async || {
            let seen = token(&stack, &session, id).await;
            (seen["useCount"] == 7).then_some(seen)
        })
        .await;
        assert_eq!(seen["lastUsedMethod"], "environment.control.GetEnvs", "{}", stack.engine);
        assert_eq!(seen["lastUsedAddress"], "203.0.113.9", "{}", stack.engine);
        assert!(seen["lastUsed"].is_string());
        let form = [("session", session.as_str()), ("id", &id.to_string())];
        let uses = stack.client.post("/1.0/users/authentication/rest/gettokenuses", &form).await.success();
        let days = uses["uses"].as_array().unwrap();
        assert_eq!(days.iter().map(|day| day["count"].as_i64().unwrap()).sum::<i64>(), 7, "{}", stack.engine);
    }
}

#[tokio::test]
async fn no_use_is_lost_when_the_gateway_stops_or_the_authority_was_away() {
    for mut stack in stacks().await {
        let session = stack.session().await;
        let (id, value) = stack.token(&session, "environment.control.GetEnvs").await;
        for _ in 0..5 {
            call(&stack, &value).await;
        }
        let (code, log) = stack.gateway.take().unwrap().terminate().await;
        assert_eq!(code, 0, "{log}");
        stack.start_gateway().await;
        stack.ready().await;
        assert_eq!(token(&stack, &session, id).await["useCount"], 5, "{}", stack.engine);

        for _ in 0..3 {
            call(&stack, &value).await;
        }
        stack.token.take().unwrap().kill().await;
        stack.start_token_service().await;
        stack.ready().await;
        eventually("the uses of before", Duration::from_secs(10), async || {
            (token(&stack, &session, id).await["useCount"] == 8).then_some(())
        })
        .await;
    }
}
