use access::{Handle, SessionPermit};
use proto::Failure;
use proto::token::v1::rpc::Enable2FA;
use proto::token::v1::{Enable2FaRequest, Enable2FaResponse};

use crate::domain::FactorSecret;
use crate::grpc::Authority;

impl Handle<Enable2FA> for Authority {
    async fn handle(&self, permit: &SessionPermit, request: Enable2FaRequest) -> Result<Enable2FaResponse, Failure> {
        let session = self.confirmed(permit, request.password).await?;
        let key = self.second_factor_key()?;
        let account = self.account(session.account).await?;
        let secret = FactorSecret::generate(&mut rand::rng());
        let sealed = key.seal(session.account, &secret, &mut rand::rng());
        self.store.begin_second_factor(&session, &sealed, self.clock.now()).await?;
        Ok(Enable2FaResponse {
            secret: secret.to_base32(),
            uri: secret.uri(&self.second_factor_issuer, &account.login),
        })
    }
}
