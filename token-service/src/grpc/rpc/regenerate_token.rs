use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::RegenerateToken;
use proto::token::v1::{RegenerateTokenRequest, RegenerateTokenResponse};

use crate::domain::TokenChange;
use crate::grpc::{Authority, answer};

impl Handle<RegenerateToken> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: RegenerateTokenRequest,
    ) -> Result<RegenerateTokenResponse, Failure> {
        let now = self.clock.now();
        let (value, hash) = answer::new_value();
        let changed = TokenChange {
            hash: Some(hash),
            expires_at: answer::expiry(request.expires_at, now)?,
            ..TokenChange::default()
        };
        let session = self.confirmed(permit, request.password).await?;
        let token = self.store.change_token(session, request.id, changed, now).await?;
        tracing::info!(token.id = token.id, account.id = session.account.0, "a token was regenerated");
        Ok(RegenerateTokenResponse { token: Some(answer::token(self.catalog, token, Some(&value))) })
    }
}
