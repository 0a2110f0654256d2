use access::{AccountPermit, Handle};
use proto::Failure;
use proto::environment::v1::rpc::GetEnvs;
use proto::environment::v1::{GetEnvsRequest, GetEnvsResponse};

use crate::grpc::Control;

impl Handle<GetEnvs> for Control {
    async fn handle(&self, permit: &AccountPermit, _: GetEnvsRequest) -> Result<GetEnvsResponse, Failure> {
        Ok(GetEnvsResponse { infos: self.infos(permit).await? })
    }
}
