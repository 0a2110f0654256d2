use access::{Handle, ServicePermit};
use proto::Failure;
use proto::token::v1::rpc::GetPublicKeys;
use proto::token::v1::{GetPublicKeysRequest, GetPublicKeysResponse};

use crate::grpc::Authority;

impl Handle<GetPublicKeys> for Authority {
    async fn handle(&self, _: &ServicePermit, _: GetPublicKeysRequest) -> Result<GetPublicKeysResponse, Failure> {
        Ok(GetPublicKeysResponse { keys: self.signing_keys.told().await?.iter().map(Into::into).collect() })
    }
}
