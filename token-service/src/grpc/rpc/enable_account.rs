use access::{AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::EnableAccount;
use proto::token::v1::{EnableAccountRequest, EnableAccountResponse};

use crate::domain::AccountChange;
use crate::grpc::Authority;

impl Handle<EnableAccount> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: EnableAccountRequest,
    ) -> Result<EnableAccountResponse, Failure> {
        let session = self.confirmed(permit.session(), request.password).await?;
        self.administer(&session, request.uid, &AccountChange::Enable).await?;
        Ok(EnableAccountResponse {})
    }
}
