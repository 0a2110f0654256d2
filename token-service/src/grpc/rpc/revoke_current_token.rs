use access::{AccountPermit, GrantedKind, Handle};
use proto::token::v1::rpc::RevokeCurrentToken;
use proto::token::v1::{RevokeCurrentTokenRequest, RevokeCurrentTokenResponse};
use proto::{ErrorKind, Failure};

use crate::grpc::Authority;

impl Handle<RevokeCurrentToken> for Authority {
    async fn handle(
        &self,
        permit: &AccountPermit,
        _: RevokeCurrentTokenRequest,
    ) -> Result<RevokeCurrentTokenResponse, Failure> {
        let credential = self.credential(permit).await?;
        if credential.kind == GrantedKind::Session {
            let text = "only a token can end itself: a session is ended by users.authentication.Signout";
            return Err(Failure::new(ErrorKind::PermissionDenied, text));
        }
        let (id, account) = (credential.number, permit.account());
        let now = self.clock.now();
        let (superseded, as_of, origin) = (permit.is_superseded(), permit.as_of(), permit.origin());
        let change = self.store.revoke_current_token(id, account, superseded, as_of, origin, now).await?;
        let confirmed = self.leases.confirm(&[change]).await;
        tracing::info!(token.id = id, account.id = account.0, "a token ended itself");
        Ok(RevokeCurrentTokenResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
