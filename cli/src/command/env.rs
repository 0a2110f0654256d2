use serde_json::{Map, Value, json};

use super::{Caller, logs, nodes, watch};
use crate::api::Parameters;
use crate::arguments::{Env, EnvGroups, ImageNode, NodeGroup, Nodes};
use crate::output::{self, cell, object, objects, status};
use crate::progress::Action;

/// How an answer is told to people.
type People = fn(&Map<String, Value>) -> String;

pub(super) async fn run(caller: &Caller, command: Env) -> anyhow::Result<()> {
    match command {
        Env::List => call(caller, "GetEnvs", Vec::new(), list).await,
        Env::Watch => watch::run(caller).await,
        Env::Info { name } => call(caller, "GetEnvInfo", named(&name), info).await,
        Env::Create { name, nodes, images, display_name } => {
            let nodes = nodes.iter().map(node_group).chain(images.iter().map(image_node)).collect();
            create(caller, &name, nodes, display_name).await
        }
        Env::Start { name } => {
            act(caller, Action::new("starting", &name, "is running"), "StartEnv", named(&name), nothing).await
        }
        Env::Stop { name } => {
            act(caller, Action::new("stopping", &name, "is stopped"), "StopEnv", named(&name), nothing).await
        }
        Env::Sleep { name } => {
            act(caller, Action::new("putting to sleep", &name, "is asleep"), "SleepEnv", named(&name), nothing).await
        }
        Env::Delete { name } => {
            act(caller, Action::new("deleting", &name, "is gone"), "DeleteEnv", named(&name), nothing).await
        }
        Env::Clone { name, copy } => {
            let action = Action::new("cloning", &name, "is running").into(&copy);
            act(caller, action, "CloneEnv", vec![("srcEnvName", name), ("dstEnvName", copy)], info).await
        }
        Env::Rename { name, display_name } => {
            let mut parameters = named(&name);
            parameters.extend(display_name.map(|display_name| ("displayName", display_name)));
            call(caller, "SetEnvDisplayName", parameters, nothing).await
        }
        Env::Restart { name, nodes } => {
            let action = Action::new("restarting", &name, "is running again");
            act(caller, action, "RestartNodes", nodes::of(&name, nodes.node, nodes.group), nothing).await
        }
        Env::Redeploy { name, tag, nodes } => redeploy(caller, &name, tag, nodes).await,
        Env::Vars(command) => nodes::vars(caller, command).await,
        Env::Exec { name, nodes, command } => nodes::exec(caller, &name, nodes, &command).await,
        Env::Logs(command) => logs::run(caller, command).await,
        Env::Resize { name, node, fixed, flexible } => {
            let mut parameters = nodes::of(&name, Some(node), None);
            parameters.push(("fixedCloudlets", fixed.to_string()));
            parameters.push(("flexibleCloudlets", flexible.to_string()));
            call(caller, "SetCloudletsCountById", parameters, nothing).await
        }
        Env::Groups(command) => groups(caller, command).await,
        Env::File { name, node, path } => logs::file(caller, &name, node, path).await,
    }
}

async fn create(caller: &Caller, name: &str, nodes: Vec<Value>, display_name: Option<String>) -> anyhow::Result<()> {
    let action = Action::new("creating", name, "is running");
    let environment = json!({ "shortdomain": name, "displayName": display_name });
    let parameters = vec![("env", environment.to_string()), ("nodes", Value::from(nodes).to_string())];
    act(caller, action, "CreateEnvironment", parameters, created).await
}

async fn redeploy(caller: &Caller, name: &str, tag: String, nodes: Nodes) -> anyhow::Result<()> {
    let action = Action::new("redeploying", name, "is redeployed");
    let method = if nodes.node.is_some() { "RedeployContainerById" } else { "RedeployContainersByGroup" };
    let mut parameters = nodes::of(name, nodes.node, nodes.group);
    parameters.push(("tag", tag));
    act(caller, action, method, parameters, redeployed).await
}

/// Calls what takes its time, and tells meanwhile how it goes.
async fn act(
    caller: &Caller,
    action: Action,
    method: &str,
    parameters: Parameters,
    people: People,
) -> anyhow::Result<()> {
    let method = format!("environment.control.{method}");
    let answer = action.follow(&caller.api, caller.api.call(&method, parameters)).await?;
    output::answer(caller.output, &answer, people)
}

async fn groups(caller: &Caller, command: EnvGroups) -> anyhow::Result<()> {
    let (method, name, groups) = match command {
        EnvGroups::Attach { name, groups } => ("AttachEnvGroup", name, groups),
        EnvGroups::Detach { name, groups } => ("DetachEnvGroup", name, groups),
        EnvGroups::Set { name, groups } => ("SetEnvGroup", name, groups),
    };
    let mut parameters = named(&name);
    parameters.push(("envGroup", Value::from(groups).to_string()));
    call(caller, method, parameters, nothing).await
}

/// Calls a method of `environment.control`, and tells the answer.
pub(super) async fn call(caller: &Caller, method: &str, parameters: Parameters, people: People) -> anyhow::Result<()> {
    let answer = caller.api.call(&format!("environment.control.{method}"), parameters).await?;
    output::answer(caller.output, &answer, people)
}

pub(super) fn named(name: &str) -> Parameters {
    vec![("envName", name.to_owned())]
}

fn node_group(nodes: &NodeGroup) -> Value {
    json!({ "nodeType": nodes.template, "nodeGroup": nodes.group, "count": nodes.count })
}

fn image_node(node: &ImageNode) -> Value {
    json!({ "docker": { "image": node.image }, "nodeGroup": node.group })
}

pub(super) fn nothing(_: &Map<String, Value>) -> String {
    String::new()
}

fn created(answer: &Map<String, Value>) -> String {
    info(&object(answer, "response"))
}

fn redeployed(answer: &Map<String, Value>) -> String {
    let rows = objects(answer, "responses").into_iter().map(|node| [cell(node, "nodeid"), cell(node, "out")]);
    output::table(["node", "result"], rows)
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
            cell(node, "version"),
            status(node),
            cell(node, "ctid"),
            messages.join("; "),
        ]
    });
    let nodes = output::table(["id", "group", "template", "version", "status", "process", "messages"], rows);
    let groups: Vec<&str> =
        answer.get("envGroups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let groups = if groups.is_empty() { String::new() } else { format!("\ngroups: {}", groups.join(", ")) };
    format!("{} is {}{}{groups}\n{nodes}", cell(&environment, "envName"), status(&environment), last(answer))
}

/// What became of the last operation, where it failed.
fn last(answer: &Map<String, Value>) -> String {
    let operation = object(answer, "lastOperation");
    match operation.get("outcome").and_then(Value::as_str) {
        Some("failed") => format!("\nthe last {} failed: {}", cell(&operation, "name"), cell(&operation, "message")),
        _ => String::new(),
    }
}
