use serde_json::{Map, Value};

use super::Caller;
use crate::arguments::Group;
use crate::output::{self, cell, objects};

pub(super) async fn run(caller: &Caller, command: Group) -> anyhow::Result<()> {
    let (method, parameters) = match command {
        Group::List { environment } => ("GetGroups", environment.map(|name| ("envName", name)).into_iter().collect()),
        Group::Create { name } => ("CreateGroup", vec![("envGroup", name)]),
        Group::Rename { name, to } => ("EditGroup", vec![("srcGroupName", name), ("dstGroupName", to)]),
        Group::Remove { name } => ("RemoveGroup", vec![("envGroup", name)]),
    };
    let answer = caller.api.call(&format!("environment.group.{method}"), parameters).await?;
    let people = |answer: &Map<String, Value>| if method == "GetGroups" { names(answer) } else { String::new() };
    output::answer(caller.output, &answer, people)
}

/// One a line.
fn names(answer: &Map<String, Value>) -> String {
    objects(answer, "array").into_iter().map(|group| cell(group, "name")).collect::<Vec<_>>().join("\n")
}
