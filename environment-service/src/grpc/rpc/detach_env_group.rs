use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::DetachEnvGroup;
use proto::environment::v1::{DetachEnvGroupRequest, DetachEnvGroupResponse};

use crate::grpc::Control;
use crate::grpc::control::{env_name, storage_failure};
use crate::grpc::parameter::env_groups;

impl Handle<DetachEnvGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: DetachEnvGroupRequest,
    ) -> Result<DetachEnvGroupResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let groups = env_groups(&request.env_group, "envGroup")?;
        let environment = self.environment(permit, &name).await?;
        self.operations.store.detach_env_groups(environment.id, &groups).await.map_err(storage_failure)?;
        Ok(DetachEnvGroupResponse {})
    }
}
