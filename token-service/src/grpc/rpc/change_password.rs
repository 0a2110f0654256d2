use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::ChangePassword;
use proto::token::v1::{ChangePasswordRequest, ChangePasswordResponse};

use crate::grpc::Authority;

impl Handle<ChangePassword> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: ChangePasswordRequest,
    ) -> Result<ChangePasswordResponse, Failure> {
        let account = self.account(permit.account()).await?;
        let wanted = self.accept(request.new_password, "newPassword", &account.login)?;
        let session = self.confirmed(permit, request.password).await?;
        let hash = self.passwords.hash(wanted).await?;
        let change = self.store.change_password(&session, &hash, self.clock.now()).await?;
        let confirmed = self.leases.confirm(&[change]).await;
        tracing::info!(account.id = session.account.0, "a password was changed");
        Ok(ChangePasswordResponse { confirmed: true, confirmation_micros: confirmed.micros() })
    }
}
