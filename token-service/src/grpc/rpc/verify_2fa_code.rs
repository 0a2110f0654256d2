use access::{Credential, CredentialKind, Handle, Origin, PublicPermit};
use proto::Failure;
use proto::token::v1::rpc::Verify2FACode;
use proto::token::v1::{Verify2FaCodeRequest, Verify2FaCodeResponse};
use zeroize::Zeroizing;

use crate::domain::Session;
use crate::grpc::authority::{not_authenticated, storage_failure};
use crate::grpc::{Authority, second_factor};
use crate::store::Verified;

impl Handle<Verify2FACode> for Authority {
    async fn handle(
        &self,
        permit: &PublicPermit,
        request: Verify2FaCodeRequest,
    ) -> Result<Verify2FaCodeResponse, Failure> {
        let value = Zeroizing::new(request.session);
        let code = second_factor::code(&Zeroizing::new(request.code))?;
        let session = pending(self, &value, permit.origin()).await?;
        let shown = self.show(&session, code).await?;
        let now = self.clock.now();
        let verified = match shown.right() {
            Ok(code) => {
                let expires_at = now + self.policy.session_lifetime;
                let limit = self.policy.sessions_per_account;
                let verified = Verified { session: &session, code, now, expires_at, limit };
                self.store.verify_second_factor(&verified).await
            }
            Err(wrong) => Err(wrong),
        };
        let changes = self.judge(shown, &session, verified).await?;
        // From now on it is known everywhere that the session opens something.
        self.leases.confirm(&changes).await;
        let account = self.account(session.account).await?;
        Ok(Verify2FaCodeResponse {
            uid: account.id.0,
            session: value.as_str().to_owned(),
            email: account.email,
            name: account.name,
        })
    }
}

/// The session that waits for the code.
async fn pending(authority: &Authority, value: &str, origin: &Origin) -> Result<Session, Failure> {
    let value = Credential::parse(value).map_err(|error| not_authenticated().because(error))?;
    if value.kind() != CredentialKind::Session {
        return Err(not_authenticated());
    }
    let found = authority.store.pending_session(value.hash(), origin, authority.clock.now()).await;
    found.map_err(storage_failure)?.ok_or_else(not_authenticated)
}
