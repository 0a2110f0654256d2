use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::{GetLogs, ReadLog};
use proto::environment::v1::{GetLogsRequest, GetLogsResponse, LogFile, ReadLogRequest, ReadLogResponse};

use crate::domain::{NodeId, Selection};
use crate::driver::{NodeAt, Window};
use crate::grpc::Control;
use crate::grpc::control::{env_name, no_driver, node_failure, selection_failure};

/// The most bytes that are read at once, and how many where it is not said.
const MOST: i32 = 1 << 20;
const DEFAULT: i32 = 64 * 1024;

impl Handle<GetLogs> for Control {
    async fn handle(&self, permit: &AccountPermit, request: GetLogsRequest) -> Result<GetLogsResponse, Failure> {
        let environment = self.environment(permit, &env_name(&request.env_name)?).await?;
        let node = Selection::Node(NodeId(request.node_id)).of(&environment).map_err(selection_failure)?.remove(0);
        let driver = self.operations.drivers.of(&environment).map_err(no_driver)?;
        let logs = driver
            .logs(NodeAt { environment: &environment, node })
            .await
            .map_err(|error| node_failure(&environment, error))?;
        let file = |log: crate::driver::LogFile| LogFile {
            name: log.path.rsplit('/').next().unwrap_or_default().to_owned(),
            size: i64::try_from(log.size).unwrap_or(i64::MAX),
            last_modified: log.modified_at.map(proto::time::to_wire),
            path: log.path,
        };
        Ok(GetLogsResponse { array: logs.into_iter().map(file).collect() })
    }
}

impl Handle<ReadLog> for Control {
    async fn handle(&self, permit: &AccountPermit, request: ReadLogRequest) -> Result<ReadLogResponse, Failure> {
        let window = window(request.from, request.count)?;
        let environment = self.environment(permit, &env_name(&request.env_name)?).await?;
        let node = Selection::Node(NodeId(request.node_id)).of(&environment).map_err(selection_failure)?.remove(0);
        let driver = self.operations.drivers.of(&environment).map_err(no_driver)?;
        let node = NodeAt { environment: &environment, node };
        let part =
            driver.read_log(node, &request.path, window).await.map_err(|error| node_failure(&environment, error))?;
        Ok(ReadLogResponse { body: String::from_utf8_lossy(&part).into_owned() })
    }
}

fn window(from: Option<i64>, count: Option<i32>) -> Result<Window, Failure> {
    let from = from.map(u64::try_from).transpose();
    let from = from.map_err(|_| Failure::invalid("from", "must not be negative"))?;
    let count = count.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&count) {
        return Err(Failure::invalid("count", format!("must be 1 to {MOST}")));
    }
    Ok(Window { from, count: usize::try_from(count).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_its_bounds() {
        assert_eq!(window(None, None).unwrap(), Window { from: None, count: 65_536 });
        assert_eq!(window(Some(0), Some(1)).unwrap(), Window { from: Some(0), count: 1 });
        for (from, count, parameter) in [
            (Some(-1), None, "from"),
            (None, Some(0), "count"),
            (None, Some(-1), "count"),
            (None, Some(MOST + 1), "count"),
        ] {
            assert_eq!(window(from, count).unwrap_err().detail("parameter"), Some(parameter));
        }
    }
}
