//! Changes of one token at the same moment: what is left is what one of them after the other leaves, and whoever comes too
//! late is told.

use std::convert::Infallible;

use e2e::{Answer, PASSWORD, Stack, stacks};
use serde_json::Value;

const GET_ENVIRONMENTS: &str = "environment.control.GetEnvs";
const STOP: &str = "environment.control.StopEnv";
/// How often each pair is tried. Who comes first is not ours to say.
const ROUNDS: usize = 4;

/// A token that two callers are about to change.
struct Target<'a> {
    stack: &'a Stack,
    session: &'a str,
    id: i64,
    /// The value before the change.
    value: String,
}

impl<'a> Target<'a> {
    async fn new(stack: &'a Stack, session: &'a str) -> Self {
        let (id, value) = stack.token(session, STOP).await;
        Self { stack, session, id, value }
    }

    async fn call(&self, method: &str, id: &str, more: &[(&str, &str)]) -> Answer {
        let form = [&[("session", self.session), ("password", PASSWORD), (id, &self.id.to_string())], more];
        let path = format!("/1.0/users/authentication/rest/{method}");
        // Each by a connection of its own.
        e2e::Client::new(&self.stack.url).post(&path, &form.concat()).await
    }

    async fn edit(&self, more: &[(&str, &str)]) -> Answer {
        self.call("edittoken", "id", more).await
    }

    async fn regenerate(&self) -> Answer {
        self.call("regeneratetoken", "id", &[]).await
    }

    async fn delete(&self) -> Answer {
        self.call("deletetokens", "ids", &[]).await
    }

    /// The token as it is listed; none, where it is gone.
    async fn listed(&self) -> Option<Value> {
        let answer = self.call("gettokens", "ids", &[]).await;
        if answer.result() == 5 { None } else { Some(answer.success()["apiTokens"][0].clone()) }
    }

    /// What was done to the token after it was made, oldest first.
    async fn done(&self) -> Vec<String> {
        let form = [("session", self.session), ("limit", "1000")];
        let log = self.stack.client.post("/1.0/users/account/rest/getauditlog", &form).await.success();
        let object = format!("token {}", self.id);
        let entries = log["entries"].as_array().unwrap().iter().rev();
        let entries = entries.filter(|entry| entry["object"] == object && entry["outcome"] == "SUCCESS");
        entries.skip(1).map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
    }

    /// What a call under a value is answered that only the edited token may make.
    async fn list_with(&self, value: &str) -> i64 {
        let path = "/1.0/environment/control/rest/getenvs";
        self.stack.client.post(path, &[("session", value)]).await.result()
    }
}

/// Makes calls while other changes of the installation go on without a pause. Changes follow each other, so that the calls begin to
/// wait before either of them is at its turn: what one has read by then, the other has not changed yet.
async fn amid_changes<T>(target: &Target<'_>, calls: impl Future<Output = T>) -> T {
    let change = || change_on(target);
    tokio::select! {
        done = calls => done,
        (never, ..) = async { tokio::join!(change(), change(), change(), change()) } => match never {},
    }
}

/// Ends all other sessions, of which there are none, again and again: in turn with other changes, and without a password, which
/// would take its time.
async fn change_on(target: &Target<'_>) -> Infallible {
    let client = e2e::Client::new(&target.stack.url);
    loop {
        let form = [("session", target.session), ("ids", "*")];
        client.post("/1.0/users/authentication/rest/signoutsessions", &form).await.success();
    }
}

/// The stacks, each with a session of its administrator's.
async fn stages() -> Vec<(Stack, String)> {
    let mut stages = Vec::new();
    for stack in stacks().await {
        let session = stack.session().await;
        stages.push((stack, session));
    }
    stages
}

fn value(answer: &Answer) -> String {
    answer.json()["token"]["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn edits_of_different_fields_are_both_kept() {
    for (stack, session) in stages().await {
        for _ in 0..ROUNDS {
            let token = Target::new(&stack, &session).await;
            let (described, confined) = amid_changes(&token, async {
                tokio::join!(
                    token.edit(&[("description", "described")]),
                    token.edit(&[("environments", "confined-*"), ("expiresAt", "2999-01-01 00:00:00")]),
                )
            })
            .await;
            let seen = [described.success(), confined.success()];
            let is_described = |token: &Value| token["description"] == "described";
            let is_confined = |token: &Value| {
                token["environments"] == serde_json::json!(["confined-*"]) && !token["expiresAt"].is_null()
            };
            assert!(is_described(&seen[0]["token"]) && is_confined(&seen[1]["token"]), "{seen:?}");
            let both = seen.iter().filter(|seen| is_described(&seen["token"]) && is_confined(&seen["token"]));
            assert_eq!(both.count(), 1, "{}: the later one sees both: {seen:?}", stack.engine);
            let left = token.listed().await.unwrap();
            assert!(is_described(&left) && is_confined(&left), "{}: nothing is lost: {left}", stack.engine);
            assert_eq!(token.done().await, ["token.edit", "token.edit"], "{}", stack.engine);
        }
    }
}

#[tokio::test]
async fn of_edits_of_the_same_fields_one_is_left_whole() {
    for (stack, session) in stages().await {
        for _ in 0..ROUNDS {
            let token = Target::new(&stack, &session).await;
            let fields = |name: &'static str, pattern: &'static str| [("description", name), ("environments", pattern)];
            let (one, other) = (fields("one", "one-*"), fields("other", "other-*"));
            let (first, second) =
                amid_changes(&token, async { tokio::join!(token.edit(&one), token.edit(&other)) }).await;
            let own = |token: &Value| (token["description"].clone(), token["environments"][0].clone());
            let possible = [("one".into(), "one-*".into()), ("other".into(), "other-*".into())];
            assert_eq!([first, second].map(|answer| own(&answer.success()["token"])), possible, "{}", stack.engine);
            let left = token.listed().await.unwrap();
            assert!(possible.contains(&own(&left)), "{}: no mixture: {left}", stack.engine);
            assert_eq!(left["apiListItems"][0]["method"], STOP, "what neither names stays: {left}");
            assert_eq!(token.done().await, ["token.edit", "token.edit"], "{}", stack.engine);
        }
    }
}

#[tokio::test]
async fn an_edit_and_a_new_value_are_both_kept() {
    for (stack, session) in stages().await {
        for _ in 0..ROUNDS {
            let token = Target::new(&stack, &session).await;
            let edit = [("description", "edited"), ("apiList", GET_ENVIRONMENTS)];
            let (edited, regenerated) =
                amid_changes(&token, async { tokio::join!(token.edit(&edit), token.regenerate()) }).await;
            edited.success();
            let new = value(&regenerated);
            let left = token.listed().await.unwrap();
            assert_eq!(left["description"], "edited", "{}: {left}", stack.engine);
            assert_eq!(token.list_with(&new).await, 0, "{}: the new value may what was edited", stack.engine);
            assert_eq!(token.list_with(&token.value).await, 702, "{}: the old value is dead", stack.engine);
            let mut done = token.done().await;
            let seen = regenerated.json()["token"]["description"] == "edited";
            assert_eq!(done[0] == "token.edit", seen, "{}: answers tell the order: {done:?}", stack.engine);
            done.sort();
            assert_eq!(done, ["token.edit", "token.regenerate"], "{}", stack.engine);
        }
    }
}

#[tokio::test]
async fn of_two_new_values_one_is_left() {
    for (stack, session) in stages().await {
        for _ in 0..ROUNDS {
            let token = Target::new(&stack, &session).await;
            let edit = [("apiList", GET_ENVIRONMENTS)];
            token.edit(&edit).await.success();
            let (one, other) =
                amid_changes(&token, async { tokio::join!(token.regenerate(), token.regenerate()) }).await;
            let mut results = [token.list_with(&value(&one)).await, token.list_with(&value(&other)).await];
            results.sort_unstable();
            assert_eq!(results, [0, 702], "{}", stack.engine);
            assert_eq!(token.list_with(&token.value).await, 702, "{}", stack.engine);
        }
    }
}

#[tokio::test]
async fn what_is_deleted_stays_so_whatever_is_changed_at_the_same_moment() {
    for (stack, session) in stages().await {
        for round in 0..2 * ROUNDS {
            let token = Target::new(&stack, &session).await;
            let edit = [("description", "edited"), ("apiList", GET_ENVIRONMENTS)];
            let change = async || if round % 2 == 0 { token.edit(&edit).await } else { token.regenerate().await };
            let (changed, deleted) = amid_changes(&token, async { tokio::join!(change(), token.delete()) }).await;
            deleted.success();
            let case = format!("{}: {changed:?}", stack.engine);
            let action = if round % 2 == 0 { "token.edit" } else { "token.regenerate" };
            let done = match changed.result() {
                0 => vec![action, "token.delete"],
                // It came too late, and is told.
                5 => vec!["token.delete"],
                _ => panic!("{case}"),
            };
            assert_eq!(token.done().await, done, "{case}");
            assert_eq!(token.listed().await, None, "{case}");
            let new = changed.json()["token"]["key"].as_str().map(str::to_owned);
            for value in new.iter().chain([&token.value]) {
                assert_eq!(token.list_with(value).await, 702, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn of_two_deletions_one_is_told_that_there_is_nothing_left() {
    for (stack, session) in stages().await {
        for _ in 0..ROUNDS {
            let token = Target::new(&stack, &session).await;
            let (one, other) = amid_changes(&token, async { tokio::join!(token.delete(), token.delete()) }).await;
            let mut results = [one.result(), other.result()];
            results.sort_unstable();
            assert_eq!(results, [0, 5], "{}: {one:?} {other:?}", stack.engine);
            assert_eq!(token.done().await, ["token.delete"], "{}", stack.engine);
        }
    }
}
