//! What the service does with running environments when it ends.

use futures::future::join_all;
use storage::StorageError;

use super::Operations;
use crate::domain::{DriverKind, Environment, Operation};

impl Operations {
    /// Waits for the operations that are under way, whether or not their callers do, unless all is to end at once.
    pub(crate) async fn settled(&self) {
        self.under_way.close();
        tokio::select! {
            () = self.under_way.wait() => (),
            () = self.lifecycle.aborted() => (),
        }
    }

    /// Stops all that runs, and leaves its start to the next run of the service.
    pub(crate) async fn stop_until_next_run(&self) -> Result<(), StorageError> {
        // What an engine or a cluster runs is not this machine's alone, and goes on.
        let environments = self.store.meant_to_run().await?.into_iter();
        let environments: Vec<_> = environments.filter(|found| found.driver == DriverKind::Process).collect();
        join_all(environments.iter().map(|environment| self.postpone(environment))).await;
        Ok(())
    }

    async fn postpone(&self, environment: &Environment) {
        let name = &environment.name;
        // The recorded start is what the next run takes up.
        let down = match self.store.begin_operation(environment.id, Operation::Start, self.clock.now()).await {
            Ok(environment) => self.bring_down(&environment).await,
            Err(error) => return tracing::error!(environment.name = %name, %error, "an environment was not stopped"),
        };
        match down {
            Ok(()) => tracing::info!(environment.name = %name, "stopped until the next start of the service"),
            Err(error) => tracing::error!(environment.name = %name, %error, "an environment did not stop"),
        }
    }
}
