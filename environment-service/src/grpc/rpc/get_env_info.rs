use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::GetEnvInfo;
use proto::environment::v1::{EnvironmentInfo, GetEnvInfoRequest, GetEnvInfoResponse};

use crate::grpc::Control;
use crate::grpc::answer;
use crate::grpc::control::{env_name, not_found, storage_failure};

impl Handle<GetEnvInfo> for Control {
    async fn handle(&self, permit: &AccountPermit, request: GetEnvInfoRequest) -> Result<GetEnvInfoResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let found = self.look(permit, &name).await.map_err(storage_failure)?;
        let (environment, seen) = found.ok_or_else(|| not_found(&name))?;
        let last = self.operations.store.last_operation(environment.id).await.map_err(storage_failure)?;
        let EnvironmentInfo { env, nodes, node_groups, env_groups, right } =
            answer::info(&environment, &seen, &self.answered_types);
        let last_operation = last.map(answer::operation);
        Ok(GetEnvInfoResponse { env, nodes, node_groups, env_groups, right, last_operation })
    }
}
