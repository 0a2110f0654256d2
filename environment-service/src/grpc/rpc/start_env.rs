use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::StartEnv;
use proto::environment::v1::{StartEnvRequest, StartEnvResponse};

use crate::domain::EnvName;
use crate::grpc::Control;
use crate::grpc::control::{begin_failure, env_name, up_failure};
use crate::operation::StartError;

impl Handle<StartEnv> for Control {
    async fn handle(&self, permit: &AccountPermit, request: StartEnvRequest) -> Result<StartEnvResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let started = self.operations.start(permit.account(), name.clone()).await;
        started.map_err(|error| failure(&name, error))?;
        Ok(StartEnvResponse {})
    }
}

fn failure(name: &EnvName, error: StartError) -> Failure {
    match error {
        StartError::Begin(error) => begin_failure(name, "started", error),
        StartError::Up(error) => up_failure(name, error),
        error @ StartError::Torn(_) => Failure::internal(error),
    }
}
