use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::SetEnvDisplayName;
use proto::environment::v1::{SetEnvDisplayNameRequest, SetEnvDisplayNameResponse};

use crate::grpc::Control;
use crate::grpc::control::{env_name, storage_failure};
use crate::grpc::parameter::given;

impl Handle<SetEnvDisplayName> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: SetEnvDisplayNameRequest,
    ) -> Result<SetEnvDisplayNameResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let display_name = given(request.display_name.as_deref()).unwrap_or(name.as_str());
        let display_name = display_name.parse().map_err(|problem| Failure::invalid("displayName", problem))?;
        let environment = self.environment(permit, &name).await?;
        self.operations.store.set_display_name(environment.id, &display_name).await.map_err(storage_failure)?;
        Ok(SetEnvDisplayNameResponse {})
    }
}
