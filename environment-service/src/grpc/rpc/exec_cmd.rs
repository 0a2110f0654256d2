use std::time::Duration;

use access::{AccountPermit, Handle};
use proto::environment::v1::rpc::{ExecCmdByGroup, ExecCmdById};
use proto::environment::v1::{
    ExecCmdByGroupRequest, ExecCmdByGroupResponse, ExecCmdByIdRequest, ExecCmdByIdResponse, ExecResponse, NodeCommand,
};
use proto::{ErrorKind, Failure};

use crate::domain::{NodeId, Selection};
use crate::driver::{Command, Output};
use crate::grpc::Control;
use crate::grpc::control::{env_name, no_driver, node_failure, selection_failure};
use crate::grpc::parameter::{given, node_group};
use crate::operation::ExecError;

/// The most commands in one call.
const MAX_COMMANDS: usize = 32;
/// The most bytes of a command, and of its arguments.
const MAX_BYTES: usize = 32 * 1024;
/// How long a command may take.
const TIME: Duration = Duration::from_secs(600);
/// How many bytes of each output are told.
const MOST_OUTPUT: usize = 1 << 20;

impl Handle<ExecCmdById> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: ExecCmdByIdRequest,
    ) -> Result<ExecCmdByIdResponse, Failure> {
        let node = Selection::Node(NodeId(request.node_id));
        let responses = exec(self, permit, &request.env_name, node, &request.command_list).await?;
        Ok(ExecCmdByIdResponse { responses })
    }
}

impl Handle<ExecCmdByGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: ExecCmdByGroupRequest,
    ) -> Result<ExecCmdByGroupResponse, Failure> {
        let group = Selection::Group(node_group(&request.node_group)?);
        let responses = exec(self, permit, &request.env_name, group, &request.command_list).await?;
        Ok(ExecCmdByGroupResponse { responses })
    }
}

async fn exec(
    control: &Control,
    permit: &AccountPermit,
    name: &str,
    nodes: Selection,
    commands: &[NodeCommand],
) -> Result<Vec<ExecResponse>, Failure> {
    if commands.len() > MAX_COMMANDS {
        let text = format!("must not hold more than {MAX_COMMANDS} commands");
        return Err(Failure::invalid("commandList", text));
    }
    let commands: Vec<Command> = commands.iter().enumerate().map(command).collect::<Result<_, _>>()?;
    let environment = control.environment(permit, &env_name(name)?).await?;
    let outputs = control.operations.exec(environment, nodes, commands).await.map_err(failure)?;
    let response = |(node, output): (NodeId, Output)| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err_out) = (text(&output.out), text(&output.error));
        ExecResponse { result: output.code, out, err_out, nodeid: node.0 }
    };
    Ok(outputs.into_iter().map(response).collect())
}

fn failure(error: ExecError) -> Failure {
    match error {
        ExecError::Driver(error) => no_driver(error),
        ExecError::Selection(error) => selection_failure(error),
        ExecError::Node(environment, error) => node_failure(&environment, error),
        error @ ExecError::TooMany => Failure::new(ErrorKind::Throttled, error.to_string()),
        error @ ExecError::Ending => Failure::unavailable("the environment service", error),
        error @ ExecError::Torn(_) => Failure::internal(error),
    }
}

fn command((index, command): (usize, &NodeCommand)) -> Result<Command, Failure> {
    let parameter = |field: &str| format!("commandList[{index}].{field}");
    let divided = |text: &str, field: &str| {
        if text.len() > MAX_BYTES {
            return Err(Failure::invalid(&parameter(field), format!("must not have more than {MAX_BYTES} bytes")));
        }
        shell_words::split(text)
            .map_err(|problem| Failure::invalid(&parameter(field), format!("is cut off: {problem}")))
    };
    let (program, arguments) = match given(command.params.as_deref()) {
        Some(params) => (command.command.clone(), divided(params, "params")?),
        None => {
            let mut words = divided(&command.command, "command")?.into_iter();
            (words.next().unwrap_or_default(), words.collect())
        }
    };
    if program.is_empty()
        || program.len() > MAX_BYTES
        || program.contains('\0')
        || arguments.iter().any(|argument| argument.contains('\0'))
    {
        return Err(Failure::invalid(
            &parameter("command"),
            "must name a program, in at most 32,768 bytes without zero bytes",
        ));
    }
    Ok(Command { program, arguments, time: TIME, most_output: MOST_OUTPUT })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(text: &str, params: Option<&str>) -> Result<(String, Vec<String>), Failure> {
        let wire = NodeCommand { command: text.to_owned(), params: params.map(str::to_owned) };
        command((0, &wire)).map(|command| (command.program, command.arguments))
    }

    #[test]
    fn a_command_is_divided_as_a_shell_would_and_none_is_run() {
        let expected = |program: &str, arguments: &[&str]| {
            (program.to_owned(), arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(divided("ls", None).unwrap(), expected("ls", &[]));
        assert_eq!(divided("ls -la '/a b'", None).unwrap(), expected("ls", &["-la", "/a b"]));
        assert_eq!(divided("ls", Some("-la \"/a b\" $HOME;rm")).unwrap(), expected("ls", &["-la", "/a b", "$HOME;rm"]));
        assert_eq!(divided("my program", Some("x")).unwrap(), expected("my program", &["x"]));
        for (text, params, parameter) in [
            ("", None, "commandList[0].command"),
            ("", Some("x"), "commandList[0].command"),
            ("ls 'a", None, "commandList[0].command"),
            ("ls", Some("'a"), "commandList[0].params"),
            ("ls\0", None, "commandList[0].command"),
            (&"x".repeat(MAX_BYTES + 1), None, "commandList[0].command"),
            (&"x".repeat(MAX_BYTES + 1), Some("x"), "commandList[0].command"),
            ("ls", Some(&"x".repeat(MAX_BYTES + 1)), "commandList[0].params"),
        ] {
            assert_eq!(divided(text, params).unwrap_err().detail("parameter"), Some(parameter), "{text:?}");
        }
    }
}
