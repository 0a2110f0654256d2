use serde_json::{Map, Value, json};

use super::Caller;
use crate::arguments::{Env, NodeGroup};
use crate::output::{self, cell, object, objects};

/// How an answer is told to people.
type People = fn(&Map<String, Value>) -> String;

pub(super) async fn run(caller: &Caller, command: Env) -> anyhow::Result<()> {
    let named = |name: &str| vec![("envName", name.to_owned())];
    let (method, parameters, people): (_, _, People) = match command {
        Env::List => ("GetEnvs", Vec::new(), list),
        Env::Info { name } => ("GetEnvInfo", named(&name), info),
        Env::Start { name } => ("StartEnv", named(&name), nothing),
        Env::Stop { name } => ("StopEnv", named(&name), nothing),
        Env::Delete { name } => ("DeleteEnv", named(&name), nothing),
        Env::Create { name, nodes } => {
            let nodes: Vec<Value> = nodes.iter().map(node_group).collect();
            let environment = json!({ "shortdomain": name });
            let parameters = vec![("env", environment.to_string()), ("nodes", Value::from(nodes).to_string())];
            ("CreateEnvironment", parameters, created)
        }
    };
    let answer = caller.api.call(&format!("environment.control.{method}"), parameters).await?;
    output::answer(caller.output, &answer, people)
}

/// A group is called like its template.
fn node_group(group: &NodeGroup) -> Value {
    json!({ "nodeType": group.template, "nodeGroup": group.template, "count": group.count })
}

fn nothing(_: &Map<String, Value>) -> String {
    String::new()
}

fn created(answer: &Map<String, Value>) -> String {
    info(&object(answer, "response"))
}

/// The statuses that an environment here can have, in words.
fn status(of: &Map<String, Value>) -> String {
    let word = match of.get("status").and_then(Value::as_i64) {
        Some(1) => "running",
        Some(2) => "stopped",
        Some(3) => "launching",
        Some(4) => "asleep",
        Some(6) => "being created",
        Some(11) => "broken",
        Some(13) => "stopping",
        _ => "unknown",
    };
    word.to_owned()
}

fn list(answer: &Map<String, Value>) -> String {
    let rows = objects(answer, "infos").into_iter().map(|info| {
        let environment = object(info, "env");
        let nodes = objects(info, "nodes").len().to_string();
        [cell(&environment, "envName"), status(&environment), nodes, cell(&environment, "createdOn")]
    });
    output::table(["name", "status", "nodes", "created on"], rows)
}

fn info(answer: &Map<String, Value>) -> String {
    let environment = object(answer, "env");
    let rows = objects(answer, "nodes").into_iter().map(|node| {
        let messages = node.get("messages").and_then(Value::as_array);
        let messages: Vec<&str> = messages.into_iter().flatten().filter_map(Value::as_str).collect();
        [
            cell(node, "id"),
            cell(node, "nodeGroup"),
            cell(node, "nodeType"),
            status(node),
            cell(node, "ctid"),
            messages.join("; "),
        ]
    });
    let nodes = output::table(["id", "group", "template", "status", "process", "messages"], rows);
    format!("{} is {}\n{nodes}", cell(&environment, "envName"), status(&environment))
}
