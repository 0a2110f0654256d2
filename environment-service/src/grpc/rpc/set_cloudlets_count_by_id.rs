use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::SetCloudletsCountById;
use proto::environment::v1::{SetCloudletsCountByIdRequest, SetCloudletsCountByIdResponse};

use crate::domain::NodeId;
use crate::grpc::Control;
use crate::grpc::control::{env_name, update_failure};
use crate::grpc::parameter::cloudlets;

impl Handle<SetCloudletsCountById> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        request: SetCloudletsCountByIdRequest,
    ) -> Result<SetCloudletsCountByIdResponse, Failure> {
        let name = env_name(&request.env_name)?;
        let (fixed, flexible) = (Some(request.fixed_cloudlets), Some(request.flexible_cloudlets));
        let size = cloudlets(fixed, flexible, str::to_owned)?;
        let node = NodeId(request.node_id);
        let resized = self.operations.resize(permit.account(), name.clone(), node, size).await;
        resized.map_err(|error| update_failure(&name, "nodeId", error))?;
        Ok(SetCloudletsCountByIdResponse {})
    }
}
