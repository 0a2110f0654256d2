use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::Disable2FA;
use proto::token::v1::{Disable2FaRequest, Disable2FaResponse};
use zeroize::Zeroizing;

use crate::grpc::{Authority, second_factor};

impl Handle<Disable2FA> for Authority {
    async fn handle(&self, permit: &SessionPermit, request: Disable2FaRequest) -> Result<Disable2FaResponse, Failure> {
        let code = second_factor::code(&Zeroizing::new(request.code))?;
        let session = self.confirmed(permit, request.password).await?;
        let shown = self.show(&session, code).await?;
        let disabled = match shown.right() {
            Ok(code) => self.store.disable_second_factor(&session, code, self.clock.now()).await,
            Err(wrong) => Err(wrong),
        };
        self.judge(shown, &session, disabled).await?;
        tracing::info!(account.id = session.account.0, "two-factor authentication was turned off");
        Ok(Disable2FaResponse {})
    }
}
