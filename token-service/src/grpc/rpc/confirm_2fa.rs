use access::lease::Change;
use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::Confirm2FA;
use proto::token::v1::{Confirm2FaRequest, Confirm2FaResponse};
use zeroize::Zeroizing;

use crate::domain::{RecoveryHash, Session, TimeCode, UsedCode};
use crate::grpc::Authority;
use crate::grpc::second_factor::{self, Shown};
use crate::store::SecondFactorError;

impl Handle<Confirm2FA> for Authority {
    async fn handle(&self, permit: &SessionPermit, request: Confirm2FaRequest) -> Result<Confirm2FaResponse, Failure> {
        let code: TimeCode = Zeroizing::new(request.code).parse()?;
        let session = self.session(permit).await?;
        let shown = self.show_first(&session, &code).await?;
        let (codes, hashes) = second_factor::recovery_codes();
        let confirmed = confirm(self, &session, &shown, &hashes).await;
        let change = self.judge(shown, &session, confirmed).await?;
        let confirmed = self.leases.confirm(&[change]).await;
        tracing::info!(account.id = session.account.0, "two-factor authentication was turned on");
        let recovery_codes = second_factor::told(&codes);
        Ok(Confirm2FaResponse { recovery_codes, confirmed: true, confirmation_micros: confirmed.micros() })
    }
}

async fn confirm(
    authority: &Authority,
    session: &Session,
    shown: &Shown,
    recovery: &[RecoveryHash],
) -> Result<Change, SecondFactorError> {
    let UsedCode::Time { step, sealed } = shown.right()? else { return Err(SecondFactorError::WrongCode) };
    authority.store.confirm_second_factor(session, sealed, *step, recovery, authority.clock.now()).await
}
