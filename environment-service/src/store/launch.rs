use storage::StorageError;

use super::{Store, changed_one};
use crate::domain::{Instance, LaunchId, NodeId};

/// A launch that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) node: NodeId,
    pub(crate) launch: LaunchId,
    pub(crate) port: Option<u16>,
    /// The launch whose place it takes: what that one was stays recorded until it is recorded anew.
    pub(crate) replaces: Option<LaunchId>,
}

impl Store {
    /// Records launches before they are made, so that what is launched is found again even if nothing more is recorded.
    pub(crate) async fn intend(&self, intents: &[Intent]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("launch.intend").await?;
        for intent in intents {
            let query = match intent.replaces {
                None => sqlx::query(
                    "update node set launch_id = $1, port = $2, ending = 0 where id = $3 and launch_id is null",
                ),
                Some(_) => sqlx::query(
                    "update node set launch_id = $1, port = $2, ending = 0 where id = $3 and launch_id = $4",
                ),
            };
            let query =
                query.bind(intent.launch.0.as_bytes().as_slice()).bind(intent.port.map(i64::from)).bind(intent.node.0);
            let query = match intent.replaces {
                None => query,
                Some(replaced) => query.bind(replaced.0.as_bytes().to_vec()),
            };
            let changed = query.execute(&mut *tx).await?;
            changed_one("node", changed.rows_affected())?;
        }
        tx.commit().await
    }

    /// Records what was launched. What is recorded already stays so.
    pub(crate) async fn record(&self, launch: LaunchId, instance: &Instance) -> Result<(), StorageError> {
        let mut tx = self.database.begin("launch.record").await?;
        let changed =
            sqlx::query("update node set instance = $1 where launch_id = $2 and (instance is null or instance = $1)")
                .bind(instance.0.as_str())
                .bind(launch.0.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
        changed_one("node", changed.rows_affected())?;
        tx.commit().await
    }

    /// Records that launches are told to end, before they are.
    pub(crate) async fn begin_ending(&self, launches: &[LaunchId]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("launch.end").await?;
        for launch in launches {
            let changed = sqlx::query("update node set ending = 1 where launch_id = $1")
                .bind(launch.0.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
            debug_assert!(changed.rows_affected() <= 1, "a launch is of one node");
        }
        tx.commit().await
    }

    /// Forgets launches of which nothing is left. One that was forgotten already stays so.
    pub(crate) async fn forget(&self, launches: &[LaunchId]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("launch.forget").await?;
        for launch in launches {
            let changed =
                sqlx::query("update node set launch_id = null, instance = null, ending = 0 where launch_id = $1")
                    .bind(launch.0.as_bytes().as_slice())
                    .execute(&mut *tx)
                    .await?;
            debug_assert!(changed.rows_affected() <= 1, "a launch is of one node");
        }
        tx.commit().await
    }
}
