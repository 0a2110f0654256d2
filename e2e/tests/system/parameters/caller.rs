//! An account with something of everything that a request can name, and its calls.

use std::fmt::Write;

use e2e::{Answer, PASSWORD, Stack};
use proto::catalog::{Access, Parameter};
use proto::{ErrorKind, Method};
use reqwest::Method as Verb;
use serde_json::Value;

use super::meaning::{Meaning, Object};
use super::place::{Place, structure};

/// What no call may be answered, whatever is in it.
const FAULTS: [ErrorKind; 3] = [ErrorKind::Internal, ErrorKind::Unavailable, ErrorKind::StaleGrant];

/// An account that owns a token, an environment and two sessions.
pub(super) struct Caller<'a> {
    pub(super) stack: &'a Stack,
    pub(super) login: String,
    pub(super) session: String,
    pub(super) uid: i64,
    pub(super) token: i64,
    pub(super) token_value: String,
    /// The number of its other session, and the value.
    pub(super) other_session: (i64, String),
    pub(super) environment: String,
    /// The number of its environment's node.
    pub(super) node: i64,
    /// A group of environments.
    pub(super) group: String,
}

impl<'a> Caller<'a> {
    /// Signs an account in, and makes it what it owns.
    pub(super) async fn new(stack: &'a Stack, login: &str, environment: &str) -> Self {
        let (session, other) = (stack.signin(login).await, stack.signin(login).await);
        let created = stack.create_environment(&session, environment, "worker", 1).await;
        let node = created["response"]["nodes"][0]["id"].as_i64().unwrap();
        let group = format!("group of {environment}");
        let form = [("session", session.as_str()), ("envGroup", group.as_str())];
        stack.client.post("/1.0/environment/group/rest/creategroup", &form).await.success();
        let every: Vec<&str> = proto::catalog().permissions().iter().map(|method| method.name()).collect();
        let (token, token_value) = stack.token(&session, &every.join(",")).await;
        let info = stack.client.post("/1.0/users/account/rest/getuserinfo", &[("session", &session)]).await.success();
        let form = [("session", session.as_str())];
        let open = stack.client.post("/1.0/users/authentication/rest/getsessions", &form).await.success();
        let open = open["sessions"].as_array().unwrap().iter();
        let other_number = open.filter(|session| session["current"] == false).map(|session| session["id"].as_i64());
        let other_session = (other_number.flatten().max().unwrap(), other);
        let uid = info["uid"].as_i64().unwrap();
        let (login, environment) = (login.to_owned(), environment.to_owned());
        Self { stack, login, session, uid, token, token_value, other_session, environment, node, group }
    }

    /// What names an object of the account's.
    pub(super) fn own(&self, object: Object) -> String {
        match object {
            Object::Account => self.uid.to_string(),
            Object::Login => self.login.clone(),
            Object::Token => self.token.to_string(),
            Object::Session => self.other_session.0.to_string(),
            Object::SessionValue => self.other_session.1.clone(),
            Object::Environment => self.environment.clone(),
            Object::Node => self.node.to_string(),
            Object::Group => self.group.clone(),
        }
    }

    /// A right value of a parameter.
    pub(super) fn right(&self, method: &'static Method, parameter: &'static Parameter) -> String {
        let place = &Place::in_parameter(method, parameter)[0];
        if place.is_nested() || place.is_map() {
            return structure(parameter.name()).to_owned();
        }
        match (place.meaning(), parameter.name()) {
            (Some(Meaning::Object(object)), _) => self.own(object),
            (Some(Meaning::Page(first) | Meaning::Between(first, _)), _) => first.to_string(),
            (_, "password" | "accountPassword") => PASSWORD.to_owned(),
            (_, "newPassword") => "another horse battery".to_owned(),
            (_, "code") => "000000".to_owned(),
            (_, "apiList") => "environment.control.GetEnvs".to_owned(),
            (_, "tokenTemplate") => "Marketplace".to_owned(),
            (_, "expiresAt") => "2999-01-01 00:00:00".to_owned(),
            (_, "sourceNetworks") => "10.0.0.0/8".to_owned(),
            (_, "nodeGroup") => "cp".to_owned(),
            (_, "path") => "stdout.log".to_owned(),
            _ if !place.is_text() => "true".to_owned(),
            _ => "never-made".to_owned(),
        }
    }

    /// The form of a call that is all right but for one parameter, and would change something.
    pub(super) fn form(&self, method: &'static Method, but: &Parameter) -> Vec<(&'static str, String)> {
        let edits = ["CreateToken", "EditToken"].contains(&method.short_name());
        let by_node = method.parameters().iter().any(|one| one.name().eq_ignore_ascii_case("nodeId"));
        let wanted = |one: &Parameter| {
            one.is_required()
                || edits && ["description", "apiList"].contains(&one.name())
                // Nodes are chosen by the one or by the other.
                || by_node && one.name() == "nodeGroup"
        };
        let others = method.parameters().iter().filter(|other| other.name() != but.name() && wanted(other));
        let mut form: Vec<_> = others.map(|other| (other.name(), self.right(method, other))).collect();
        if method.access() != Some(&Access::Public) {
            form.push(("session", self.session.clone()));
        }
        form
    }

    /// All that the account sees of itself, but for when it was seen last.
    pub(super) async fn state(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        let of_nodes = vec![("envName", self.environment.as_str()), ("nodeGroup", "cp")];
        for (method, more) in [
            ("users/authentication/rest/gettokens", vec![]),
            ("users/authentication/rest/getsessions", vec![]),
            ("environment/control/rest/getenvs", vec![]),
            ("environment/control/rest/getcontainerenvvarsbygroup", of_nodes),
            ("environment/group/rest/getgroups", vec![]),
            ("users/account/rest/getuserinfo", vec![]),
            ("users/account/rest/get2fastatus", vec![]),
            ("users/account/rest/getauditlog", vec![("limit", "1000")]),
        ] {
            let form = [more, vec![("session", self.session.as_str())]].concat();
            let mut answer = self.stack.client.post(&format!("/1.0/{method}"), &form).await.success();
            if let Some(sessions) = answer.get_mut("sessions").and_then(Value::as_array_mut) {
                // They are listed by it, too.
                sessions.iter_mut().for_each(|session| drop(session.as_object_mut().unwrap().remove("lastAccess")));
                sessions.sort_by_key(|session| session["id"].as_i64());
            }
            seen.push(answer);
        }
        seen
    }
}

/// Compares what an account saw of itself.
pub(super) fn assert_unchanged(before: &[Value], after: &[Value], case: &str) {
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before, after, "{case}");
    }
}

/// Sends a form as it is written. No answer is a fault of the platform's own.
pub(super) async fn call(stack: &Stack, method: &Method, body: String) -> Answer {
    let request = stack.client.request(Verb::POST, &method.rest_path().unwrap());
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
    let answer = stack.client.send(request).await;
    let result = answer.result();
    let what = body.get(..300).unwrap_or(&body);
    assert_eq!(answer.status, 200, "{}: {}: {what}: {answer:?}", stack.engine, method.name());
    for fault in FAULTS {
        assert_ne!(result, i64::from(fault.result()), "{}: {}: {what}: {answer:?}", stack.engine, method.name());
    }
    answer
}

/// A form in its encoded text.
pub(super) fn encoded(form: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in form {
        let separator = if text.is_empty() { "" } else { "&" };
        write!(text, "{separator}{name}={}", escaped(value)).unwrap();
    }
    text
}

pub(super) fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Another account, made by the administrator.
pub(super) async fn another_account(stack: &Stack, login: &str) {
    let administrator = stack.session().await;
    stack.create_account(&administrator, login).await;
}
