use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::DeleteTokens;
use proto::token::v1::{DeleteTokensRequest, DeleteTokensResponse};

use crate::domain::Selection;
use crate::grpc::Authority;

impl Handle<DeleteTokens> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: DeleteTokensRequest,
    ) -> Result<DeleteTokensResponse, Failure> {
        let selection = match (request.all(), request.ids.is_empty()) {
            (true, true) => Selection::All,
            (false, false) => Selection::Only(request.ids.iter().copied().collect()),
            (true, false) => return Err(Failure::invalid("ids", "must be `*` or numbers, not both")),
            (false, true) => return Err(Failure::invalid("ids", "must name at least one token, or be `*`")),
        };
        let session = self.confirmed(permit, request.password).await?;
        self.store.delete_tokens(&session, &selection, self.clock.now()).await?;
        tracing::info!(account.id = session.account.0, tokens = ?selection, "tokens were deleted");
        Ok(DeleteTokensResponse {})
    }
}
