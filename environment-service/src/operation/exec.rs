use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::AccountId;
use tokio::task::JoinError;
use tracing::Instrument;

use super::Operations;
use crate::domain::{Environment, NodeId, Selection, SelectionError};
use crate::driver::{Command, NoDriver, NodeAt, NodeError, Output, traced};

/// How many bytes all outputs of a call have together that are kept. What is written beyond is thrown away.
const MOST_OUTPUT: usize = 16 << 20;

/// How many calls of an account run commands at the same time. They go on when their caller leaves.
const MOST_CALLS: usize = 16;

/// How long commands that run may still take when the service ends: as long as other calls.
const GRACE: Duration = Duration::from_secs(30);

/// Why commands were not run, or not all of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error("a command was not run")]
    Node(Box<Environment>, #[source] NodeError),
    #[error("{MOST_CALLS} calls of the account run commands already, which is as many as may")]
    TooMany,
    #[error("the service is about to end")]
    Ending,
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

/// Calls that run commands, by account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commands(Arc<Mutex<HashMap<AccountId, usize>>>);

/// One of them, until it is dropped.
struct Running(Commands, AccountId);

impl Commands {
    fn begin(&self, account: AccountId) -> Result<Running, ExecError> {
        let mut running = self.lock();
        let count = running.entry(account).or_default();
        if *count >= MOST_CALLS {
            return Err(ExecError::TooMany);
        }
        *count += 1;
        Ok(Running(self.clone(), account))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.0.lock();
        if let Some(count) = running.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.1);
            }
        }
    }
}

impl Operations {
    /// Runs commands in nodes, one after the other; after one that fails, none in that node. Whoever has asked for it may leave, but
    /// some time after the service has begun to end it ends them.
    pub(crate) async fn exec(
        &self,
        environment: Environment,
        nodes: Selection,
        commands: Vec<Command>,
    ) -> Result<Vec<(NodeId, Output)>, ExecError> {
        let driver = self.drivers.of(&environment)?.clone();
        let running = self.commands.begin(environment.account)?;
        let draining = self.lifecycle.draining();
        let too_late = async move { (draining.await, tokio::time::sleep(GRACE).await) };
        let commands_run = async move {
            let _running = running;
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
        };
        let run = async move {
            tokio::select! {
                outputs = commands_run => outputs,
                _ = too_late => Err(ExecError::Ending),
            }
        };
        // Not among the operations: those are waited for however long they take.
        self.lifecycle.spawn("environment.exec", run.in_current_span()).await?
    }
}
