//! What belongs to another account is as if it did not exist, whatever method names it.

use e2e::{Answer, LOGIN, PASSWORD, Stack, stacks};
use proto::catalog::Access;
use serde_json::Value;

use super::caller::{Caller, another_account, assert_unchanged, call, encoded};
use super::meaning::{Meaning, Object};
use super::place::Place;

/// What names nothing, and stands in no answer by chance.
fn missing(object: Object) -> String {
    let unknown = || access::Credential::generate(access::CredentialKind::Session, &mut rand::rng());
    match object {
        Object::Account | Object::Token | Object::Session | Object::Node => "987654321987".to_owned(),
        Object::Login => "nobody@example.org".to_owned(),
        Object::Group => "group of nobody".to_owned(),
        Object::Environment => "nobodys".to_owned(),
        Object::SessionValue => unknown().expose().to_owned(),
    }
}

/// A call that names something, under a credential.
async fn name(caller: &Caller<'_>, credential: &str, place: &Place, text: &str) -> Answer {
    let mut form = caller.form(place.method, place.parameter);
    for (name, value) in &mut form {
        if *name == "session" {
            credential.clone_into(value);
        }
        // With the right one it would be the owner who signs in.
        if place.meaning() == Some(Meaning::Object(Object::Login)) && *name == "password" {
            *value = format!("not {PASSWORD}");
        }
    }
    form.push((place.parameter.name(), text.to_owned()));
    call(caller.stack, place.method, encoded(&form)).await
}

/// The account's state, without what others have tried, and without uses: a call with a token is one, whatever becomes of it.
async fn state(caller: &Caller<'_>) -> Vec<Value> {
    let mut state = caller.state().await;
    for answer in state.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(entries) = answer.get_mut("entries").and_then(Value::as_array_mut) {
            entries.retain(|entry| entry["outcome"] == "SUCCESS");
        }
        for token in answer.get_mut("apiTokens").and_then(Value::as_array_mut).into_iter().flatten() {
            let uses = ["lastUsed", "lastUsedAddress", "lastUsedMethod", "useCount"];
            token.as_object_mut().unwrap().retain(|name, _| !uses.contains(&name.as_str()));
        }
    }
    state
}

/// The entries of the caller's own log below a number: whose the number is makes no difference.
async fn below(caller: &Caller<'_>, number: i64) -> Vec<Value> {
    let form = [("session", caller.session.as_str()), ("limit", "1000")];
    let log = caller.stack.client.post("/1.0/users/account/rest/getauditlog", &form).await.success();
    let entries = log["entries"].as_array().unwrap().iter();
    entries.filter(|entry| entry["id"].as_i64().unwrap() < number).cloned().collect()
}

async fn newest_entry(caller: &Caller<'_>) -> i64 {
    let form = [("session", caller.session.as_str()), ("limit", "1")];
    let log = caller.stack.client.post("/1.0/users/account/rest/getauditlog", &form).await.success();
    log["entries"][0]["id"].as_i64().unwrap()
}

/// Names something of the owner's by one value.
async fn try_place(caller: &Caller<'_>, credential: &str, owner: &Caller<'_>, place: &Place) {
    let case = format!("{}: {} by {}", caller.stack.engine, place.what(), caller.login);
    match place.meaning() {
        Some(Meaning::Object(object)) => {
            let (foreign, missing) = (owner.own(object), missing(object));
            let mut pairs = vec![(foreign.clone(), missing.clone())];
            if place.field().is_list() {
                let own = caller.own(object);
                pairs.push((format!("{own},{foreign}"), format!("{own},{missing}")));
            }
            for (of_another, of_nobody) in pairs {
                let of_another = name(caller, credential, place, &place.with(&of_another.into())).await;
                let of_nobody = name(caller, credential, place, &place.with(&of_nobody.into())).await;
                assert_ne!(of_another.result(), 0, "{case}: {of_another:?}");
                assert_eq!(of_another.body, of_nobody.body.replace(&missing, &foreign), "{case}");
                assert_eq!(of_another.headers.len(), of_nobody.headers.len(), "{case}");
            }
        }
        Some(Meaning::Page(_)) => {
            let number = newest_entry(owner).await;
            let page = name(caller, credential, place, &number.to_string()).await;
            if page.result() == 0 {
                assert_eq!(page.json()["entries"].as_array(), Some(&below(caller, number).await), "{case}");
            } else {
                let of_nobody = name(caller, credential, place, &i64::MAX.to_string()).await;
                assert_eq!((page.result(), &page.body), (8, &of_nobody.body), "{case}");
            }
        }
        Some(Meaning::NewName) => {
            let taken = if place.names_environment() { owner.environment.clone() } else { owner.login.clone() };
            let answer = name(caller, credential, place, &place.with(&taken.into())).await;
            assert_eq!(answer.result(), if is_administration(place) { 8 } else { 9108 }, "{case}: {answer:?}");
        }
        Some(Meaning::Between(..) | Meaning::File | Meaning::Text) | None => unreachable!("{case}"),
    }
}

/// Whether the owner's things are for the caller: an administrator names every account.
fn is_open(caller: &Caller<'_>, place: &Place) -> bool {
    caller.login == LOGIN && is_administration(place)
}

fn is_administration(place: &Place) -> bool {
    matches!(place.method.access(), Some(Access::Administrator | Access::AdministratorWithPassword))
}

/// Whether the value names something that is somebody's.
fn names_something(place: &Place) -> bool {
    matches!(place.meaning(), Some(Meaning::Object(_) | Meaning::Page(_) | Meaning::NewName))
}

async fn try_all(stack: &Stack, caller: &Caller<'_>, owner: &Caller<'_>) -> Vec<String> {
    let mut tried = Vec::new();
    for place in Place::all().iter().filter(|place| names_something(place) && !is_open(caller, place)) {
        let before = (state(owner).await, state(caller).await);
        let mut credentials = vec![&caller.session];
        credentials.extend(place.method.permission().is_some().then_some(&caller.token_value));
        for credential in credentials {
            try_place(caller, credential, owner, place).await;
        }
        let case = format!("{}: {} by {}", stack.engine, place.what(), caller.login);
        assert_unchanged(&before.0, &state(owner).await, &case);
        assert_unchanged(&before.1, &state(caller).await, &case);
        tried.push(place.what());
    }
    tried
}

#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    for stack in stacks().await {
        another_account(&stack, "bob").await;
        let alice = Caller::new(&stack, LOGIN, "alices").await;
        let bob = Caller::new(&stack, "bob", "bobs").await;
        let tried = try_all(&stack, &bob, &alice).await;
        let named = Place::all().into_iter().filter(names_something);
        for place in named {
            assert!(tried.contains(&place.what()), "{} was tried", place.what());
        }
        // An administrator administers accounts, and no more than that.
        let tried = try_all(&stack, &alice, &bob).await;
        assert!(tried.iter().any(|what| what.ends_with("EditToken id")), "{tried:?}");
    }
}
