use access::{AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::Reset2FA;
use proto::token::v1::{Reset2FaRequest, Reset2FaResponse};

use crate::domain::AccountChange;
use crate::grpc::Authority;

impl Handle<Reset2FA> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: Reset2FaRequest,
    ) -> Result<Reset2FaResponse, Failure> {
        // A stolen session must not rid itself of the second factor.
        if request.uid == permit.session().account().0 {
            return Err(Failure::invalid("uid", "must be another's: Disable2FA is for one's own"));
        }
        let session = self.confirmed(permit.session(), request.password).await?;
        let confirmed = self.administer(&session, request.uid, &AccountChange::ResetSecondFactor).await?;
        Ok(Reset2FaResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
