use access::{AccountId, AdministratorPermit, Handle};
use proto::Failure;
use proto::token::v1::rpc::SetAccountPassword;
use proto::token::v1::{SetAccountPasswordRequest, SetAccountPasswordResponse};

use crate::domain::AccountChange;
use crate::grpc::Authority;

impl Handle<SetAccountPassword> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: SetAccountPasswordRequest,
    ) -> Result<SetAccountPasswordResponse, Failure> {
        // A stolen session must not replace its own password: that takes the one of before.
        if request.uid == permit.session().account().0 {
            return Err(Failure::invalid("uid", "must be another's: ChangePassword is for one's own"));
        }
        let session = self.confirmed(permit.session(), request.password).await?;
        let account = self.account(AccountId(request.uid)).await?;
        let password = self.accept(request.account_password, "accountPassword", &account.login)?;
        let hash = self.passwords.hash(password).await?;
        let confirmed = self.administer(&session, request.uid, &AccountChange::Password { hash }).await?;
        Ok(SetAccountPasswordResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
