use access::{AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::DisableAccount;
use proto::token::v1::{DisableAccountRequest, DisableAccountResponse};

use crate::domain::AccountChange;
use crate::grpc::Authority;

impl Handle<DisableAccount> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: DisableAccountRequest,
    ) -> Result<DisableAccountResponse, Failure> {
        let session = self.confirmed(permit.session(), request.password).await?;
        let confirmed = self.administer(&session, request.uid, &AccountChange::Disable).await?;
        Ok(DisableAccountResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
