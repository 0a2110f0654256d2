use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::RegenerateRecoveryCodes;
use proto::token::v1::{RegenerateRecoveryCodesRequest, RegenerateRecoveryCodesResponse};
use zeroize::Zeroizing;

use crate::grpc::{Authority, second_factor};

impl Handle<RegenerateRecoveryCodes> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: RegenerateRecoveryCodesRequest,
    ) -> Result<RegenerateRecoveryCodesResponse, Failure> {
        let code = second_factor::code(&Zeroizing::new(request.code))?;
        let session = self.confirmed(permit, request.password).await?;
        let shown = self.show(&session, code).await?;
        let (codes, hashes) = second_factor::recovery_codes();
        let replaced = match shown.right() {
            Ok(code) => self.store.regenerate_recovery_codes(&session, code, &hashes, self.clock.now()).await,
            Err(wrong) => Err(wrong),
        };
        self.judge(shown, &session, replaced).await?;
        Ok(RegenerateRecoveryCodesResponse { recovery_codes: second_factor::told(&codes) })
    }
}
