//! Every parameter of every method of the catalog, each wrong in every way that its type allows. A method that is added is
//! held to the same without a word here.

use std::fmt::Write;

use e2e::{Answer, PASSWORD, Stack};
use prost_reflect::{FieldDescriptor, Kind};
use proto::catalog::{Access, Parameter};
use proto::{Method, catalog};
use reqwest::Method as Verb;
use serde_json::{Value, json};

/// Longer than any parameter may be.
const TOO_LONG: usize = 64 * 1024 + 1;

/// A form in its encoded text.
fn encoded(form: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in form {
        let value: String = form_encoded(value);
        let separator = if text.is_empty() { "" } else { "&" };
        write!(text, "{separator}{name}={value}").unwrap();
    }
    text
}

fn form_encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A value of the field's type, whatever it may mean.
fn value(field: &FieldDescriptor) -> Value {
    let one = match field.kind() {
        Kind::String if field.json_name() == "password" => json!(PASSWORD),
        Kind::String | Kind::Bytes => json!("x"),
        Kind::Bool => json!(true),
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => json!("2999-01-01 00:00:00"),
        Kind::Message(message) => {
            let fields = message.fields().filter(|field| !field.field_descriptor_proto().proto3_optional());
            fields.map(|field| (field.json_name().to_owned(), value(&field))).collect::<serde_json::Map<_, _>>().into()
        }
        _ => json!(1),
    };
    if field.is_list() { json!([one]) } else { one }
}

fn text(field: &FieldDescriptor) -> String {
    match value(field) {
        Value::String(text) => text,
        Value::Array(items) if !matches!(field.kind(), Kind::Message(_)) => match &items[0] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// Texts that are no value of the parameter's type.
fn wrong(parameter: &Parameter) -> Vec<&'static str> {
    let field = parameter.field();
    match field.kind() {
        Kind::String | Kind::Bytes => vec![],
        Kind::Bool => vec!["maybe", "2"],
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            vec!["tomorrow", "2999-02-30 00:00:00", "31-02-2999", "99999999999999999999"]
        }
        Kind::Message(_) if field.is_list() => vec!["{", "{}", "[1]", "nonsense", "[{]"],
        Kind::Message(_) => vec!["{", "[]", "1", "nonsense", "{\"a\""],
        Kind::Enum(_) => vec!["nonsense"],
        _ => vec!["seven", "1.5", "99999999999999999999", "0x10", "--1"],
    }
}

struct Caller<'a> {
    stack: &'a Stack,
    method: &'static Method,
    session: String,
}

impl Caller<'_> {
    /// The form of a call that is all right but for one parameter.
    fn form(&self, but: &Parameter) -> Vec<(&'static str, String)> {
        let others = self.method.parameters().iter().filter(|other| other.name() != but.name() && other.is_required());
        let mut form: Vec<_> = others.map(|other| (other.name(), text(other.field()))).collect();
        if self.method.access() != Some(&Access::Public) {
            form.push(("session", self.session.clone()));
        }
        form
    }

    async fn call(&self, body: String) -> Answer {
        let request = self.stack.client.request(Verb::POST, &self.method.rest_path().unwrap());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.stack.client.send(request).await
    }

    async fn refused(&self, parameter: &Parameter, what: &str, body: String) {
        let answer = self.call(body).await;
        let (method, name) = (self.method.name(), parameter.name());
        assert_eq!((answer.status, answer.result()), (200, 3), "{method}: {name} {what}: {answer:?}");
        assert!(answer.error().contains(&format!("`{name}")), "{method}: {name} {what}: {answer:?}");
    }

    async fn try_all(&self, parameter: &'static Parameter) -> usize {
        let name = parameter.name();
        let form = || self.form(parameter);
        let with = |value: &str| encoded(&[form(), vec![(name, value.to_owned())]].concat());
        let mut tried = 0;
        if parameter.is_required() {
            self.refused(parameter, "is missing", encoded(&form())).await;
            self.refused(parameter, "is empty", with("")).await;
            tried += 2;
        }
        for value in wrong(parameter) {
            self.refused(parameter, value, with(value)).await;
            tried += 1;
        }
        let separator = if form().is_empty() { "" } else { "&" };
        let raw = format!("{}{separator}{name}=%ff%fe", encoded(&form()));
        self.refused(parameter, "is no UTF-8", raw).await;
        self.refused(parameter, "is too long", with(&"1".repeat(TOO_LONG))).await;
        tried += 2;
        if !parameter.field().is_list() {
            let value = text(parameter.field());
            let twice = [form(), vec![(name, value.clone()), (name, value)]].concat();
            self.refused(parameter, "is given twice", encoded(&twice)).await;
            tried += 1;
        }
        tried
    }
}

#[tokio::test]
async fn every_parameter_of_every_method_is_refused_by_name_and_nothing_is_changed() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    stack.token(&session, "environment.control.StopEnv").await;
    let state = async || {
        let mut seen = Vec::new();
        for method in [
            "users/authentication/rest/gettokens",
            "environment/control/rest/getenvs",
            "users/account/rest/getauditlog",
        ] {
            seen.push(stack.client.post(&format!("/1.0/{method}"), &[("session", &session)]).await.success());
        }
        seen
    };
    let before = state().await;
    let mut tried = 0;
    for method in catalog().methods().iter().filter(|method| method.rest_path().is_some()) {
        let caller = Caller { stack: &stack, method, session: session.clone() };
        for parameter in method.parameters() {
            tried += caller.try_all(parameter).await;
        }
    }
    assert!(tried > 200, "the catalog was gone through: {tried}");
    let after = state().await;
    // The calls of this test are uses of the session, not of the token.
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
}
