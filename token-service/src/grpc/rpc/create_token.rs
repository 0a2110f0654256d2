use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::CreateToken;
use proto::token::v1::{CreateTokenRequest, CreateTokenResponse};

use crate::domain::{Description, NewToken};
use crate::grpc::{Authority, answer};

impl Handle<CreateToken> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: CreateTokenRequest,
    ) -> Result<CreateTokenResponse, Failure> {
        let now = self.clock.now();
        let (value, hash) = answer::new_value();
        let api_set = answer::api_set(self.catalog, request.token_template.as_deref(), &request.api_list)?;
        let token = NewToken {
            description: Description::try_from(request.description)?,
            hash,
            api_set: api_set.ok_or_else(|| {
                Failure::invalid("apiList", "or `tokenTemplate` must be given: what the token may call")
            })?,
            expires_at: answer::expiry(request.expires_at, now)?,
            created_at: now,
        };
        let session = self.confirmed(permit, request.password).await?;
        let created = self.store.create_token(session, &token, self.policy.tokens_per_account).await?;
        tracing::info!(token.id = created.id, account.id = session.account.0, "a token was created");
        Ok(CreateTokenResponse { token: Some(answer::token(self.catalog, created, Some(&value))) })
    }
}
