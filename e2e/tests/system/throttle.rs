use e2e::{LOGIN, PASSWORD, Stack};
use reqwest::Method;

const SIGNIN: &str = "/1.0/users/authentication/rest/signin";

#[tokio::test]
async fn guessing_is_slowed_down_and_told_when_to_go_on() {
    let stack = Stack::sqlite().await;
    let guess = |password: &'static str| [("login", LOGIN), ("password", password)];
    for _ in 0..=10 {
        assert_eq!(stack.client.post(SIGNIN, &guess("wrong")).await.result(), 701);
    }
    let early = stack.client.post(SIGNIN, &guess(PASSWORD)).await;
    assert_eq!((early.status, early.result()), (200, 9104), "{}", early.body);
    assert_eq!(early.json()["reason"], "THROTTLED");
    assert_eq!(early.json()["retryAfter"], "1");

    let another = [("login", "nobody"), ("password", "wrong")];
    for _ in 0..=10 {
        assert_eq!(stack.client.post(SIGNIN, &another).await.result(), 701);
    }
    let request = stack.client.request(Method::POST, SIGNIN).header("accept", "application/problem+json");
    let problem = stack.client.send(request.form(&another)).await;
    assert_eq!((problem.status, problem.headers["retry-after"].to_str().unwrap()), (429, "1"), "{}", problem.body);
    let logs = stack.logs();
    assert!(!logs.contains("nobody") && logs.contains("a guess came too early"), "what was typed is in no log");
}
