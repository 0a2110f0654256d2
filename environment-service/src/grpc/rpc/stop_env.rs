use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::StopEnv;
use proto::environment::v1::{StopEnvRequest, StopEnvResponse};

use crate::grpc::Control;
use crate::grpc::control::{env_name, stop_failure};

impl Handle<StopEnv> for Control {
    async fn handle(&self, permit: &AccountPermit, request: StopEnvRequest) -> Result<StopEnvResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let stopped = self.operations.stop(permit.account(), name.clone()).await;
        stopped.map_err(|error| stop_failure(&name, "stopped", error))?;
        Ok(StopEnvResponse {})
    }
}
