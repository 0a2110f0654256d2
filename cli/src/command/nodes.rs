use std::io::{self, Write};

use anyhow::Context;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::Caller;
use super::env::{call, named, nothing};
use crate::api::{Parameters, text};
use crate::arguments::{Nodes, Output, Variable, Variables, Vars};
use crate::output::{self, object, objects};

/// Names an environment and nodes of it.
pub(super) fn of(name: &str, node: Option<i64>, group: Option<String>) -> Parameters {
    let mut parameters = named(name);
    parameters.extend(node.map(|node| ("nodeId", node.to_string())));
    parameters.extend(group.map(|group| ("nodeGroup", group)));
    parameters
}

pub(super) async fn vars(caller: &Caller, command: Vars) -> anyhow::Result<()> {
    match command {
        Vars::Get { name, nodes } => {
            let method = if nodes.node.is_some() { "GetContainerEnvVars" } else { "GetContainerEnvVarsByGroup" };
            call(caller, method, of(&name, nodes.node, nodes.group), lines).await
        }
        Vars::Add { name, nodes, variables } => {
            let mut parameters = of(&name, nodes.node, nodes.group);
            parameters.push(("vars", read(variables)?));
            call(caller, "AddContainerEnvVars", parameters, nothing).await
        }
        Vars::Set { name, nodes, variables } => {
            let (method, parameter) = match nodes.node {
                Some(_) => ("SetContainerEnvVars", "vars"),
                None => ("SetContainerEnvVarsByGroup", "data"),
            };
            let mut parameters = of(&name, nodes.node, nodes.group);
            parameters.push((parameter, read(variables)?));
            call(caller, method, parameters, nothing).await
        }
        Vars::Remove { name, nodes, names } => {
            let mut parameters = of(&name, nodes.node, nodes.group);
            parameters.push(("vars", Value::from(names).to_string()));
            call(caller, "RemoveContainerEnvVars", parameters, nothing).await
        }
    }
}

/// Variables as the API takes them.
fn read(Variables { mut variables, stdin }: Variables) -> anyhow::Result<String> {
    if stdin {
        let text = Zeroizing::new(io::read_to_string(io::stdin()).context("standard input")?);
        for line in text.lines().filter(|line| !line.is_empty()) {
            let variable: Variable = line.parse().map_err(anyhow::Error::msg).context("a line of standard input")?;
            variables.push(variable);
        }
    }
    let variables = variables.into_iter().map(|Variable { name, value }| (name, value.into()));
    Ok(Value::Object(variables.collect()).to_string())
}

/// `NAME=VALUE`, one a line.
fn lines(answer: &Map<String, Value>) -> String {
    let variables = object(answer, "object");
    let line = |(name, value): (&String, &Value)| format!("{name}={}", value.as_str().unwrap_or_default());
    variables.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A command that ended with something else than 0.
#[derive(Debug, thiserror::Error)]
#[error("the command ended with {code} in node {node}")]
struct CommandFailed {
    code: i64,
    node: i64,
}

pub(super) async fn exec(caller: &Caller, name: &str, nodes: Nodes, command: &[String]) -> anyhow::Result<()> {
    let method = if nodes.node.is_some() { "ExecCmdById" } else { "ExecCmdByGroup" };
    let mut parameters = of(name, nodes.node, nodes.group);
    parameters.push(("commandList", command_list(command)));
    let answer = caller.api.call(&format!("environment.control.{method}"), parameters).await?;
    let responses = objects(&answer, "responses");
    if caller.output == Output::Json {
        output::answer(caller.output, &answer, nothing)?;
    } else {
        for response in &responses {
            output::raw(text(response, "out"))?;
            io::stderr().write_all(text(response, "errOut").as_bytes())?;
        }
    }
    let number =
        |response: &Map<String, Value>, member| response.get(member).and_then(Value::as_i64).unwrap_or_default();
    let failed = responses.into_iter().find(|response| number(response, "result") != 0);
    failed.map_or(Ok(()), |response| {
        Err(CommandFailed { code: number(response, "result"), node: number(response, "nodeid") }.into())
    })
}

/// One command, so that it is divided as it was here. The API divides a program without arguments too.
fn command_list(command: &[String]) -> String {
    match command {
        [program] => json!([{ "command": shell_words::quote(program) }]),
        [program, arguments @ ..] => json!([{ "command": program, "params": shell_words::join(arguments) }]),
        [] => json!([]),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stay_what_they_are() {
        let list = |command: &[&str]| command_list(&command.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["/bin/my ls"]), r#"[{"command":"'/bin/my ls'"}]"#);
        assert_eq!(list(&["ls", "-l", "a b", ""]), r#"[{"command":"ls","params":"-l 'a b' ''"}]"#);
    }
}
