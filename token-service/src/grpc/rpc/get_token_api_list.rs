use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::GetTokenApiList;
use proto::token::v1::{GetTokenApiListRequest, GetTokenApiListResponse};

use crate::grpc::{Authority, answer};

impl Handle<GetTokenApiList> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: GetTokenApiListRequest,
    ) -> Result<GetTokenApiListResponse, Failure> {
        self.session(permit).await?;
        let search = request.search().to_lowercase();
        let mut methods = self.catalog.permissions();
        methods.retain(|method| method.name().to_lowercase().contains(&search));
        Ok(GetTokenApiListResponse { token_permissions: answer::items(&methods) })
    }
}
