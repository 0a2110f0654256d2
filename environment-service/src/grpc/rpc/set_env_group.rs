use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::SetEnvGroup;
use proto::environment::v1::{SetEnvGroupRequest, SetEnvGroupResponse};

use crate::grpc::Control;
use crate::grpc::control::{env_name, group_failure};
use crate::grpc::parameter::env_groups;

impl Handle<SetEnvGroup> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: SetEnvGroupRequest,
    ) -> Result<SetEnvGroupResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let groups = env_groups(&request.env_group, "envGroup")?;
        let environment = self.environment(permit, &name).await?;
        self.allow_groups(permit, &groups, "envGroup").await?;
        self.operations.store.set_env_groups(environment.id, permit.account(), &groups).await.map_err(group_failure)?;
        Ok(SetEnvGroupResponse {})
    }
}
