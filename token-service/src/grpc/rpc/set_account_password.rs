use access::{AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::SetAccountPassword;
use proto::token::v1::{SetAccountPasswordRequest, SetAccountPasswordResponse};

use crate::domain::{AccountChange, NewPassword};
use crate::grpc::Authority;

impl Handle<SetAccountPassword> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: SetAccountPasswordRequest,
    ) -> Result<SetAccountPasswordResponse, Failure> {
        let password = NewPassword::try_from(request.account_password)
            .map_err(|error| Failure::invalid("accountPassword", error))?;
        self.session(permit.session()).await?;
        let hash = self.passwords.hash(password).await?;
        self.administer(permit, request.uid, &AccountChange::Password { hash }).await?;
        Ok(SetAccountPasswordResponse {})
    }
}
