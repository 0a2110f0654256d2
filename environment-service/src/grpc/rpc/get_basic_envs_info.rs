use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::GetBasicEnvsInfo;
use proto::environment::v1::{GetBasicEnvsInfoRequest, GetBasicEnvsInfoResponse};

use crate::grpc::Control;

impl Handle<GetBasicEnvsInfo> for Control {
    async fn handle(
        &self,
        permit: &AccountPermit,
        _: GetBasicEnvsInfoRequest,
    ) -> Result<GetBasicEnvsInfoResponse, Failure> {
        Ok(GetBasicEnvsInfoResponse { infos: self.infos(permit).await? })
    }
}
