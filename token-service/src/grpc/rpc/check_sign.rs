use access::{AccountPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::CheckSign;
use proto::token::v1::{CheckSignRequest, CheckSignResponse};

use crate::grpc::Authority;

impl Handle<CheckSign> for Authority {
    async fn handle(&self, permit: &AccountPermit, _: CheckSignRequest) -> Result<CheckSignResponse, Failure> {
        self.credential(permit).await?;
        Ok(CheckSignResponse { uid: permit.account().0 })
    }
}
