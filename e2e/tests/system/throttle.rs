use e2e::{Answer, LOGIN, Stack};
use reqwest::Method;

const SIGNIN: &str = "/1.0/users/authentication/rest/signin";

/// Guesses until it is turned away: some guesses later at the latest, should the machine be slower than the waits.
async fn throttled(stack: &Stack, login: &str, accept: &str) -> Answer {
    for _ in 0..20 {
        let request = stack.client.request(Method::POST, SIGNIN).header("accept", accept);
        let answer = stack.client.send(request.form(&[("login", login), ("password", "wrong")])).await;
        if answer.json()["reason"] != "WRONG_LOGIN" {
            return answer;
        }
    }
    panic!("20 guesses are taken");
}

#[tokio::test]
async fn guessing_is_slowed_down_and_told_when_to_go_on() {
    let stack = Stack::sqlite().await;
    let early = throttled(&stack, LOGIN, "application/json").await;
    assert_eq!((early.status, early.result()), (200, 9104), "{}", early.body);
    assert_eq!(early.json()["reason"], "THROTTLED");
    let seconds: u32 = early.json()["retryAfter"].as_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{}", early.body);

    let problem = throttled(&stack, "nobody", "application/problem+json").await;
    assert_eq!((problem.status, problem.result()), (429, 9104), "{}", problem.body);
    assert_eq!(problem.headers["retry-after"].to_str().unwrap(), problem.json()["retryAfter"].as_str().unwrap());
    let logs = stack.logs();
    assert!(!logs.contains("nobody") && logs.contains("a guess came too early"), "what was typed is in no log");
}
