use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::DeleteEnv;
use proto::environment::v1::{DeleteEnvRequest, DeleteEnvResponse};

use crate::domain::EnvName;
use crate::driver::ClearError;
use crate::grpc::Control;
use crate::grpc::control::{begin_failure, down_failure, env_name, not_ours, storage_failure};
use crate::operation::DeleteError;

impl Handle<DeleteEnv> for Control {
    async fn handle(&self, permit: &AccountPermit, request: DeleteEnvRequest) -> Result<DeleteEnvResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let deleted = self.operations.delete(permit.account(), name.clone()).await;
        deleted.map_err(|error| failure(&name, error))?;
        Ok(DeleteEnvResponse {})
    }
}

fn failure(name: &EnvName, error: DeleteError) -> Failure {
    match error {
        DeleteError::Begin(error) => begin_failure(name, "deleted", error),
        DeleteError::NotOurs(error) => not_ours(name, "deleted", error),
        DeleteError::Down(error) => down_failure(name, error),
        DeleteError::Storage(error) => storage_failure(error),
        DeleteError::Clear(ClearError::Unreachable(what, error)) => Failure::unavailable(what, error),
        error @ (DeleteError::Clear(_) | DeleteError::Driver(_) | DeleteError::Torn(_)) => Failure::internal(error),
    }
}
