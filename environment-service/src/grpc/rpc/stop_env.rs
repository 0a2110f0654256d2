use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::StopEnv;
use proto::environment::v1::{StopEnvRequest, StopEnvResponse};

use crate::domain::EnvName;
use crate::grpc::Control;
use crate::grpc::control::{begin_failure, down_failure, env_name};
use crate::operation::StopError;

impl Handle<StopEnv> for Control {
    async fn handle(&self, permit: &AccountPermit, request: StopEnvRequest) -> Result<StopEnvResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let stopped = self.operations.stop(permit.account(), name.clone()).await;
        stopped.map_err(|error| failure(&name, error))?;
        Ok(StopEnvResponse {})
    }
}

fn failure(name: &EnvName, error: StopError) -> Failure {
    match error {
        StopError::Begin(error) => begin_failure(name, "stopped", error),
        StopError::Down(error) => down_failure(name, error),
        error @ StopError::Torn(_) => Failure::internal(error),
    }
}
