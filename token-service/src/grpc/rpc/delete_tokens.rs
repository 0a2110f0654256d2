use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::DeleteTokens;
use proto::token::v1::{DeleteTokensRequest, DeleteTokensResponse};

use crate::grpc::Authority;
use crate::grpc::answer::selection;

impl Handle<DeleteTokens> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: DeleteTokensRequest,
    ) -> Result<DeleteTokensResponse, Failure> {
        let selection = selection(&request.ids, request.all(), "token")?;
        let session = self.confirmed(permit, request.password).await?;
        let changes = self.store.delete_tokens(&session, &selection, self.clock.now()).await?;
        let confirmed = self.leases.confirm(&changes).await;
        tracing::info!(account.id = session.account.0, tokens = ?selection, "tokens were deleted");
        Ok(DeleteTokensResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
