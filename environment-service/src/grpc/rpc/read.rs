use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::Read;
use proto::environment::v1::{ReadRequest, ReadResponse};

use crate::driver::NodeAt;
use crate::grpc::Control;
use crate::grpc::control::{env_name, no_driver, node_failure, selection_failure};
use crate::grpc::parameter::selection;

/// The largest file that is told.
const MOST: usize = 1 << 20;

impl Handle<Read> for Control {
    async fn handle(&self, permit: &AccountPermit, request: ReadRequest) -> Result<ReadResponse, Failure> {
        let nodes = selection(request.nodeid, request.node_group.as_deref())?;
        let nodes = nodes.ok_or_else(|| Failure::invalid("nodeGroup", "or `nodeid` must be given"))?;
        let environment = self.environment(permit, &env_name(&request.env_name)?).await?;
        let node = nodes.of(&environment).map_err(selection_failure)?.remove(0);
        let driver = self.operations.drivers.of(&environment).map_err(no_driver)?;
        let node = NodeAt { environment: &environment, node };
        let body =
            driver.read_file(node, &request.path, MOST).await.map_err(|error| node_failure(&environment, error))?;
        Ok(ReadResponse { body: String::from_utf8_lossy(&body).into_owned() })
    }
}
