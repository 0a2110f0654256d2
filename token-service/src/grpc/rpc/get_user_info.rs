use access::{AccountPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::GetUserInfo;
use proto::token::v1::{GetUserInfoRequest, GetUserInfoResponse};

use crate::grpc::Authority;
use crate::grpc::authority::{not_authenticated, storage_failure};

impl Handle<GetUserInfo> for Authority {
    async fn handle(&self, permit: &AccountPermit, _: GetUserInfoRequest) -> Result<GetUserInfoResponse, Failure> {
        self.credential(permit).await?;
        let account = self.store.account(permit.account()).await.map_err(storage_failure)?;
        let account = account.ok_or_else(not_authenticated)?;
        Ok(GetUserInfoResponse { uid: account.id.0, email: account.email, name: account.name })
    }
}
