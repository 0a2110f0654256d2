use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::EditToken;
use proto::token::v1::{EditTokenRequest, EditTokenResponse};

use crate::domain::{NewExpiry, TokenChange};
use crate::grpc::{Authority, answer};

impl Handle<EditToken> for Authority {
    async fn handle(&self, permit: &SessionPermit, request: EditTokenRequest) -> Result<EditTokenResponse, Failure> {
        let now = self.clock.now();
        let changed = TokenChange {
            description: answer::description(request.description)?,
            api_set: answer::api_set(self.catalog, request.token_template.as_deref(), &request.api_list)?,
            environments: answer::environments(&request.environments)?,
            networks: answer::networks(&request.source_networks)?,
            expires_at: match (answer::expiry(request.expires_at, now)?, request.never_expires.unwrap_or(false)) {
                (Some(_), true) => return Err(Failure::invalid("neverExpires", "can't be combined with `expiresAt`")),
                (None, true) => Some(NewExpiry::Never),
                (expiry, false) => expiry.map(NewExpiry::At),
            },
            value: None,
            end_overlap: request.end_overlap.unwrap_or(false),
        };
        let session = self.confirmed(permit, request.password).await?;
        let (edited, change) = self.store.change_token(&session, request.id, &changed, now).await?;
        let confirmed = self.leases.confirm(&[change]).await;
        tracing::info!(token.id = edited.id, account.id = session.account.0, "a token was edited");
        let token = Some(self.shown(edited, None, now));
        Ok(EditTokenResponse { token, confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
