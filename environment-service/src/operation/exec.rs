use tokio::task::JoinError;

use super::Operations;
use crate::domain::{Environment, NodeId, Selection, SelectionError};
use crate::driver::{Command, NoDriver, NodeAt, NodeError, Output, traced};

/// How many bytes all outputs of a call have together that are kept. What is written beyond is thrown away.
const MOST_OUTPUT: usize = 16 << 20;

/// Why commands were not run, or not all of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error("a command was not run")]
    Node(Box<Environment>, #[source] NodeError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Runs commands in nodes, one after the other; after one that fails, none in that node. Whoever has asked for it may leave.
    pub(crate) async fn exec(
        &self,
        environment: Environment,
        nodes: Selection,
        commands: Vec<Command>,
    ) -> Result<Vec<(NodeId, Output)>, ExecError> {
        let driver = self.drivers.of(&environment)?.clone();
        self.detached("environment.exec", async move {
            let mut outputs = Vec::new();
            let mut left = MOST_OUTPUT;
            for node in nodes.of(&environment)? {
                for command in &commands {
                    // Both outputs can be as long.
                    let command = Command { most_output: command.most_output.min(left / 2), ..command.clone() };
                    let output = traced(
                        driver.kind(),
                        "exec",
                        driver.exec(NodeAt { environment: &environment, node }, &command),
                    )
                    .await;
                    let output = output.map_err(|error| ExecError::Node(Box::new(environment.clone()), error))?;
                    left = left.saturating_sub(output.out.len() + output.error.len());
                    let failed = output.code != 0;
                    outputs.push((node.id, output));
                    if failed {
                        break;
                    }
                }
            }
            Ok(outputs)
        })
        .await?
    }
}
