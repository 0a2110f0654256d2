use access::{AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::DeleteAccount;
use proto::token::v1::{DeleteAccountRequest, DeleteAccountResponse};

use crate::domain::AccountChange;
use crate::grpc::Authority;

impl Handle<DeleteAccount> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: DeleteAccountRequest,
    ) -> Result<DeleteAccountResponse, Failure> {
        let session = self.confirmed(permit.session(), request.password).await?;
        let confirmed = self.administer(&session, request.uid, &AccountChange::Delete).await?;
        Ok(DeleteAccountResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
