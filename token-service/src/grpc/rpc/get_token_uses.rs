use access::{Handle, SessionPermit};
use proto::token::v1::rpc::GetTokenUses;
use proto::token::v1::{GetTokenUsesRequest, GetTokenUsesResponse, TokenUses};
use proto::{ErrorKind, Failure};

use crate::domain::day_text;
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;

impl Handle<GetTokenUses> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: GetTokenUsesRequest,
    ) -> Result<GetTokenUsesResponse, Failure> {
        let session = self.session(permit).await?;
        if let Some(id) = request.id {
            let tokens = self.store.tokens(session.account).await.map_err(storage_failure)?;
            if !tokens.iter().any(|token| token.id == id) {
                let failure = Failure::new(ErrorKind::ObjectNotFound, format!("there is no token {id}"));
                return Err(failure.with("parameter", "id"));
            }
        }
        let uses = self.store.uses_by_day(session.account, request.id, self.clock.now()).await;
        let uses = uses.map_err(storage_failure)?.into_iter();
        let uses = uses.map(|uses| TokenUses { id: uses.token, day: day_text(uses.day), count: uses.uses });
        Ok(GetTokenUsesResponse { uses: uses.collect() })
    }
}
